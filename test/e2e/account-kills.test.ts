import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { operatorTokenIn } from '../support/management.js'
import { AccountClient } from './support/account-client.js'
import { listAll, readFacts } from './support/account-facts.js'
import { runBerth, startBerth, type Berth } from './support/berth.js'
import { HttpClient } from './support/http-client.js'
import { ConnectionLostError } from './support/ledger-client.js'
import { printedSeed, Random } from './support/random.js'

const rounds = Number(process.env['BERTH_TEST_KILLS'] ?? 15)

/** The clients do so many things at most before a kill. */
const actsMax = 200

const settings = { BERTH_ACCESS_MODE: 'accounts', BERTH_LOG_LEVEL: 'error' }

interface AuditEvent {
  readonly id: number
  readonly action: string
  readonly target: string
  readonly actor: string
  readonly result: string
}

it('has lost nothing it acknowledged of accounts, however often it is killed', async () => {
  const random = new Random(printedSeed('account kills'))
  const dataDirectory = await temporaryDirectory()
  const clients = ['ada', 'bob', 'cyd', 'dan'].map((prefix) => new AccountClient(prefix))
  let known: AuditEvent[] = []

  for (let round = 0; round < rounds; round++) {
    const berth = await startBerth({ dataDirectory, settings })
    known = await settle(berth, clients, known)
    await killAtWork(berth, clients, random)
  }

  // Nothing was acknowledged in vain only if much was.
  const acknowledged = clients.reduce((sum, client) => sum + client.acknowledged, 0)
  expect(acknowledged).toBeGreaterThan(rounds * 20)
  const berth = await startBerth({ dataDirectory, settings })
  for (const client of clients) client.forgetSettled()
  await settle(berth, clients, known)
  const verified = await runBerth('verify', '--data', dataDirectory)
  expect(verified.succeeded, verified.report).toBe(true)
})

/**
 * @param known - of the audit trail when it was read last
 * @returns all of it
 */
async function settle(
  berth: Berth,
  clients: readonly AccountClient[],
  known: readonly AuditEvent[],
): Promise<AuditEvent[]> {
  const http = new HttpClient(berth.url)
  try {
    const operator = operatorOf(berth)
    const listed = await readFacts(http, operator)
    const trail = (await listAll<AuditEvent>(http, operator, '/audit')).reverse()
    expect(trail.slice(0, known.length)).toEqual(known)
    const done = trail
      .slice(known.length)
      .filter(({ actor, result }) => actor === 'operator' && result === 'done')
      .map(({ action, target }) => `${action} ${target}`)
    for (const client of clients) await client.settle(http, listed, done)
    return (await listAll<AuditEvent>(http, operator, '/audit')).reverse()
  } finally {
    http.close()
  }
}

/** Clients make accounts and rights and take them away until the process is gone. */
async function killAtWork(
  berth: Berth,
  clients: readonly AccountClient[],
  random: Random,
): Promise<void> {
  const kill = new AbortController()
  const operator = operatorOf(berth)
  let actsLeft = 1 + random.below(actsMax)
  const work = async (client: AccountClient, numbers: Random) => {
    const http = new HttpClient(berth.url)
    try {
      for (;;) {
        await client.act(http, operator, numbers)
        if (actsLeft-- === 0) kill.abort()
      }
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
    } finally {
      http.close()
    }
  }
  const worked = Promise.all(clients.map((client) => work(client, random.fork())))
  await Promise.race([once(kill.signal, 'abort'), worked])
  await delay(random.below(8))
  await berth.kill()
  await worked
}

function operatorOf({ dataDirectory }: Berth): string {
  return `Bearer ${operatorTokenIn(dataDirectory)}`
}
