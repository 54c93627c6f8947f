import { mkdir, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { startTestServer } from '../support/server.js'
import { startBerth, type Berth } from './support/berth.js'
import { FailingCalls, type Failure } from './support/failing-calls.js'
import type { Answer } from './support/http-client.js'
import { inspect, requireInOrder } from './support/inspection.js'
import { Ledger } from './support/ledger.js'
import { ConnectionLostError, imageOf, isDone, LedgerClient } from './support/ledger-client.js'
import { oneOfEach, type Act } from './support/one-of-each.js'
import { MIB } from './support/images.js'
import { run } from './support/run.js'
import { printedSeed, Random } from './support/random.js'
import { uploadFiles, verifyStore } from './support/verify-store.js'

/** Of each kind of failure so many calls fail, one at a time; each with BERTH_TEST_FAILURES=all. */
const wanted = process.env['BERTH_TEST_FAILURES'] ?? '5'
const callsMax = wanted === 'all' ? Infinity : Number(wanted)

const dayMs = 24 * 60 * 60 * 1000

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

describe('a call that fails while requests come', () => {
  it.each(named(whileServing))('is told, and takes nothing along: %s', async (_name, failure) => {
    const trial = await Trial.start()
    const count = await trial.countCalls(failure)

    for (const first of chosen(count)) await trial.run({ ...failure, first })

    await trial.end()
    report(failure, count, trial.told)
    expect(count).toBeGreaterThan(0)
    if (failure.error === 'ENOSPC') expect([...trial.told.keys()]).toEqual([NO_ROOM])
    if (failure.error === 'short') expect([...trial.told.keys()]).toEqual([])
    if (failure.kind === 'sync') expect([...trial.told.keys()]).toEqual([ENDED])
  })
})

describe('a call that fails while a registry starts or stops', () => {
  it.each(named(atStartAndStop))('is told, and takes nothing along: %s', async (_name, failure) => {
    const trial = await Trial.start()
    const count = await trial.countLifeCalls(failure)

    for (const first of chosen(count, callsMax / 2)) await trial.live({ ...failure, first })

    await trial.end()
    report(failure, count, trial.told)
  })

  it.each(named(atStartAndStop))('does not spoil a new store: %s', async (_name, failure) => {
    const count = await (await Trial.prepare()).countLifeCalls(failure)
    const told = new Map<string, number>()

    for (const first of chosen(count, callsMax / 4)) {
      const trial = await Trial.prepare(told)
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

/** How often a client asks for the same. */
const attemptsMax = 2

/** What is noted beside statuses: the process ended, at work or before it could work. */
const ENDED = 'ended'
const NOT_STARTED = 'not started'

/** One data directory, and the registries that have it one after the other. */
class Trial {
  readonly #calls: FailingCalls
  readonly #dataDirectory: string
  readonly #ledger = new Ledger()
  #running: { readonly berth: Berth; readonly client: LedgerClient } | undefined
  /** How often clients were told of a failure, by how. */
  readonly told: Map<string, number>

  private constructor(calls: FailingCalls, dataDirectory: string, told: Map<string, number>) {
    this.#calls = calls
    this.#dataDirectory = dataDirectory
    this.told = told
  }

  /** Without a registry, and without a data directory. */
  static async prepare(told = new Map<string, number>()): Promise<Trial> {
    const folder = await temporaryDirectory()
    return new Trial(await FailingCalls.prepare(folder), path.join(folder, 'data'), told)
  }

  /** With a registry that has had every kind of request. */
  static async start(): Promise<Trial> {
    const trial = await Trial.prepare()
    await trial.#start()
    await trial.#sendAll('first')
    return trial
  }

  /** How many calls there are while everything is asked for, when none fails. */
  async countCalls(failure: Failure): Promise<number> {
    this.#calls.expect(failure)
    await this.#sendAll('count')
    return this.#stopCounting()
  }

  /** Clients ask for everything, and again for what failed. Then the process is killed. */
  async run(failure: Failure & { readonly first: number }): Promise<void> {
    this.#calls.expect(failure)
    await this.#sendAll(`n${failure.first}`)
    this.#calls.stop()

    const { berth } = this.#requireRunning()
    const keys = this.#ledger.changedKeys
    const { problems } = await inspect(berth.url, this.#ledger, { keys })
    expect(problems).toEqual([])
    await this.#kill()
    await this.#start()
    await requireInOrder(this.#requireRunning().berth.url, this.#ledger, { keys })
  }

  /** How many calls there are from a start after a kill to an orderly end, when none fails. */
  async countLifeCalls(failure: Failure): Promise<number> {
    await this.#kill()
    this.#calls.expect(failure)
    await this.#start()
    await this.#stop()
    return this.#stopCounting()
  }

  /** A registry starts, is asked for something, and stops, or does what it can of that. */
  async live(failure: Failure & { readonly first: number }): Promise<void> {
    await this.#kill()
    this.#calls.expect(failure)
    if (await this.#startIfPossible()) {
      await this.#stop()
    } else {
      this.#note(NOT_STARTED)
    }
    this.#calls.stop()

    await this.#start()
    await this.#sendAll(`n${failure.first}`)
    const { berth } = this.#requireRunning()
    await requireInOrder(berth.url, this.#ledger)
  }

  /** Everything is there still, and no session has left anything when it is over. */
  async end(): Promise<void> {
    await this.#kill()
    const left = await startTestServer({
      dataDirectory: this.#dataDirectory,
      now: () => Date.now() + 2 * dayMs,
    })
    await requireInOrder(left.url, this.#ledger)
    await left.server.housekeeping.round()
    await left.server.close()
    expect(await uploadFiles(this.#dataDirectory)).toEqual([])
    expect(await verifyStore(this.#dataDirectory)).toEqual([])
  }

  async #sendAll(prefix: string): Promise<void> {
    for (const act of oneOfEach(prefix, random)) await this.#sendUntilDone(act)
  }

  async #sendUntilDone(act: Act): Promise<void> {
    let hasEnded = false
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const answer = await this.#send(act)
      if (answer === undefined) hasEnded = true
      else if (isDone(answer) || (hasEnded && answer.status === 404)) return
      else this.#note(String(answer.status), answer)
    }
    throw new Error(`it fails again, although nothing fails any more: ${this.#output()}`)
  }

  /** @returns undefined when the process ended instead of answering, as it should; it is back then */
  async #send(act: Act): Promise<Answer | undefined> {
    const { berth, client } = this.#requireRunning()
    try {
      return await act(client)
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
      const code = await Promise.race([berth.exitCode(), delay(5000, 'none: it runs on')])
      expect(code, berth.output()).toBe(1)
      this.#note(ENDED)
      await this.#kill()
      await this.#start()
      return undefined
    }
  }

  #note(told: string, answer?: Answer): void {
    this.told.set(told, (this.told.get(told) ?? 0) + 1)
    if (answer === undefined) return
    const text = answer.body.toString()
    expect(JSON.parse(text)).toMatchObject({
      errors: [{ code: expect.any(String) as string, message: expect.any(String) as string }],
    })
    expect(text).not.toContain(this.#dataDirectory)
  }

  async #start(): Promise<void> {
    const berth = await startBerth({
      dataDirectory: this.#dataDirectory,
      settings: { ...this.#calls.settings, BERTH_LOG_LEVEL: 'error' },
    })
    const client = new LedgerClient(berth.url, this.#ledger, { failures: [500, 503, 507] })
    this.#running = { berth, client }
  }

  /** A start that fails says why, in a line for a person. */
  async #startIfPossible(): Promise<boolean> {
    try {
      await this.#start()
      return true
    } catch (error) {
      expect(String(error)).toMatch(/has ended:\n(berth: .+\n)+$/)
      return false
    }
  }

  /** In good order, or at once when that is not possible. */
  async #stop(): Promise<void> {
    const { berth, client } = this.#requireRunning()
    client.close()
    process.kill(berth.pid)
    const code = await Promise.race([berth.exitCode(), delay(20_000, 'none: it runs on')])
    expect([0, 1], berth.output()).toContain(code)
    if (code === 1) this.#note(ENDED)
    this.#running = undefined
  }

  async #kill(): Promise<void> {
    this.#running?.client.close()
    await this.#running?.berth.kill()
    this.#running = undefined
  }

  #stopCounting(): number {
    const { calls } = this.#calls.counts
    this.#calls.stop()
    return calls
  }

  #requireRunning() {
    if (this.#running === undefined) throw new Error('no registry runs')
    return this.#running
  }

  #output(): string {
    return this.#running?.berth.output() ?? ''
  }
}
