import { mkdir, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { startBerth } from './support/berth.js'
import type { Failure } from './support/failing-calls.js'
import { inspect, requireInOrder } from './support/inspection.js'
import { Ledger } from './support/ledger.js'
import { imageOf, LedgerClient } from './support/ledger-client.js'
import { oneOfEach } from './support/one-of-each.js'
import { MIB } from './support/images.js'
import { run } from './support/run.js'
import { printedSeed, Random } from './support/random.js'
import { ENDED, Trial } from './support/trial.js'
import { verifyStore } from './support/verify-store.js'

/** Of each kind of failure so many calls fail, one at a time; each with BERTH_TEST_FAILURES=all. */
const wanted = process.env['BERTH_TEST_FAILURES'] ?? '5'
const callsMax = wanted === 'all' ? Infinity : Number(wanted)

const random = new Random(printedSeed('failing calls'))

const whileServing: readonly Failure[] = [
  { kind: 'write', error: 'ENOSPC', part: '/uploads/' },
  { kind: 'write', error: 'EIO', part: '/uploads/' },
  // SQLITE_FULL.
  { kind: 'write', error: 'ENOSPC', part: '-wal' },
  { kind: 'write', error: 'EIO', part: '-wal' },
  { kind: 'write', error: 'short' },
  { kind: 'read', error: 'EIO' },
  { kind: 'read', error: 'short' },
  { kind: 'open', error: 'EMFILE' },
  { kind: 'open', error: 'EIO' },
  { kind: 'open', error: 'ENOSPC' },
  { kind: 'sync', error: 'EIO' },
  { kind: 'rename', error: 'ENOSPC' },
  { kind: 'rename', error: 'EIO' },
  { kind: 'unlink', error: 'EIO' },
  { kind: 'mkdir', error: 'ENOSPC' },
]

const atStartAndStop: readonly Failure[] = [
  { kind: 'write', error: 'ENOSPC' },
  { kind: 'write', error: 'EIO' },
  { kind: 'write', error: 'short' },
  { kind: 'read', error: 'EIO' },
  { kind: 'open', error: 'EMFILE' },
  { kind: 'sync', error: 'EIO' },
  { kind: 'unlink', error: 'EIO' },
  { kind: 'mkdir', error: 'ENOSPC' },
  { kind: 'truncate', error: 'EIO' },
]

const nameOf = ({ kind, error, part }: Failure) => [kind, error, part].join(' ').trim()
const named = (failures: readonly Failure[]) =>
  failures.map((failure) => [nameOf(failure), failure] as const)

/** What tells clients that there is no room, and nothing else does. */
const NO_ROOM = '507'

/** What tells them that it is not for long. */
const TRY_AGAIN = '503'

describe('a call that fails while requests come', () => {
  it.each(named(whileServing))('is told, and takes nothing along: %s', async (_name, failure) => {
    const trial = await Trial.start(random)
    const count = await trial.countCalls(failure)

    for (const first of chosen(count)) await trial.run({ ...failure, first })

    await trial.end()
    report(failure, count, trial.told)
    expect(count).toBeGreaterThan(0)
    if (failure.error === 'ENOSPC') expect([...trial.told.keys()]).toEqual([NO_ROOM])
    if (failure.error === 'EMFILE') expect([...trial.told.keys()]).toEqual([TRY_AGAIN])
    if (failure.error === 'short') expect([...trial.told.keys()]).toEqual([])
    if (failure.kind === 'sync') expect([...trial.told.keys()]).toEqual([ENDED])
  })
})

describe('a call that fails while a registry starts or stops', () => {
  it.each(named(atStartAndStop))('is told, and takes nothing along: %s', async (_name, failure) => {
    const trial = await Trial.start(random)
    const count = await trial.countLifeCalls(failure)

    for (const first of chosen(count, callsMax / 2)) await trial.live({ ...failure, first })

    await trial.end()
    report(failure, count, trial.told)
  })

  it.each(named(atStartAndStop))('does not spoil a new store: %s', async (_name, failure) => {
    const count = await (await Trial.prepare(random)).countLifeCalls(failure)
    const told = new Map<string, number>()

    for (const first of chosen(count, callsMax / 4)) {
      const trial = await Trial.prepare(random, told)
      await trial.live({ ...failure, first })
      await trial.end()
    }

    report(failure, count, told)
  })
})

describe('a database that another process has locked', () => {
  it('is waited for, and reads go on meanwhile', async () => {
    const ledger = new Ledger()
    const berth = await startBerth({ settings: { BERTH_LOG_LEVEL: 'error' } })
    const client = new LedgerClient(berth.url, ledger)
    for (const act of oneOfEach('before', random)) await act(client)

    const lock = new Database(path.join(berth.dataDirectory, 'berth.db'))
    lock.exec('begin immediate')
    const { keys } = ledger
    const waiting = client.pushBlob('locked/app', random.bytes(1000))
    const { problems } = await inspect(berth.url, ledger, { keys })
    lock.exec('rollback')

    expect(problems).toEqual([])
    expect((await waiting).status).toBe(201)
    lock.close()
  })

  it('answers 503 when it takes too long, and then goes on', async () => {
    const ledger = new Ledger()
    const berth = await startBerth({ settings: { BERTH_LOG_LEVEL: 'error' } })
    const client = new LedgerClient(berth.url, ledger, { failures: [503] })
    const bytes = random.bytes(1000)

    const lock = new Database(path.join(berth.dataDirectory, 'berth.db'))
    lock.exec('begin immediate')
    const refused = await client.pushBlob('locked/app', bytes)
    lock.exec('rollback')
    lock.close()
    const again = await client.pushBlob('locked/app', bytes)

    expect([refused.status, again.status]).toEqual([503, 201])
    await requireInOrder(berth.url, ledger)
  })
})

describe('a small disk that fills up', () => {
  it('has room for deletes and reads when pushes are refused', async () => {
    const disk = await smallDisk(40 * MIB)
    const dataDirectory = path.join(disk, 'data')
    const ledger = new Ledger()
    const berth = await startBerth({ dataDirectory, settings: { BERTH_LOG_LEVEL: 'error' } })
    const client = new LedgerClient(berth.url, ledger, { failures: [507] })
    for (const act of oneOfEach('before', random)) await act(client)

    const statuses = new Set<number>()
    while (!statuses.has(507)) {
      const [layer, config] = [random.bytes(3 * MIB), random.bytes(100)]
      for (const blob of [layer, config]) {
        statuses.add((await client.pushBlob('full/app', blob)).status)
      }
      if (statuses.has(507)) break
      await client.putManifest('full/app', imageOf(config, [layer]), 'latest')
    }
    const deleted = await client.deleteTag('full/app', 'latest')
    const { problems } = await inspect(berth.url, ledger)

    expect([...statuses]).toEqual([201, 507])
    expect(deleted.status).toBe(202)
    expect(problems).toEqual([])
    await berth.kill()
    const next = await startBerth({ dataDirectory })
    await requireInOrder(next.url, ledger)
    await next.kill()
    expect(await verifyStore(dataDirectory)).toEqual([])
  })
})

/** A real file system of so many bytes, in a file; gone with the test. */
async function smallDisk(sizeBytes: number): Promise<string> {
  const folder = await temporaryDirectory()
  const [image, disk] = [path.join(folder, 'image'), path.join(folder, 'disk')]
  await writeFile(image, '')
  await truncate(image, sizeBytes)
  await run('mkfs.ext4', ['-q', '-F', image])
  await mkdir(disk)
  await run('mount', ['-o', 'loop', image, disk])
  onTestFinished(async () => void (await run('umount', ['--lazy', disk])))
  return disk
}

function report(failure: Failure, count: number, told: ReadonlyMap<string, number>): void {
  const answers = [...told].map(([status, times]) => `${status} ${times} times`)
  process.stdout.write(`${nameOf(failure)}: ${count} calls; ${answers.join(', ') || 'all done'}\n`)
}

/** Which of so many calls fail, one at a time. */
function chosen(count: number, max = callsMax): number[] {
  return random.sample(
    Array.from({ length: count }, (_, index) => index + 1),
    max,
  )
}
