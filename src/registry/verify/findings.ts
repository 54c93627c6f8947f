import type { Digest } from '../../oci/digest.js'

/**
 * What can be found wrong:
 * - `database`: the metadata store's own check of itself
 * - `blob-missing`, `blob-unreadable`, `blob-size`, `blob-content`: of the bytes of a blob
 * - `blob-absent`: a blob that something needs has been found damaged before, and not been pushed since
 * - `bytes-without-row`: bytes in the place of a blob that nobody knows of
 * - `upload-without-session`: bytes of an upload that nobody can go on with
 * - `stray`: something that Berth has not put where it is
 * - `removal-unfinished`: bytes that were to be removed long ago
 * - `manifest-missing`, `manifest-size`, `manifest-content`: of the bytes of a manifest
 * - `manifest-bytes-unused`: bytes of a manifest that is in no repository
 * - `tag-broken`: a tag that points to no manifest of its repository
 * - `reference-missing`: something that a manifest needs is not in its repository
 * - `count-wrong`, `sum-wrong`, `catalog-wrong`: what is kept ready for quotas and lists is not so
 */
export type FindingKind =
  | 'database'
  | 'blob-missing'
  | 'blob-unreadable'
  | 'blob-size'
  | 'blob-content'
  | 'blob-absent'
  | 'bytes-without-row'
  | 'upload-without-session'
  | 'stray'
  | 'removal-unfinished'
  | 'manifest-missing'
  | 'manifest-size'
  | 'manifest-content'
  | 'manifest-bytes-unused'
  | 'tag-broken'
  | 'reference-missing'
  | 'count-wrong'
  | 'sum-wrong'
  | 'catalog-wrong'

export interface Finding {
  readonly kind: FindingKind
  /** What is wrong, and what to do about it: a sentence or two for a person. */
  readonly message: string
  readonly digest?: Digest
  readonly repository?: string
  readonly tag?: string
  /** Of something in the blob store. */
  readonly name?: string
  /** Nothing is left to be done about it. */
  readonly repaired: boolean
}

/** What has been found, as it stands in the report of a run. */
export interface FoundSoFar {
  /** The first of them. */
  readonly findings: readonly Finding[]
  readonly findingCount: number
  readonly repairedCount: number
}

/** More of them nobody reads. */
const listedMax = 1_000

/** Collects findings; all are counted, and the first are kept. */
export class Findings {
  readonly #listed: Finding[]
  #count: number
  #repairedCount: number

  /** @param before - what was found before the run was interrupted */
  constructor({ findings, findingCount, repairedCount }: FoundSoFar = nothing) {
    this.#listed = [...findings]
    this.#count = findingCount
    this.#repairedCount = repairedCount
  }

  add(finding: Finding): void {
    this.#count++
    if (finding.repaired) this.#repairedCount++
    if (this.#listed.length < listedMax) this.#listed.push(finding)
  }

  get soFar(): FoundSoFar {
    return {
      findings: [...this.#listed],
      findingCount: this.#count,
      repairedCount: this.#repairedCount,
    }
  }
}

const nothing: FoundSoFar = { findings: [], findingCount: 0, repairedCount: 0 }
