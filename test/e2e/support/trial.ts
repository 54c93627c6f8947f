import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { temporaryDirectory } from '../../support/directories.js'
import { startTestServer } from '../../support/server.js'
import { startBerth, type Berth } from './berth.js'
import { FailingCalls, type Failure } from './failing-calls.js'
import type { Answer } from './http-client.js'
import { inspect, requireInOrder } from './inspection.js'
import { Ledger } from './ledger.js'
import { ConnectionLostError, isDone, LedgerClient } from './ledger-client.js'
import { oneOfEach, type Act } from './one-of-each.js'
import type { Random } from './random.js'
import { uploadFiles, verifyStore } from './verify-store.js'

/** How often a client asks for the same. */
const attemptsMax = 2

/** After its last connection was lost: a sync that does not return holds up the end. */
const endedWithinMs = 60_000

const hourMs = 60 * 60 * 1000

/** Sessions expire within the hour, and leases do not. */
const config = { uploads: { expireSeconds: 60 } }

/** What is noted beside statuses: the process ended, at work or before it could work. */
export const ENDED = 'ended'
const NOT_STARTED = 'not started'

/** One data directory, and the registries that have it one after the other. */
export class Trial {
  readonly #calls: FailingCalls
  readonly #dataDirectory: string
  readonly #random: Random
  readonly #ledger = new Ledger()
  #running: { readonly berth: Berth; readonly client: LedgerClient } | undefined
  /** How often clients were told of a failure, by how. */
  readonly told: Map<string, number>

  private constructor(
    calls: FailingCalls,
    dataDirectory: string,
    { random, told }: { readonly random: Random; readonly told: Map<string, number> },
  ) {
    this.#calls = calls
    this.#dataDirectory = dataDirectory
    this.#random = random
    this.told = told
  }

  /** Without a registry, and without a data directory. */
  static async prepare(random: Random, told = new Map<string, number>()): Promise<Trial> {
    const folder = await temporaryDirectory()
    const calls = await FailingCalls.prepare(folder)
    return new Trial(calls, path.join(folder, 'data'), { random, told })
  }

  /** With a registry that has had every kind of request. */
  static async start(random: Random): Promise<Trial> {
    const trial = await Trial.prepare(random)
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
      config,
      now: () => Date.now() + hourMs,
    })
    await requireInOrder(left.url, this.#ledger)
    await left.server.housekeeping.round()
    await left.server.close()
    expect(await uploadFiles(this.#dataDirectory)).toEqual([])
    expect(await verifyStore(this.#dataDirectory)).toEqual([])
  }

  async #sendAll(prefix: string): Promise<void> {
    for (const act of oneOfEach(prefix, this.#random)) await this.#sendUntilDone(act)
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
      const code = await Promise.race([berth.exitCode(), delay(endedWithinMs, 'none: it runs on')])
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
    const code = await berth.stop()
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
