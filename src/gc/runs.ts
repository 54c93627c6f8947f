import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError, RegistryError } from '../errors.js'
import { BERTH, type AuditLog } from '../events/audit.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Run, RunKind, RunStatus } from '../metadata/runs.js'

export interface RunsOptions {
  readonly metadata: MetadataStore
  readonly audit: Pick<AuditLog, 'note'>
  readonly log: FastifyBaseLogger
  readonly now: () => number
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/** Who begins what is due by the clock. */
export const SCHEDULE = 'schedule'

/** How a run has ended. */
export interface Ending<Report> {
  readonly status: Exclude<RunStatus, 'running'>
  readonly report: Report
  /** Where a later one can go on with it. */
  readonly position?: string
}

/** What an end is in the audit trail: the brake has refused the rest of it. */
const RESULTS = { done: 'done', braked: 'refused', failed: 'failed', stopped: 'failed' } as const

/** How often is written down how far a run has come. */
const progressMs = 2_000

/** A run while it is under way. */
export interface RunUnderWay<Report> {
  readonly id: number
  /** Asks it to end soon. */
  readonly signal: AbortSignal
  /** Whether it is asked so for good, and not because the process ends. */
  isCancelled(): boolean
  /** Writes down how far it has come. */
  record(report: Report, position?: string): Promise<void>
  /** Tells how far it has come: written down now and then, and where it fails. */
  readonly progress: (report: Report) => Promise<void>
}

export interface BegunRun<Report> {
  readonly id: number
  /** @throws what the run has thrown, which is written down and logged already */
  readonly ended: Promise<Ending<Report> & { readonly id: number }>
}

/** The runs of one kind, one at a time, each with its row. */
export class Runs<Report extends object> {
  readonly #kind: RunKind
  readonly #options: RunsOptions
  #stop = new AbortController()
  #isClosed = false
  #underWay: Promise<void> | undefined
  /** Runs whose work may be over, until their rows say so. */
  readonly #ending = new Set<Promise<unknown>>()

  constructor(kind: RunKind, options: RunsOptions) {
    this.#kind = kind
    this.#options = options
  }

  get areUnderWay(): boolean {
    return this.#underWay !== undefined
  }

  /** Whether the row of each run says how it has ended, or never will. */
  get areSettled(): boolean {
    return this.#underWay === undefined && this.#ending.size === 0
  }

  /**
   * Begins a run, and leaves it to itself.
   *
   * @param asked - what it was asked for, as plain JSON
   * @param report - what it has found before it has begun
   * @throws {@link RegistryError} `CONFLICT` while another one of its kind is under way
   */
  async begin(
    asked: object,
    identity: string,
    report: Report,
    work: (run: RunUnderWay<Report>) => Promise<Ending<Report>>,
  ): Promise<BegunRun<Report>> {
    const { metadata, now } = this.#options
    const kind = this.#kind
    const release = this.#occupy()
    let id: number
    try {
      id = await metadata.beginRun({ kind, at: now(), identity, options: asked, report })
    } catch (error) {
      release()
      throw error
    }
    // Of what somebody has asked for, the request tells.
    if (identity === SCHEDULE) {
      this.#options.audit.note({ action: `${kind}.begin`, details: { options: asked, run: id } })
    }
    return this.#leave({ id, identity, report }, work, release)
  }

  /**
   * Goes on with a run that was interrupted.
   *
   * @throws {@link RegistryError} `CONFLICT`
   */
  async goOn(
    { id, identity, report, position }: Run,
    work: (run: RunUnderWay<Report>) => Promise<Ending<Report>>,
  ): Promise<BegunRun<Report>> {
    const release = this.#occupy()
    try {
      await this.#options.metadata.recordRun({ id, status: 'running', report, position })
    } catch (error) {
      release()
      throw error
    }
    return this.#leave({ id, identity, report: report as Report }, work, release)
  }

  /**
   * Runs without a row: for what will find nothing to tell of.
   *
   * @throws {@link RegistryError} `CONFLICT`; what the work throws
   */
  async runQuietly<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const release = this.#occupy()
    try {
      return await work(this.#stop.signal)
    } finally {
      release()
    }
  }

  /** Asks the run under way to end for good, and waits for it. */
  async cancel(): Promise<void> {
    this.#stop.abort()
    await this.#underWay
    await Promise.allSettled(this.#ending)
  }

  /** Asks the run under way to end, waits for it, and has no other begin. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.cancel()
  }

  /** Keeps others away until what this gives is called. */
  #occupy(): () => void {
    if (this.#underWay) {
      throw new RegistryError('CONFLICT', `a ${this.#kind} run is under way; wait for its end`)
    }
    if (this.#isClosed) throw new RegistryError('UNAVAILABLE', 'the registry is stopping')
    this.#stop = new AbortController()
    let resolve: () => void = () => undefined
    const underWay = new Promise<void>((settle) => (resolve = settle))
    this.#underWay = underWay
    return () => {
      if (this.#underWay === underWay) this.#underWay = undefined
      resolve()
    }
  }

  #leave(
    { id, identity, report }: { id: number; identity: string; report: Report },
    work: (run: RunUnderWay<Report>) => Promise<Ending<Report>>,
    release: () => void,
  ): BegunRun<Report> {
    const ended = this.#recorded(id, report, work, release).finally(release)
    void ended.then(
      ({ status }) => this.#noteEnd(id, identity, status),
      () => this.#noteEnd(id, identity, 'failed'),
    )
    this.#ending.add(ended)
    // Whoever waits for it learns of its failure; nobody need.
    ended.catch(() => undefined).finally(() => this.#ending.delete(ended))
    return { id, ended }
  }

  #noteEnd(run: number, identity: string, status: Ending<Report>['status']): void {
    this.#options.audit.note({
      actor: identity === SCHEDULE ? BERTH : identity,
      action: `${this.#kind}.end`,
      result: RESULTS[status],
      details: { run, ...(status !== 'done' && { status }) },
    })
  }

  async #recorded(
    id: number,
    initial: Report,
    work: (run: RunUnderWay<Report>) => Promise<Ending<Report>>,
    release: () => void,
  ): Promise<Ending<Report> & { readonly id: number }> {
    const { metadata, log, now, onDurabilityLost } = this.#options
    const { signal } = this.#stop
    let latest = initial
    const record = async (report: Report, position?: string) => {
      latest = report
      const row = { id, status: 'running', report } as const
      await metadata.recordRun({ ...row, ...(position !== undefined && { position }) })
    }
    let recordedAt = -Infinity
    const progress = async (report: Report) => {
      latest = report
      if (performance.now() - recordedAt < progressMs) return
      await record(report)
      recordedAt = performance.now()
    }
    const isCancelled = () => !this.#isClosed
    try {
      const ending = await work({ id, signal, isCancelled, record, progress })
      // Before anybody can read that it has ended, and ask for the next one.
      release()
      await metadata.recordRun({ id, ...ending, finishedAt: now() })
      return { id, ...ending }
    } catch (error) {
      if (error instanceof DurabilityLostError) {
        onDurabilityLost(error)
        throw error
      }
      log.error({ err: error, run: id }, `a ${this.#kind} run has failed`)
      const message = error instanceof Error ? error.message : String(error)
      const report = { ...latest, message }
      release()
      // Where that cannot be written either, the next start finds the run unfinished.
      await metadata
        .recordRun({ id, status: 'failed', report, finishedAt: now() })
        .catch(() => undefined)
      throw error
    }
  }
}
