import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { operatorTokenIn } from '../support/management.js'
import { runBerth, startBerth, type Berth } from './support/berth.js'
import { MIB, newFile, writeLayout } from './support/images.js'
import { Ledger } from './support/ledger.js'
import { ConnectionLostError } from './support/ledger-client.js'
import { Load } from './support/load.js'
import { printedSeed, Random } from './support/random.js'
import { copy } from './support/skopeo.js'
import { systemCallsDuring } from './support/system-calls.js'
import { walk } from './support/walk.js'

const rounds = 4
const clients = 4

/** Everything that is deleted is collected at once. */
const settings = {
  BERTH_LOG_LEVEL: 'error',
  BERTH_UNDO_DAYS: '0',
  BERTH_GC_EVERY_SECONDS: '1',
  BERTH_GC_BRAKE_PERCENT: '100',
}

/** Clients that push, move and delete until they are told to stop, or their registry is gone. */
function startLoad(berth: Berth, load: Load, random: Random): () => Promise<void> {
  let isOver = false
  const work = async (numbers: Random) => {
    const client = load.client(berth.url)
    try {
      while (!isOver) await load.act(client, numbers)
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
    } finally {
      client.close()
    }
  }
  const working = Promise.all(Array.from({ length: clients }, () => work(random.fork())))
  return async () => {
    isOver = true
    await working
  }
}

/** Makes a registry of a backup, looks at every byte, and has a client pull from it. */
async function drill(backup: string, tag: string): Promise<void> {
  const dataDirectory = path.join(await temporaryDirectory(), 'restored')
  const restored = await runBerth('restore-backup', backup, '--data', dataDirectory)
  expect(restored.succeeded, restored.report).toBe(true)
  const verified = await runBerth('verify', '--content', '--data', dataDirectory)
  expect(verified.succeeded, verified.report).toBe(true)
  const berth = await startBerth({ dataDirectory, settings })
  await walk(berth.url)
  const pulled = await temporaryDirectory()
  await copy(`docker://${berth.host}/team/app:${tag}`, `dir:${pulled}`)
  await berth.kill()
}

it('brings a registry back elsewhere, as it was while clients pushed and deleted', async () => {
  const random = new Random(printedSeed('restore drill'))
  const berth = await startBerth({ settings })
  const backup = path.join(await temporaryDirectory(), 'backup')
  const { source } = await writeLayout([newFile(3 * MIB), newFile()])
  await copy(source, `docker://${berth.host}/team/app:1`)
  const stop = startLoad(berth, new Load(new Ledger()), random)

  const made = []
  for (let round = 0; round < 2; round++) {
    made.push(await runBerth('backup', backup, '--data', berth.dataDirectory))
    await drill(backup, '1')
  }
  await stop()

  for (const { succeeded, report } of made) expect(succeeded, report).toBe(true)
})

it('makes the folders of a new backup durable, up to those that were there', async () => {
  const berth = await startBerth({ settings })
  const parent = await temporaryDirectory()
  const backup = path.join(parent, 'backups', 'berth')

  const calls = await systemCallsDuring(berth, ['fsync', 'fdatasync'], async () => {
    const made = await runBerth('backup', backup, '--data', berth.dataDirectory)
    expect(made.succeeded, made.report).toBe(true)
  })

  const synced = calls.map(({ args }) => /<(.*)>/.exec(args)?.[1])
  expect(synced).toEqual(expect.arrayContaining([parent, path.join(parent, 'backups'), backup]))
})

it('keeps the backup before whole when the registry is killed while it makes one', async () => {
  const random = new Random(printedSeed('killed backup'))
  const dataDirectory = await temporaryDirectory()
  const backup = path.join(await temporaryDirectory(), 'backup')
  const load = new Load(new Ledger())
  const first = await startBerth({ dataDirectory, settings })
  const { source } = await writeLayout([newFile(3 * MIB), newFile()])
  await copy(source, `docker://${first.host}/team/app:1`)
  expect((await runBerth('backup', backup, '--data', dataDirectory)).succeeded).toBe(true)
  await first.kill()

  for (let round = 0; round < rounds; round++) {
    const berth = await startBerth({ dataDirectory, settings })
    const stop = startLoad(berth, load, random)
    const begun = fetch(`${berth.url}/api/v1/backup/runs`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${operatorTokenIn(dataDirectory)}`,
      },
      body: JSON.stringify({ directory: backup }),
    })
    expect((await begun).status).toBe(202)
    // Some are done by then, most are not.
    await delay(random.below(250))
    await berth.kill()
    await stop()
    await drill(backup, '1')
  }

  const last = await startBerth({ dataDirectory, settings })
  const made = await runBerth('backup', backup, '--data', dataDirectory)
  expect(made.succeeded, made.report).toBe(true)
  await walk(last.url)
  await drill(backup, '1')
})
