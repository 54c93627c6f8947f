import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { RegistryError } from '../errors.js'
import type {
  CollectedStep,
  CollectionPlan,
  CollectTerms,
  MetadataStore,
  Removed,
  ReviewPosition,
  RunStatus,
} from '../metadata/metadata-store.js'
import type { FileRemovals } from '../registry/file-removals.js'

export interface CollectorOptions {
  readonly now: () => number
  readonly undoMs: number
  readonly sliceMs: number
  readonly brakePercent: number
  readonly untagged: CollectTerms['untagged']
}

/** What a run is asked for. */
export interface CollectRequest {
  /** Only says what would go. */
  readonly dryRun?: boolean
  /** Does not wait for leases that were fulfilled, nor for manifests without a tag to age. */
  readonly now?: boolean
  /** As `now`; and what could be brought back goes too. */
  readonly purge?: boolean
  /** Goes on where the brake would stop it. */
  readonly confirm?: boolean
}

/** How much went, or would go. */
export interface CollectTally {
  readonly manifests: number
  readonly blobs: number
  readonly repositories: number
  readonly bytes: number
}

export interface CollectReport {
  readonly planned?: CollectTally & { readonly bytesOfAll: number }
  readonly removed: CollectTally
  /** Of a run that removes nothing: the first thousand of what would go. */
  readonly wouldRemove?: readonly Removed[]
  /** For a person, where it has not come to its end. */
  readonly message?: string
}

export interface CollectOutcome {
  readonly runId: number
  readonly status: RunStatus
  readonly report: CollectReport
}

const NOTHING: CollectTally = { manifests: 0, blobs: 0, repositories: 0, bytes: 0 }

/** After the brake has stopped a run that nobody asked for, the next one looks again so much later. */
const brakedMs = 60 * 60 * 1000

/** How much history is forgotten at once. */
const historyBatch = 250

/**
 * Collects garbage while everything goes on: finds out what would go, stops where that is too much,
 * and removes it in small steps. What may go is decided by the metadata store, inside the transaction
 * that removes it.
 */
export class Collector {
  readonly #metadata: MetadataStore
  readonly #removals: FileRemovals
  readonly #log: FastifyBaseLogger
  readonly #options: CollectorOptions
  #isRunning = false
  #notBefore = 0

  constructor(
    metadata: MetadataStore,
    removals: FileRemovals,
    log: FastifyBaseLogger,
    options: CollectorOptions,
  ) {
    this.#metadata = metadata
    this.#removals = removals
    this.#log = log
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /**
   * Runs once, as somebody has asked for, and gives what became of it.
   *
   * @param signal - ends the run between two steps; what it has removed is removed
   * @throws {@link RegistryError} `CONFLICT` while another run is under way
   */
  run(request: CollectRequest, identity: string, signal: AbortSignal): Promise<CollectOutcome> {
    return this.#alone(async () => {
      const terms = this.#termsOf(request)
      const at = this.#options.now()
      const report: CollectReport = { removed: NOTHING }
      const begun = { kind: 'gc', at, identity, options: request, report } as const
      const runId = await this.#metadata.beginRun(begun)
      return this.#recorded(runId, async () => {
        const plan = await this.#metadata.planCollection(terms)
        if (request.dryRun) return this.#told(plan)
        if (request.confirm !== true && this.#isTooMuch(plan)) return this.#braked(plan)
        return this.#remove(terms, plan, request.confirm === true, runId, signal)
      })
    })
  }

  /**
   * Runs when anything is due. A run that finds nothing to remove is not worth a line anywhere.
   *
   * @throws what the stores throw
   */
  async runIfDue(signal: AbortSignal): Promise<void> {
    const at = this.#options.now()
    if (this.#isRunning || at < this.#notBefore) return
    if (!(await this.#metadata.hasDue({ at, undoMs: this.#options.undoMs }))) return
    await this.#alone(async () => {
      const terms = this.#termsOf({})
      const plan = await this.#metadata.planCollection(terms)
      if (plan.manifests + plan.blobs + plan.repositories === 0) {
        await this.#remove(terms, plan, false, undefined, signal)
        return
      }
      const report: CollectReport = { removed: NOTHING }
      const identity = 'schedule'
      const begun = { kind: 'gc', at, identity, options: {}, report } as const
      const runId = await this.#metadata.beginRun(begun)
      const { status } = await this.#recorded(runId, async () =>
        this.#isTooMuch(plan)
          ? this.#braked(plan)
          : this.#remove(terms, plan, false, runId, signal),
      )
      if (status === 'braked') this.#notBefore = at + brakedMs
    })
  }

  /** Forgets what happened before a time, a little at a time. */
  async forgetHistory(before: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await this.#metadata.forgetHistory(before, historyBatch)));
  }

  async #remove(
    terms: CollectTerms,
    plan: CollectionPlan,
    isConfirmed: boolean,
    runId: number | undefined,
    signal: AbortSignal,
  ): Promise<{ status: RunStatus; report: CollectReport }> {
    const planned = tallyOfPlan(plan)
    let removed = NOTHING
    let after: ReviewPosition | undefined
    let isDone = false
    do {
      const startedAt = performance.now()
      const step = await this.#removals.step(() => this.#collectSome(terms, after, runId), signal)
      if (step === undefined) break
      removed = step.removed.reduce(added, removed)
      // The plan may be older than what has become due since.
      if (!isConfirmed && step.next && this.#isShare(removed.bytes, plan.bytesOfAll)) {
        return { status: 'braked', report: { planned, removed, message: this.#brakeText(plan) } }
      }
      isDone = step.next === undefined
      after = step.next
      // As long as the step took, others have the disk and the database for themselves.
      if (after) await delay(performance.now() - startedAt)
    } while (after && !signal.aborted)
    if (isDone) return { status: 'done', report: { planned, removed } }
    const message = 'the run was stopped; the next one goes on'
    return { status: 'stopped', report: { planned, removed, message } }
  }

  async #collectSome(
    terms: CollectTerms,
    after: ReviewPosition | undefined,
    runId: number | undefined,
  ): Promise<CollectedStep> {
    const { sliceMs } = this.#options
    const step = await this.#metadata.collect({ ...terms, sliceMs, ...(after && { after }) })
    for (const one of step.removed) this.#tell(one, runId)
    if (step.removed.some(({ isFile }) => isFile)) await this.#removals.finish()
    return step
  }

  #told(plan: CollectionPlan): { status: RunStatus; report: CollectReport } {
    const wouldRemove = plan.removed
    return {
      status: 'done',
      report: { planned: tallyOfPlan(plan), removed: NOTHING, wouldRemove },
    }
  }

  #braked(plan: CollectionPlan): { status: RunStatus; report: CollectReport } {
    const message = this.#brakeText(plan)
    this.#log.warn({ bytes: plan.bytes, bytesOfAll: plan.bytesOfAll }, message)
    return {
      status: 'braked',
      report: { planned: tallyOfPlan(plan), removed: NOTHING, wouldRemove: plan.removed, message },
    }
  }

  #brakeText({ bytes, bytesOfAll }: CollectionPlan): string {
    return `this run would remove ${bytes} of ${bytesOfAll} bytes, more than gc.brakePercent (${this.#options.brakePercent} %) allows; look at berth gc --dry-run, then let it go on with berth gc --confirm`
  }

  #isTooMuch({ bytes, bytesOfAll }: CollectionPlan): boolean {
    return this.#isShare(bytes, bytesOfAll)
  }

  #isShare(bytes: number, bytesOfAll: number): boolean {
    const { brakePercent } = this.#options
    return brakePercent < 100 && bytes * 100 > bytesOfAll * brakePercent
  }

  #tell({ kind, repository, digest, sizeBytes, reason, dueAt }: Removed, runId?: number): void {
    const removed = { kind, repository, digest, sizeBytes, reason, dueAt, runId }
    if (kind === 'link') this.#log.debug(removed, 'a repository has lost a blob it did not need')
    else this.#log.info(removed, 'collected')
  }

  #termsOf({ now = false, purge = false }: CollectRequest): CollectTerms {
    const { now: clock, undoMs, untagged } = this.#options
    return { at: clock(), undoMs: purge ? 0 : undoMs, skipWaits: now || purge, untagged }
  }

  async #recorded(
    runId: number,
    work: () => Promise<{ status: RunStatus; report: CollectReport }>,
  ): Promise<CollectOutcome> {
    const end = async (status: RunStatus, report: CollectReport) => {
      const finishedAt = this.#options.now()
      await this.#metadata.recordRun({ id: runId, status, report, finishedAt })
      return { runId, status, report }
    }
    try {
      const { status, report } = await work()
      return await end(status, report)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      await end('failed', { removed: NOTHING, message }).catch(() => undefined)
      throw error
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isRunning) {
      throw new RegistryError('CONFLICT', 'garbage is being collected already; wait for that run')
    }
    this.#isRunning = true
    try {
      return await work()
    } finally {
      this.#isRunning = false
    }
  }
}

function tallyOfPlan(plan: CollectionPlan): CollectTally & { readonly bytesOfAll: number } {
  const { manifests, blobs, repositories, bytes, bytesOfAll } = plan
  return { manifests, blobs, repositories, bytes, bytesOfAll }
}

function added(tally: CollectTally, { kind, sizeBytes }: Removed): CollectTally {
  return {
    manifests: tally.manifests + (kind === 'manifest' ? 1 : 0),
    blobs: tally.blobs + (kind === 'blob' ? 1 : 0),
    repositories: tally.repositories + (kind === 'repository' ? 1 : 0),
    bytes: tally.bytes + sizeBytes,
  }
}
