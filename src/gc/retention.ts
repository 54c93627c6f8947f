import { formatBytes } from '../byte-sizes.js'
import type {
  RetentionCandidate,
  RetentionPage,
  RetentionPosition,
  RetentionShare,
  RetentionSummary,
  RetentionSurveyTerms,
  RetentionTerms,
} from '../metadata/retention.js'
import type { Manifests } from '../registry/manifests.js'
import type { Pulls } from '../registry/pulls.js'
import {
  Runs,
  SCHEDULE,
  type BegunRun,
  type Ending,
  type RunsOptions,
  type RunUnderWay,
} from './runs.js'

export interface RetentionOptions
  extends RunsOptions, Pick<RetentionTerms, 'rules' | 'neverDeleted'> {
  readonly brakePercent: number
  /** 0: only when somebody asks. */
  readonly everyMs: number
  readonly untagged: RetentionSurveyTerms['untagged']
}

/** What a run is asked for. */
export interface RetentionRequest {
  /** Goes on where the brake would stop it. */
  readonly confirm?: boolean
}

/** What would go, all in all. */
export interface RetentionOutlook extends Omit<RetentionSummary, 'overBrake'> {
  /** Of all that is stored. */
  readonly bytesOfAll: number
  /** Why a run would stop, for a person; absent when it would not. */
  readonly brake?: string
}

export interface RetentionReport {
  readonly planned?: RetentionOutlook
  readonly deletedTags: number
  /** Tags that have moved, gone, or been pulled or protected between the look at them and their delete. */
  readonly stayedTags: number
  /** For a person, where it has not come to its end. */
  readonly message?: string
}

/** In the history of what it deletes. */
const identity = 'retention'

const NOTHING: RetentionReport = { deletedTags: 0, stayedTags: 0 }

/** Tags that are decided together, and those of them whose deletes share a transaction. */
const pageSize = 500
const deletedAtOnce = 50

/**
 * Deletes the tags that rules select and none keeps, in the way anybody deletes a tag: with a row in the
 * history, and to be brought back. Each is decided right before it goes, and stays when it has moved
 * since.
 */
export class Retention {
  readonly #manifests: Manifests
  readonly #pulls: Pulls
  readonly #options: RetentionOptions
  readonly #runs: Runs<RetentionReport>

  constructor(manifests: Manifests, pulls: Pulls, options: RetentionOptions) {
    this.#manifests = manifests
    this.#pulls = pulls
    this.#options = options
    this.#runs = new Runs('retention', options)
  }

  get isRunning(): boolean {
    return this.#runs.areUnderWay
  }

  /** What a run would delete now, all in all. Takes its time. */
  foresee(): Promise<RetentionOutlook> {
    return this.#foresee(this.#terms())
  }

  /**
   * The tags that a run would delete, a page of them.
   *
   * @param at - of all pages the same, that of the first
   */
  async list(at: number, limit: number, after?: RetentionPosition): Promise<RetentionPage> {
    await this.#pulls.flush()
    return this.#options.metadata.listRetention({ ...this.#terms(), at }, limit, after)
  }

  /**
   * Begins a run that somebody has asked for.
   *
   * @throws {@link RegistryError} `CONFLICT` while another run is under way
   */
  begin(request: RetentionRequest, by: string): Promise<BegunRun<RetentionReport>> {
    return this.#runs.begin(request, by, NOTHING, (run) => this.#run(request.confirm === true, run))
  }

  /**
   * Runs when the last run, whoever began it and however it ended, is long enough ago.
   *
   * @throws what the stores throw
   */
  async runIfDue(): Promise<void> {
    const { metadata, now, rules, everyMs } = this.#options
    if (rules.length === 0 || everyMs === 0 || this.isRunning) return
    const [last] = await metadata.listRuns({ kind: 'retention', limit: 1 })
    if (last !== undefined && last.startedAt + everyMs > now()) return
    const { ended } = await this.begin({}, SCHEDULE)
    await ended
  }

  /** Asks a run under way to end soon, and waits for it. */
  close(): Promise<void> {
    return this.#runs.close()
  }

  async #run(
    isConfirmed: boolean,
    { signal, progress }: RunUnderWay<RetentionReport>,
  ): Promise<Ending<RetentionReport>> {
    const terms = this.#terms()
    const planned = await this.#foresee(terms)
    if (planned.brake !== undefined && !isConfirmed) {
      const message = `${planned.brake}; look at berth retention preview, then let it go on with berth retention run --confirm`
      this.#options.log.warn({ tags: planned.tags }, message)
      return { status: 'braked', report: { ...NOTHING, planned, message } }
    }
    let report: RetentionReport = { ...NOTHING, planned }
    await progress(report)
    let after: RetentionPosition | undefined
    do {
      await this.#pulls.flush()
      const page = await this.#options.metadata.listRetention(terms, pageSize, after)
      for (let from = 0; from < page.entries.length; from += deletedAtOnce) {
        if (signal.aborted) {
          const message = 'the run was stopped; the next one goes on'
          return { status: 'stopped', report: { ...report, message } }
        }
        const some = page.entries.slice(from, from + deletedAtOnce)
        // What was pulled since the page was read has another time now, and stays.
        await this.#pulls.flush()
        const went = await Promise.all(some.map((entry) => this.#delete(entry)))
        const deletedTags = went.filter(Boolean).length
        report = {
          ...report,
          deletedTags: report.deletedTags + deletedTags,
          stayedTags: report.stayedTags + some.length - deletedTags,
        }
        await progress(report)
      }
      after = page.next
    } while (after)
    return { status: 'done', report }
  }

  async #delete({ repository, tag, ...seen }: RetentionCandidate): Promise<boolean> {
    const went = await this.#manifests.deleteSeen(repository, tag, seen, identity)
    const { digest } = seen
    if (went) this.#options.log.info({ repository, tag, digest }, 'deleted by a retention rule')
    return went
  }

  async #foresee(terms: RetentionTerms): Promise<RetentionOutlook> {
    await this.#pulls.flush()
    const { metadata, brakePercent, untagged } = this.#options
    const survey = { ...terms, brakePercent, untagged }
    const { overBrake, ...summary } = await metadata.surveyRetention(survey)
    const { fileBytes, databaseBytes } = await metadata.measureStored()
    const bytesOfAll = fileBytes + databaseBytes
    const brake = this.#brake(summary.bytes, bytesOfAll, overBrake)
    return { ...summary, bytesOfAll, ...(brake !== undefined && { brake }) }
  }

  #brake(bytes: number, bytesOfAll: number, overBrake: readonly RetentionShare[]) {
    const { brakePercent } = this.#options
    const limit = `more than gc.brakePercent (${brakePercent} %) allows`
    const [first] = overBrake
    if (first) {
      const others = overBrake.length > 1 ? ', and so in other repositories' : ''
      return `this would delete ${first.tags} of ${first.tagsOfAll} tags of ${first.repository}, ${limit}${others}`
    }
    if (brakePercent === 100 || bytes * 100 <= bytesOfAll * brakePercent) return undefined
    return `this would free ${formatBytes(bytes)} of ${formatBytes(bytesOfAll)}, ${limit}`
  }

  #terms(): RetentionTerms {
    const { now, rules, neverDeleted } = this.#options
    return { at: now(), rules, neverDeleted }
  }
}
