import type { Digest } from '../oci/digest.js'
import type { RepositoryName, Tag } from '../oci/reference.js'
import type { CollectTerms } from './collecting.js'

/** Which tags retention rules would delete. Nothing here deletes them. */
export interface RetentionMetadata {
  /**
   * The tags that retention rules would delete, in the order of their repositories, in each the newest
   * first: up to `limit` of them, and fewer where many others lie between. To be asked again from
   * {@link RetentionPage.next} on until there is none. Nothing is changed.
   */
  listRetention(
    terms: RetentionTerms,
    limit: number,
    after?: RetentionPosition,
  ): Promise<RetentionPage>

  /** What those tags are altogether, and what their end would free. Takes its time. */
  surveyRetention(terms: RetentionSurveyTerms): Promise<RetentionSummary>
}

/** Tags of repositories, both as patterns. */
export interface TagEntry {
  readonly repositories: string
  readonly tags: string
}

/** Selects tags, and says which of them it keeps; what one rule keeps stays. */
export interface RetentionRule {
  readonly repositories: string
  readonly tags: readonly string[]
  /** So many that moved last; of those that moved together the last ones by name. */
  readonly keepNewest?: number
  /** Those that have moved since. */
  readonly keepYoungerThanMs?: number
  /** Those that have moved since, or whose manifest was asked for. */
  readonly keepPulledWithinMs?: number
  readonly keepTags: readonly string[]
}

export interface RetentionTerms {
  readonly at: number
  readonly rules: readonly RetentionRule[]
  /** Tags that no rule deletes. */
  readonly neverDeleted: readonly TagEntry[]
}

export interface RetentionSurveyTerms extends RetentionTerms {
  /** A repository that would lose more than this share of its tags is told; 100: none is. */
  readonly brakePercent: number
  /** Manifests without a tag are kept, and free nothing, where the first that fits has no time. */
  readonly untagged: CollectTerms['untagged']
}

/** A tag that would be deleted. */
export interface RetentionCandidate {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  readonly movedAt: number
  /** When its manifest was asked for last; absent when never. */
  readonly pulledAt?: number
}

/** Behind which tag to go on, and how many tags each rule about its repository has selected before. */
export interface RetentionPosition {
  readonly repository: string
  readonly movedAt: number
  readonly tag: string
  readonly counts: readonly number[]
}

export interface RetentionPage {
  readonly entries: readonly RetentionCandidate[]
  readonly next?: RetentionPosition
}

/** How much of a repository would go. */
export interface RetentionShare {
  readonly repository: RepositoryName
  readonly tags: number
  readonly tagsOfAll: number
}

export interface RetentionSummary {
  readonly tags: number
  /** Manifests that nothing would hold any more, and what these and their blobs take alone. */
  readonly manifests: number
  readonly bytes: number
  /** The first thousand that would lose any. */
  readonly repositories: readonly RetentionShare[]
  /** The first thousand that would lose too many. */
  readonly overBrake: readonly RetentionShare[]
}
