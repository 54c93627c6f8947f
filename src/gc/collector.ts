import { setTimeout as delay } from 'node:timers/promises'
import type {
  CollectedStep,
  CollectionPlan,
  CollectTerms,
  Removed,
  ReviewPosition,
} from '../metadata/collecting.js'
import { formatBytes } from '../byte-sizes.js'
import type { FileRemovals } from '../registry/file-removals.js'
import {
  Runs,
  SCHEDULE,
  type BegunRun,
  type Ending,
  type RunsOptions,
  type RunUnderWay,
} from './runs.js'

export interface CollectorOptions extends RunsOptions {
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

/** One thing that would go, and the review that says why. */
export interface WouldRemove {
  readonly kind: Removed['kind']
  readonly repository?: string
  readonly digest?: string
  readonly sizeBytes: number
  readonly reason: string
  /** Since when it has been due, RFC 3339. */
  readonly dueSince: string
}

export interface CollectReport {
  readonly planned?: CollectTally & { readonly bytesOfAll: number }
  readonly removed: CollectTally
  /** Of a run that removes nothing: the first thousand of what would go. */
  readonly wouldRemove?: readonly WouldRemove[]
  /** For a person, where it has not come to its end. */
  readonly message?: string
}

const NOTHING: CollectTally = { manifests: 0, blobs: 0, repositories: 0, bytes: 0 }

/** After the brake has stopped a run that nobody asked for, the next one looks again so much later. */
const brakedMs = 60 * 60 * 1000

/** Between two steps, while others write: so many times as long as the step took. */
const busyPauseTimes = 3

/** How much history is forgotten at once. */
const historyBatch = 250

/**
 * Collects garbage while everything goes on: finds out what would go, stops where that is too much,
 * and removes it in small steps. What may go is decided by the metadata store, inside the transaction
 * that removes it.
 */
export class Collector {
  readonly #removals: FileRemovals
  readonly #options: CollectorOptions
  readonly #runs: Runs<CollectReport>
  #notBefore = 0

  constructor(removals: FileRemovals, options: CollectorOptions) {
    this.#removals = removals
    this.#options = options
    this.#runs = new Runs('gc', options)
  }

  get isRunning(): boolean {
    return this.#runs.areUnderWay
  }

  /**
   * Begins a run that somebody has asked for.
   *
   * @throws {@link RegistryError} `CONFLICT` while another run is under way
   */
  begin(request: CollectRequest, identity: string): Promise<BegunRun<CollectReport>> {
    const terms = this.#termsOf(request)
    return this.#runs.begin(request, identity, { removed: NOTHING }, async (run) => {
      const plan = await this.#options.metadata.planCollection(terms)
      if (request.dryRun) return this.#told(plan)
      if (request.confirm !== true && this.#isTooMuch(plan)) {
        return this.#braked(plan, { isAsked: true })
      }
      return this.#remove(terms, plan, { isConfirmed: request.confirm === true, ...run })
    })
  }

  /**
   * Runs when anything is due. A run that finds nothing to remove is not worth a row.
   *
   * @throws what the stores throw
   */
  async runIfDue(): Promise<void> {
    const { metadata, now, undoMs } = this.#options
    const at = now()
    if (this.isRunning || at < this.#notBefore) return
    if (!(await metadata.hasDue({ at, undoMs }))) return
    const terms = this.#termsOf({})
    const plan = await this.#runs.runQuietly(async (signal) => {
      const plan = await metadata.planCollection(terms)
      if (plan.manifests + plan.blobs + plan.repositories > 0) return plan
      // What is due and stays has to be put off all the same.
      await this.#remove(terms, plan, { isConfirmed: false, signal })
      return undefined
    })
    if (plan === undefined) return
    const { ended } = await this.#runs.begin({}, SCHEDULE, { removed: NOTHING }, async (run) =>
      this.#isTooMuch(plan)
        ? this.#braked(plan, { isAsked: false })
        : this.#remove(terms, plan, { isConfirmed: false, ...run }),
    )
    if ((await ended).status === 'braked') this.#notBefore = at + brakedMs
  }

  /** The bytes that a run would free at a time, if nothing changes until then. */
  async foreseen(request: CollectRequest, at: number): Promise<number> {
    const terms = { ...this.#termsOf(request), at }
    return (await this.#options.metadata.planCollection(terms)).bytes
  }

  /** Asks a run under way to end between two steps, and waits for it. */
  close(): Promise<void> {
    return this.#runs.close()
  }

  /** Forgets what happened before a time, a little at a time. */
  async forgetHistory(before: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await this.#options.metadata.forgetHistory(before, historyBatch)));
  }

  async #remove(
    terms: CollectTerms,
    plan: CollectionPlan,
    run: Pick<RunUnderWay<CollectReport>, 'signal'> &
      Partial<RunUnderWay<CollectReport>> & { readonly isConfirmed: boolean },
  ): Promise<Ending<CollectReport>> {
    const planned = tallyOfPlan(plan)
    let removed = NOTHING
    let after: ReviewPosition | undefined
    let isDone = false
    do {
      const startedAt = performance.now()
      const step = await this.#removals.step(
        () => this.#collectSome(terms, after, run.id),
        run.signal,
      )
      if (step === undefined) break
      removed = step.removed.reduce(added, removed)
      await run.progress?.({ planned, removed })
      // The plan may be older than what has become due since.
      if (!run.isConfirmed && step.next && this.#isShare(removed.bytes, plan.bytesOfAll)) {
        const message = this.#brakeText(plan)
        return { status: 'braked', report: { planned, removed, message } }
      }
      isDone = step.next === undefined
      after = step.next
      // Meanwhile others have the disk and the database for themselves.
      const pauseTimes = step.isQuiet ? 1 : busyPauseTimes
      if (after) await delay((performance.now() - startedAt) * pauseTimes)
    } while (after && !run.signal.aborted)
    if (isDone) return { status: 'done', report: { planned, removed } }
    const message = 'the run was stopped; the next one goes on'
    return { status: 'stopped', report: { planned, removed, message } }
  }

  async #collectSome(
    terms: CollectTerms,
    after: ReviewPosition | undefined,
    runId: number | undefined,
  ): Promise<CollectedStep> {
    const { metadata, sliceMs } = this.#options
    const step = await metadata.collect({ ...terms, sliceMs, ...(after && { after }) })
    for (const one of step.removed) this.#tell(one, runId)
    if (step.removed.some(({ isFile }) => isFile)) await this.#removals.finish()
    return step
  }

  #told(plan: CollectionPlan): Ending<CollectReport> {
    const wouldRemove = plan.removed.map(told)
    return {
      status: 'done',
      report: { planned: tallyOfPlan(plan), removed: NOTHING, wouldRemove },
    }
  }

  /** Those that nobody has asked for come again every hour: what would go is not kept each time. */
  #braked(plan: CollectionPlan, { isAsked }: { readonly isAsked: boolean }): Ending<CollectReport> {
    const { report } = isAsked
      ? this.#told(plan)
      : { report: { planned: tallyOfPlan(plan), removed: NOTHING } }
    const message = this.#brakeText(plan)
    this.#options.log.warn({ bytes: plan.bytes, bytesOfAll: plan.bytesOfAll }, message)
    return { status: 'braked', report: { ...report, message } }
  }

  #brakeText({ bytes, bytesOfAll }: CollectionPlan): string {
    const { brakePercent } = this.#options
    return (
      `this run would remove ${formatBytes(bytes)} of ${formatBytes(bytesOfAll)}, more than ` +
      `gc.brakePercent (${brakePercent} %) allows; look at it with --dry-run, then ` +
      'let it go on with --confirm'
    )
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
    const { log } = this.#options
    if (kind === 'link') log.debug(removed, 'a repository has lost a blob it did not need')
    else log.info(removed, 'collected')
  }

  #termsOf({ now = false, purge = false }: CollectRequest): CollectTerms {
    const { now: clock, undoMs, untagged } = this.#options
    return { at: clock(), undoMs: purge ? 0 : undoMs, skipWaits: now || purge, untagged }
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

function told({ kind, repository, digest, sizeBytes, reason, dueAt }: Removed): WouldRemove {
  return {
    ...{ kind, sizeBytes, reason, dueSince: new Date(dueAt).toISOString() },
    ...(repository !== undefined && { repository }),
    ...(digest !== undefined && { digest }),
  }
}
