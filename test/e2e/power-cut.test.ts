import { existsSync, mkdtempSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { startServer } from '../../src/server.js'
import { temporaryDirectory } from '../support/directories.js'
import { sha256 } from '../support/images.js'
import { testConfig } from '../support/server.js'
import type { Berth } from './support/berth.js'
import {
  endOf,
  oneAfterTheOther,
  statesOf,
  stepsThatMakeDurable,
  type State,
} from './support/disk-states.js'
import { inspect } from './support/inspection.js'
import { Ledger } from './support/ledger.js'
import { imageOf, LedgerClient } from './support/ledger-client.js'
import { Load } from './support/load.js'
import { oneOfEach, type Act } from './support/one-of-each.js'
import { printedSeed, Random } from './support/random.js'
import { record, tracedPid, type Step } from './support/recording.js'
import { verifyStore } from './support/verify-store.js'

/** How many states of a disk are looked at in all, about; each there is with BERTH_TEST_CUTS=all. */
const wanted = process.env['BERTH_TEST_CUTS'] ?? '400'
const statesMax = wanted === 'all' ? Infinity : Number(wanted)

const hourMs = 60 * 60 * 1000

/** A clock that is an hour ahead: sessions have expired by then, and leases have not. */
const anHourLater = {
  nodeOptions: [
    '--import',
    `data:text/javascript,const now = Date.now; Date.now = () => now() + ${hourMs}`,
  ],
  settings: { BERTH_UPLOADS_EXPIRE_SECONDS: '60' },
}

/** Without a disk there is nothing to wait for. */
const fastFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** What two lives of a registry did to a disk, and what clients were told. */
interface Recording {
  readonly steps: readonly Step[]
  readonly stepsOfFirstLife: readonly Step[]
  readonly ledger: Ledger
}

const random = new Random(printedSeed('power cuts'))
let recorded: Promise<Recording> | undefined
const recording = () => (recorded ??= recordTwoLives())

describe('a power cut at any moment', () => {
  it('loses nothing acknowledged when all that was not synced is lost', async () => {
    const { steps, ledger } = await recording()
    const chosen = new Set(random.sample(stepsThatMakeDurable(steps), statesMax / 2))

    const states = statesOf(steps, (disk, next) =>
      next === undefined || chosen.has(next) ? (folder) => disk.writeSynced(folder) : undefined,
    )

    expect(await problemsIn(states, ledger)).toEqual([])
  })

  it('loses nothing acknowledged when any part of what was not synced is lost', async () => {
    const { steps, ledger } = await recording()
    const chosen = new Set(random.sample(steps, statesMax / 3))
    const numbers = random.fork()

    const states = statesOf(steps, (disk, next) =>
      next === undefined || chosen.has(next)
        ? (folder) => disk.writeSome(folder, numbers)
        : undefined,
    )

    expect(await problemsIn(states, ledger)).toEqual([])
  })

  it('takes nothing acknowledged along when it is the end of the process alone', async () => {
    const { steps, ledger } = await recording()
    const chosen = new Set(random.sample(steps, statesMax / 6))

    const states = statesOf(steps, (disk, next) =>
      next === undefined || chosen.has(next) ? (folder) => disk.writeSeen(folder) : undefined,
    )

    expect(await problemsIn(states, ledger)).toEqual([])
  })
})

describe('the replay of a recording', () => {
  it.each([
    ['files', /^data\/uploads\//],
    ['folders of blobs', /^data\/blobs\/sha256\/..$/],
    ['the folder above those', /^data\/blobs\/sha256$/],
    ['the log of the database', /-wal$/],
    ['the data directory', /^data$/],
    ['the folder that holds it', /^$/],
  ])('finds what is lost without the syncs of %s', async (_what, path) => {
    const { stepsOfFirstLife: steps, ledger } = await recording()
    const others = steps.filter((step) => step.kind !== 'sync' || !path.test(step.path))

    expect(await problemsIn(endOf(steps), ledger)).toEqual([])
    expect(await problemsIn(endOf(others), ledger)).not.toEqual([])
  })
})

/**
 * A registry that starts in a folder that is not there, works for one client and then for several, and
 * is killed; and one that starts there again an hour later, works, and is stopped.
 */
async function recordTwoLives(): Promise<Recording> {
  const folder = await temporaryDirectory()
  const dataDirectory = path.join(folder, 'data')
  const ledger = new Ledger()
  const stepsOfFirstLife = await record(folder, { dataDirectory }, async (berth) => {
    await send(berth, ledger, oneOfEach('first', random))
    await sendLoad(berth, ledger)
    process.kill(await tracedPid(berth), 'SIGKILL')
  })
  const inUnsynced = blobForNewFolder(folder)
  const unsynced = await makeUnsynced(folder, folderOf(inUnsynced))
  const stepsOfSecondLife = await record(
    folder,
    { dataDirectory, ...anHourLater },
    async (berth) => {
      await send(berth, ledger, [(client) => client.pushBlob('unsynced/app', inUnsynced)])
      await send(berth, ledger, oneOfEach('second', random))
      process.kill(await tracedPid(berth), 'SIGTERM')
    },
  )
  const steps = oneAfterTheOther([stepsOfFirstLife, [unsynced], stepsOfSecondLife])
  return { steps, stepsOfFirstLife, ledger }
}

async function send({ url }: Berth, ledger: Ledger, acts: readonly Act[]): Promise<void> {
  const client = new LedgerClient(url, ledger)
  for (const act of acts) await act(client)
  client.close()
}

const clients = 4
const actsOfEach = 8

async function sendLoad({ url }: Berth, ledger: Ledger): Promise<void> {
  const load = new Load(ledger)
  const work = async (numbers: Random) => {
    const client = load.client(url)
    for (let count = 0; count < actsOfEach; count++) await load.act(client, numbers)
    client.close()
  }
  await Promise.all(Array.from({ length: clients }, () => work(random.fork())))
}

/** The folder that the file of a blob goes into. */
function folderOf(blob: Buffer): string {
  const hex = sha256(blob).slice('sha256:'.length)
  return path.join('data', 'blobs', 'sha256', hex.slice(0, 2))
}

/** A blob that no folder is there for yet. */
function blobForNewFolder(folder: string): Buffer {
  for (;;) {
    const blob = random.bytes(100_000)
    if (!existsSync(path.join(folder, folderOf(blob)))) return blob
  }
}

/** What a process does last that is killed before it can sync the folder above. */
async function makeUnsynced(folder: string, named: string): Promise<Step> {
  await mkdir(path.join(folder, named), { recursive: true })
  return { kind: 'makeFolder', path: named, begunAt: 1, doneAt: 1 }
}

const statesAtOnce = 3

/** Looking at more of them would say nothing new. */
const brokenStatesMax = 3

/** Starts a registry on each state, and says what is not there that was acknowledged. */
async function problemsIn(states: Iterable<State>, ledger: Ledger): Promise<string[]> {
  const problems: string[] = []
  const underWay = new Set<Promise<void>>()
  let count = 0
  for (const state of states) {
    if (problems.length >= brokenStatesMax) break
    const folder = mkdtempSync(path.join(fastFolder, 'berth-cut-'))
    state.write(folder)
    const look = problemsOf(state, folder, ledger).then((found) => {
      if (found.length > 0) problems.push(`${state.name}:\n${found.join('\n')}`)
    })
    const looked = look.finally(() => underWay.delete(looked))
    underWay.add(looked)
    if (underWay.size >= statesAtOnce) await Promise.race(underWay)
    count++
  }
  await Promise.all(underWay)
  process.stdout.write(`${count} states\n`)
  return problems
}

async function problemsOf(state: State, folder: string, ledger: Ledger): Promise<string[]> {
  try {
    const dataDirectory = path.join(folder, 'data')
    const found = await problemsServed(state, dataDirectory, ledger)
    return [...found, ...(await verifyStore(dataDirectory))]
  } catch (error) {
    return [String(error)]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function problemsServed(
  { isAcknowledged }: State,
  dataDirectory: string,
  ledger: Ledger,
): Promise<string[]> {
  const server = await startServer({
    config: testConfig(dataDirectory),
    log: pino({ level: 'silent' }),
    onDurabilityLost(error) {
      throw error
    },
  })
  try {
    const url = `http://127.0.0.1:${server.address.port}`
    const possible = (key: string) => ledger.possible(key, isAcknowledged)
    const { problems } = await inspect(url, ledger, { possible })
    await pushMore(url)
    return [...problems]
  } finally {
    await server.close()
  }
}

const smallLayer = Buffer.from('what is pushed after a power cut')
const largeLayer = Buffer.alloc(70_000, 'what is pushed after a power cut')

/** What is there again has to take something, too. */
async function pushMore(url: string): Promise<void> {
  const ledger = new Ledger()
  const client = new LedgerClient(url, ledger)
  for (const blob of [smallLayer, largeLayer]) await client.pushBlob('after/app', blob)
  await client.putManifest('after/app', imageOf(smallLayer, [largeLayer]), 'latest')
  client.close()
  const { problems } = await inspect(url, ledger)
  if (problems.length > 0) throw new Error(problems.join('\n'))
}
