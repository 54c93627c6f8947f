import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError, RegistryError } from '../errors.js'
import type { MetadataStore, Run, RunStatus } from '../metadata/metadata-store.js'
import type { VerifyContext } from './verify/context.js'
import {
  isContentStep,
  NOTHING,
  VerifyRun,
  type VerifyPosition,
  type VerifyReport,
  type VerifyRequest,
  type VerifyState,
} from './verify/verify-run.js'

export interface VerificationOptions extends Pick<
  VerifyContext,
  'now' | 'damage' | 'allowsMissingBlobs' | 'isRequired' | 'bytesPerSecond' | 'finishRemovals'
> {
  /** How long after a run that has hashed everything the next one begins by itself; 0: never. */
  readonly everyMs: number
  /** The share of all blobs that a repair may mark as lost without being told twice. */
  readonly brakePercent: number
}

/** How often is written down how far a run has come. */
const recordMs = 2_000

/** When a run by the clock has failed, the next one tries again so much later. */
const retryMs = 60 * 60 * 1000

/** Looked at for one that hashes everything: others may have come since. */
const runsSearched = 100

/** The latest, and of those that hash everything the latest too. */
export interface VerifyRuns {
  readonly last?: Run
  readonly lastContent?: Run
  /** When the next of the latter begins by itself. */
  readonly nextContentAt?: number
}

/**
 * Looks whether what the stores keep is whole, and repairs what can be: on request, and by the clock.
 * One run at a time. One that hashes everything goes on after a restart where it was.
 */
export class Verification {
  readonly #stores: Pick<VerifyContext, 'metadata' | 'blobs'>
  readonly #metadata: MetadataStore
  readonly #log: FastifyBaseLogger
  readonly #options: VerificationOptions
  #stop = new AbortController()
  #underWay: Promise<void> | undefined
  #isTaken = false
  #isClosed = false
  #onDurabilityLost: (error: DurabilityLostError) => void = () => undefined

  constructor(
    stores: Pick<VerifyContext, 'metadata' | 'blobs'>,
    log: FastifyBaseLogger,
    options: VerificationOptions,
  ) {
    this.#stores = stores
    this.#metadata = stores.metadata
    this.#log = log
    this.#options = options
  }

  /** Has `listener` called when the disk does not confirm what a run writes. */
  onDurabilityLost(listener: (error: DurabilityLostError) => void): void {
    this.#onDurabilityLost = listener
  }

  /**
   * Begins a run, and does not wait for its end. When the one before it was interrupted and was asked
   * for the same, it goes on with that.
   *
   * @returns its id
   * @throws {@link RegistryError} `CONFLICT` while another is under way
   */
  async start(request: VerifyRequest, identity: string): Promise<number> {
    if (this.#isClosed) throw new RegistryError('UNAVAILABLE', 'the registry is stopping')
    if (this.#isTaken) {
      throw new RegistryError(
        'CONFLICT',
        'the registry is being verified already; wait for that run',
      )
    }
    this.#isTaken = true
    this.#stop = new AbortController()
    try {
      const interrupted = request.content ? await this.#findInterrupted(request) : undefined
      const id = interrupted?.id ?? (await this.#begin(request, identity))
      const before = interrupted && stateOf(interrupted)
      const run = this.#prepare(request, interrupted?.identity ?? identity, before)
      this.#underWay = this.#execute(id, run).finally(() => {
        this.#isTaken = false
      })
      return id
    } catch (error) {
      this.#isTaken = false
      throw error
    }
  }

  /** Starts what is due by the clock, and goes on with what a restart has interrupted. */
  async startIfDue(): Promise<void> {
    if (this.#isTaken || this.#isClosed) return
    const { lastContent, nextContentAt } = await this.findRuns()
    if (lastContent && canGoOn(lastContent)) {
      await this.start(lastContent.options as VerifyRequest, lastContent.identity)
    } else if (nextContentAt !== undefined && nextContentAt <= this.#options.now()) {
      await this.start({ content: true, repair: false, confirm: false }, 'schedule')
    }
  }

  /** What has been run, and what will be. */
  async findRuns(): Promise<VerifyRuns> {
    const runs = await this.#metadata.listRuns({ kind: 'verify', limit: runsSearched })
    const [last] = runs
    const lastContent = runs.find(({ options }) => (options as VerifyRequest).content)
    const nextContentAt = await this.#nextContentAt(lastContent)
    return {
      ...(last && { last }),
      ...(lastContent && { lastContent }),
      ...(nextContentAt !== undefined && { nextContentAt }),
    }
  }

  /** Stops what is under way, for good. */
  async cancel(): Promise<void> {
    this.#stop.abort()
    await this.#underWay
  }

  /** Interrupts what is under way, and has nothing begin any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.cancel()
  }

  async #nextContentAt(last: Run | undefined): Promise<number | undefined> {
    const { everyMs } = this.#options
    if (everyMs === 0) return undefined
    if (last === undefined) return (await this.#metadata.getOrigin()).createdAt + everyMs
    if (last.finishedAt === undefined) return undefined
    return last.finishedAt + (last.status === 'failed' ? Math.min(retryMs, everyMs) : everyMs)
  }

  async #findInterrupted(request: VerifyRequest): Promise<Run | undefined> {
    const { lastContent } = await this.findRuns()
    if (lastContent === undefined || !canGoOn(lastContent)) return undefined
    const { content, repair } = lastContent.options as VerifyRequest
    return content === request.content && repair === request.repair ? lastContent : undefined
  }

  #begin(request: VerifyRequest, identity: string): Promise<number> {
    const report: VerifyReport = {
      ...{ step: 'database', checked: NOTHING, findings: [] },
      ...{ findingCount: 0, repairedCount: 0 },
    }
    const at = this.#options.now()
    return this.#metadata.beginRun({ kind: 'verify', at, identity, options: request, report })
  }

  #prepare(request: VerifyRequest, identity: string, before: VerifyState | undefined): VerifyRun {
    const context = { ...this.#stores, ...this.#options, identity, signal: this.#stop.signal }
    return new VerifyRun(context, request, before)
  }

  async #execute(id: number, run: VerifyRun): Promise<void> {
    try {
      await this.#record(id, run, 'running')
      const brake = await run.findBrake(this.#options.brakePercent)
      if (brake !== undefined) {
        this.#log.warn({ runId: id }, brake)
        await this.#record(id, run, 'braked', brake)
        return
      }
      let recordedAt = performance.now()
      let recordedCount = 0
      await run.execute(async () => {
        const { findingCount } = run.report
        if (performance.now() - recordedAt < recordMs && findingCount === recordedCount) return
        await this.#record(id, run, 'running')
        recordedAt = performance.now()
        recordedCount = findingCount
      })
      await this.#record(id, run, 'done')
      this.#tell(id, run)
    } catch (error) {
      await this.#noteEnd(id, run, error)
    }
  }

  #tell(runId: number, { report }: VerifyRun): void {
    const { findingCount, repairedCount, findings } = report
    for (const finding of findings) this.#log.warn({ runId, ...finding }, 'verification has found')
    this.#log.info({ runId, findingCount, repairedCount }, 'the registry was verified')
  }

  async #noteEnd(id: number, run: VerifyRun, error: unknown): Promise<void> {
    if (error instanceof DurabilityLostError) {
      this.#onDurabilityLost(error)
      return
    }
    const isStopped = this.#stop.signal.aborted
    if (!isStopped) this.#log.error({ err: error, runId: id }, 'verification failed')
    const reason = error instanceof Error ? error.message : String(error)
    const message = isStopped ? 'it was stopped' : reason
    try {
      await this.#record(id, run, isStopped ? 'stopped' : 'failed', message)
    } catch (again) {
      if (again instanceof DurabilityLostError) this.#onDurabilityLost(again)
      else this.#log.error({ err: again, runId: id }, 'the end of a run could not be written down')
    }
  }

  async #record(id: number, run: VerifyRun, status: RunStatus, message?: string): Promise<void> {
    const { position } = run
    const isGivenUp = status === 'stopped' && !this.#isClosed
    await this.#metadata.recordRun({
      id,
      status,
      report: { ...run.report, ...(message !== undefined && { message }) },
      // One that was given up for good has no place to go on from.
      ...(!isGivenUp && { position: JSON.stringify(position) }),
      ...(status !== 'running' && { finishedAt: this.#options.now() }),
    })
  }
}

function canGoOn({ status, position }: Run): boolean {
  return status === 'stopped' && position !== ''
}

/** What a run can go on with; undefined when it has to begin anew. */
function stateOf({ report, position }: Run): VerifyState | undefined {
  const at = JSON.parse(position) as VerifyPosition
  return isContentStep(at.step) ? { report: report as VerifyReport, position: at } : undefined
}
