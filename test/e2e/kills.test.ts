import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { startTestServer } from '../support/server.js'
import { verify } from '../support/verify.js'
import { commandBerth, startBerth, type Berth } from './support/berth.js'
import { requireInOrder } from './support/inspection.js'
import { Ledger } from './support/ledger.js'
import { ConnectionLostError } from './support/ledger-client.js'
import { Load } from './support/load.js'
import { printedSeed, Random } from './support/random.js'
import { filesWithoutBlob, uploadFiles, verifyStore } from './support/verify-store.js'
import { walk } from './support/walk.js'

const rounds = Number(process.env['BERTH_TEST_KILLS'] ?? 50)
const clients = 6

/** The clients do so many things at most before a kill. */
const actsMax = 150

const hourMs = 60 * 60 * 1000

/** Sessions expire within the hour, and leases do not. */
const config = { uploads: { expireSeconds: 60 } }

it('has lost nothing it acknowledged, however often it is killed at work', async () => {
  const random = new Random(printedSeed('kills'))
  const dataDirectory = await temporaryDirectory()
  const ledger = new Ledger()
  const load = new Load(ledger)
  let acknowledged = 0

  for (let round = 0; round < rounds; round++) {
    const berth = await startBerth({ dataDirectory, settings: { BERTH_LOG_LEVEL: 'error' } })
    await requireInOrder(berth.url, ledger, { keys: ledger.changedKeys })
    await killAtWork(berth, load, random)
    acknowledged += ledger.acknowledged
  }

  // Nothing was acknowledged in vain only if much was.
  expect(acknowledged).toBeGreaterThan(rounds * 10)
  const left = await startTestServer({ dataDirectory, config, now: () => Date.now() + hourMs })
  await requireInOrder(left.url, ledger)
  const tagged = await walk(left.url)
  await left.server.housekeeping.round()
  expect(await uploadFiles(dataDirectory)).toEqual([])
  await left.server.registry.removals.finish()
  const { report } = await verify(left.app, { content: true })
  expect(report.findings).toEqual([])
  await left.server.close()
  expect(await verifyStore(dataDirectory)).toEqual([])

  const gc = await commandBerth(['gc', '--purge', '--confirm'], { dataDirectory })
  expect(gc.succeeded, gc.report).toBe(true)
  expect(await verifyStore(dataDirectory)).toEqual([])
  expect(await filesWithoutBlob(dataDirectory)).toEqual([])
  const collected = await startTestServer({ dataDirectory })
  expect(await walk(collected.url)).toEqual(tagged)
})

/** Clients push, move and delete until the process is gone, at some moment of their work. */
async function killAtWork(berth: Berth, load: Load, random: Random): Promise<void> {
  const kill = new AbortController()
  let actsLeft = 1 + random.below(actsMax)
  const work = async (numbers: Random) => {
    const client = load.client(berth.url)
    try {
      for (;;) {
        await load.act(client, numbers)
        if (actsLeft-- === 0) kill.abort()
      }
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
    } finally {
      client.close()
    }
  }
  const working = Array.from({ length: clients }, () => work(random.fork()))
  const worked = Promise.all(working)
  await Promise.race([once(kill.signal, 'abort'), worked])
  await delay(random.below(8))
  await berth.kill()
  await worked
}
