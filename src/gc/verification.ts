import { RegistryError } from '../errors.js'
import type { Run } from '../metadata/runs.js'
import { BrakedError } from '../registry/verify/brake.js'
import type { VerifyContext } from '../registry/verify/context.js'
import {
  isContentStep,
  VerifyRun,
  type VerifyPosition,
  type VerifyReport,
  type VerifyRequest,
  type VerifyState,
} from '../registry/verify/verify-run.js'
import {
  Runs,
  SCHEDULE,
  type BegunRun,
  type Ending,
  type RunsOptions,
  type RunUnderWay,
} from './runs.js'

export interface VerificationOptions
  extends RunsOptions, Omit<VerifyContext, 'repair' | 'identity' | 'signal' | 'checked' | 'find'> {
  /** How long after a run that has hashed everything the next one begins by itself; 0: never. */
  readonly everyMs: number
}

/**
 * How often is written down how far a run has come. Not more often where much is found: the whole report
 * is written each time. What a kill loses of it the log has, and a damaged blob is told by the next run.
 */
const recordMs = 2_000

/** When a run has failed, or a shortage has stopped it, the clock tries again so much later. */
const retryMs = 60 * 60 * 1000

/** The latest, and of those that hash everything the latest too. */
export interface VerifyRuns {
  readonly last?: Run
  readonly lastContent?: Run
  /** When the next of the latter begins by itself. */
  readonly nextContentAt?: number
}

/**
 * Looks whether what the stores keep is whole, and repairs what can be: on request, and by the clock.
 * A run that hashes everything goes on after a restart where it was.
 */
export class Verification {
  readonly #options: VerificationOptions
  readonly #runs: Runs<VerifyReport>
  /** When what a shortage has stopped goes on; what a restart has interrupted does so at once. */
  #retryAt: number | undefined

  constructor(options: VerificationOptions) {
    this.#options = options
    this.#runs = new Runs('verify', options)
  }

  /**
   * Begins a run. When the one before it hashes everything, was interrupted and was asked for the same,
   * it goes on with that; and when the brake has stopped it, and this one is confirmed.
   *
   * @throws {@link RegistryError} `CONFLICT` while another is under way
   */
  async begin(request: VerifyRequest, identity: string): Promise<BegunRun<VerifyReport>> {
    const lastContent = await this.#options.metadata.findLastContentRun()
    const isSame =
      lastContent !== undefined &&
      (this.#canGoOn(lastContent) || (request.confirm && isBrakedMidway(lastContent))) &&
      isAsked(lastContent, request)
    return isSame ? this.#goOn(lastContent, request.confirm) : this.#begin(request, identity)
  }

  /** Begins what is due by the clock, and goes on with what a restart or a shortage has interrupted. */
  async beginIfDue(): Promise<void> {
    if (this.#runs.areUnderWay) return
    const { metadata, now } = this.#options
    const last = await metadata.findLastContentRun()
    const nextAt = await this.#nextContentAt(last)
    if (nextAt === undefined || nextAt > now()) return
    if (last && this.#canGoOn(last)) await this.#goOn(last)
    else await this.#begin({ content: true, repair: false, confirm: false }, SCHEDULE)
  }

  /** What has been run, and what will be. */
  async find(): Promise<VerifyRuns> {
    const { metadata } = this.#options
    const [last] = await metadata.listRuns({ kind: 'verify', limit: 1 })
    const lastContent = await metadata.findLastContentRun()
    const nextContentAt = await this.#nextContentAt(lastContent)
    return {
      ...(last && { last }),
      ...(lastContent && { lastContent }),
      ...(nextContentAt !== undefined && { nextContentAt }),
    }
  }

  /** Stops the run under way, if there is one, for good. */
  cancel(): Promise<void> {
    return this.#runs.cancel()
  }

  /** Interrupts the run under way, and has no other begin. */
  close(): Promise<void> {
    return this.#runs.close()
  }

  async #nextContentAt(last: Run | undefined): Promise<number | undefined> {
    const { everyMs, metadata, now } = this.#options
    if (last && this.#canGoOn(last)) return this.#retryAt ?? now()
    if (everyMs === 0) return undefined
    if (last === undefined) return (await metadata.getOrigin()).createdAt + everyMs
    if (last.finishedAt === undefined) return undefined
    return last.finishedAt + (last.status === 'failed' ? Math.min(retryMs, everyMs) : everyMs)
  }

  /** One whose row still says that it runs could not write down its end. */
  #canGoOn({ status, position }: Run): boolean {
    if (position === '') return false
    return status === 'stopped' || (status === 'running' && this.#runs.areSettled)
  }

  #begin(request: VerifyRequest, identity: string): Promise<BegunRun<VerifyReport>> {
    const verifyRun = (run: RunUnderWay<VerifyReport>) =>
      this.#execute(run, request, this.#prepare(request, identity, run.signal))
    const { report } = this.#prepare(request, identity, new AbortController().signal)
    return this.#runs.begin(request, identity, report, verifyRun)
  }

  #goOn(before: Run, isConfirmed = false): Promise<BegunRun<VerifyReport>> {
    const asked = before.options as VerifyRequest
    const { confirmed = false } = positionOf(before)
    const request = { ...asked, confirm: asked.confirm || confirmed || isConfirmed }
    return this.#runs.goOn(before, (run) =>
      this.#execute(
        run,
        request,
        this.#prepare(request, before.identity, run.signal, stateOf(before)),
      ),
    )
  }

  #prepare(
    request: VerifyRequest,
    identity: string,
    signal: AbortSignal,
    before?: VerifyState,
  ): VerifyRun {
    return new VerifyRun({ ...this.#options, identity, signal }, request, before)
  }

  async #execute(
    run: RunUnderWay<VerifyReport>,
    request: VerifyRequest,
    verifyRun: VerifyRun,
  ): Promise<Ending<VerifyReport>> {
    const { log, now } = this.#options
    const position = () => JSON.stringify(verifyRun.position)
    this.#retryAt = undefined
    try {
      await run.record(verifyRun.report, position())
      let recordedAt = performance.now()
      await verifyRun.execute(async () => {
        if (performance.now() - recordedAt < recordMs) return
        await run.record(verifyRun.report, position())
        recordedAt = performance.now()
      })
    } catch (error) {
      if (error instanceof BrakedError) {
        const { message } = error
        log.warn({ run: run.id }, message)
        return {
          ...{ status: 'braked', report: { ...verifyRun.report, message } },
          ...(isContentStep(verifyRun.position.step) && { position: position() }),
        }
      }
      if (!run.signal.aborted) {
        if (!request.content || !willPass(error)) throw error
        log.warn({ err: error, run: run.id }, 'a verification was stopped, and goes on later')
        this.#retryAt = now() + retryMs
        const message = `${error.message}; the run goes on later where it was`
        return {
          ...{ status: 'stopped', position: position() },
          report: { ...verifyRun.report, message },
        }
      }
      const report = { ...verifyRun.report, message: 'the run was stopped' }
      // One that was given up for good has no place to go on from.
      return { status: 'stopped', report, ...(!run.isCancelled() && { position: position() }) }
    }
    this.#tell(run.id, verifyRun.report)
    return { status: 'done', report: verifyRun.report }
  }

  #tell(run: number, { findings, findingCount, repairedCount }: VerifyReport): void {
    const { log } = this.#options
    for (const finding of findings) log.warn({ run, ...finding }, 'verification has found')
    log.info({ run, findingCount, repairedCount }, 'the registry was verified')
  }
}

/** Whether something is out of reach, or full, and may not be so in an hour. */
function willPass(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.statusCode >= 500
}

function isAsked({ options }: Run, { content, repair }: VerifyRequest): boolean {
  const before = options as VerifyRequest
  return before.content === content && before.repair === repair
}

/** The brake has stopped it among what it has hashed. */
function isBrakedMidway({ status, position }: Run): boolean {
  return status === 'braked' && position !== ''
}

function positionOf({ position }: Run): VerifyPosition {
  return JSON.parse(position) as VerifyPosition
}

/** What a run can go on with; undefined when it has to begin anew. */
function stateOf(run: Run): VerifyState | undefined {
  const position = positionOf(run)
  return isContentStep(position.step) ? { report: run.report as VerifyReport, position } : undefined
}
