import type { RowCheck } from '../../metadata/metadata-verification.js'
import type { Digest } from '../../oci/digest.js'
import { requireAgreement } from './brake.js'
import { checkBlobs } from './check-blobs.js'
import { checkBlobContents, checkKeptContents } from './check-content.js'
import { checkRemovals, checkUploads } from './check-leftovers.js'
import { checkParts, checkRows, ROW_CHECKS } from './check-rows.js'
import type { Checked, VerifyContext } from './context.js'
import { Findings, type FoundSoFar } from './findings.js'

/** What a run is asked for. */
export interface VerifyRequest {
  /** Reads and hashes every byte, too. */
  readonly content: boolean
  /** Puts right what can be. */
  readonly repair: boolean
  /** Goes on where the brake would stop it. */
  readonly confirm: boolean
}

/** How far a run has come, and what it has found: as it is kept. */
export interface VerifyReport extends FoundSoFar {
  /** What is being looked at, or was when it ended. */
  readonly step: VerifyStep
  readonly checked: Readonly<Checked>
  /** For a person, where it has not come to its end. */
  readonly message?: string
}

/** Where a run goes on after a restart. */
export interface VerifyPosition {
  readonly step: VerifyStep
  /** Behind this, where the step can go on in the midst of it. */
  readonly after?: Digest
  /** Somebody has let the brake go. */
  readonly confirmed?: boolean
}

/** What a run needs to go on. */
export interface VerifyState {
  readonly report: VerifyReport
  readonly position: VerifyPosition
}

export type VerifyStep = 'database' | 'blobs' | 'uploads' | 'removals' | RowCheck | ContentStep

type ContentStep = 'blobContents' | 'inlineContents' | 'manifestContents'

const QUICK_STEPS: readonly [VerifyStep, ...VerifyStep[]] = [
  'database',
  'blobs',
  'uploads',
  'removals',
  ...ROW_CHECKS,
]

const CONTENT_STEPS: readonly ContentStep[] = ['manifestContents', 'inlineContents', 'blobContents']

/** Whether a run can go on in the midst of this step; the others are done again from the first on. */
export function isContentStep(step: VerifyStep): boolean {
  return CONTENT_STEPS.some((content) => content === step)
}

/** One run of verification: its steps in order, from a position on. */
export class VerifyRun {
  readonly #context: VerifyContext
  readonly #request: VerifyRequest
  readonly #findings: Findings
  #position: VerifyPosition

  /**
   * @param context - all but what the run itself provides
   * @param before - how far an earlier process has come with it
   */
  constructor(
    context: Omit<VerifyContext, 'find' | 'checked' | 'repair'>,
    request: VerifyRequest,
    before?: VerifyState,
  ) {
    this.#findings = new Findings(before?.report)
    this.#request = request
    this.#position = before?.position ?? { step: QUICK_STEPS[0] }
    this.#context = {
      ...context,
      repair: request.repair,
      brakePercent: request.confirm ? 100 : context.brakePercent,
      checked: { ...(before?.report.checked ?? NOTHING) },
      find: (finding) => this.#findings.add(finding),
    }
  }

  get report(): VerifyReport {
    return {
      step: this.#position.step,
      checked: { ...this.#context.checked },
      ...this.#findings.soFar,
    }
  }

  get position(): VerifyPosition {
    return { ...this.#position, ...(this.#request.confirm && { confirmed: true }) }
  }

  /**
   * Does all steps from the position on.
   *
   * @param onProgress - told now and then; what it throws ends the run
   * @throws the reason of the signal; `BrakedError`
   */
  async execute(onProgress: () => Promise<void>): Promise<void> {
    if (this.#request.repair) await requireAgreement(this.#context)
    const steps = this.#request.content ? [...QUICK_STEPS, ...CONTENT_STEPS] : QUICK_STEPS
    const first = steps.indexOf(this.#position.step)
    for (const step of steps.slice(first)) {
      const after = this.#position.step === step ? this.#position.after : undefined
      this.#position = { step, ...(after !== undefined && { after }) }
      await onProgress()
      await this.#do(step, after, async (last) => {
        this.#position = { step, after: last }
        await onProgress()
      })
    }
  }

  async #do(
    step: VerifyStep,
    after: Digest | undefined,
    advance: (last: Digest) => Promise<void>,
  ): Promise<void> {
    const context = this.#context
    switch (step) {
      case 'database':
        return checkParts(context)
      case 'blobs':
        return checkBlobs(context)
      case 'uploads':
        return checkUploads(context)
      case 'removals':
        return checkRemovals(context)
      case 'manifestContents':
        return checkKeptContents(context, 'manifests', after, advance)
      case 'inlineContents':
        return checkKeptContents(context, 'blobs', after, advance)
      case 'blobContents':
        return checkBlobContents(context, after, advance)
      default:
        return checkRows(context, step)
    }
  }
}

const NOTHING: Readonly<Checked> = {
  blobs: 0,
  files: 0,
  uploads: 0,
  manifests: 0,
  tags: 0,
  references: 0,
  links: 0,
  repositories: 0,
  contents: 0,
  hashedBlobs: 0,
  damagedBlobs: 0,
  hashedManifests: 0,
  hashedBytes: 0,
}
