import type { Digest } from '../oci/digest.js'
import type { RepositoryName, Tag } from '../oci/reference.js'
import type { Accounts } from './accounts.js'
import type { AuditTrail } from './audit.js'
import type { BlobMetadata } from './blobs.js'
import type { Inspection } from './inspection.js'
import type { ManifestMetadata } from './manifests.js'
import type { MetadataVerification } from './metadata-verification.js'
import type { RepositoryMetadata } from './repositories.js'
import type { TagMetadata } from './tags.js'
import type { UndoMetadata } from './undo.js'
import type { UploadMetadata } from './uploads.js'

/**
 * What exists, and who points to whom. Every method is one unit of work: it happens whole and
 * durably, or throws and has changed nothing. Nothing here knows of HTTP, files or SQL.
 *
 * Two methods are not durable, `openUpload` and `advanceUpload`: what they did survives the process,
 * whatever ends it, but a power cut may take it, back to any earlier state of the session, none
 * included. No client was told that an upload is safe; it finds the offset that is left, or 404, and
 * sends the rest again. Nor are `beginCommit`, `recordPulls`, `touchTokens` and
 * `recordAudit`, whose texts say why. Every durable method that changes something makes durable what was done
 * before it, too.
 *
 * Times are milliseconds since 1970 UTC, sizes bytes. Names and tags compare by their bytes.
 */
export interface MetadataStore
  extends
    RepositoryMetadata,
    TagMetadata,
    ManifestMetadata,
    BlobMetadata,
    UploadMetadata,
    Inspection,
    UndoMetadata,
    MetadataVerification {
  /** Who there is, and who may do what. */
  readonly accounts: Accounts
  /** What has been done. */
  readonly audit: AuditTrail

  /**
   * One step of collecting: takes what is due in its order, decides each by what is true in this very
   * transaction, and removes what nothing can reach; for as long as a step may take. To be repeated
   * from {@link CollectedStep.next} on until there is none.
   */
  collect(step: CollectStep): Promise<CollectedStep>

  /** Whether anything is due to be looked at. */
  hasDue(terms: { readonly at: number; readonly undoMs: number }): Promise<boolean>

  /** What a run by these terms would remove, and nothing is changed. Takes its time. */
  planCollection(terms: CollectTerms): Promise<CollectionPlan>

  /** How much is stored. Takes its time. */
  measureStored(): Promise<StoredBytes>

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

  /** Up to `limit` removals of bytes that have begun and are not known to have ended, by digest. */
  listFileRemovals(limit: number, after?: Digest): Promise<FileRemoval[]>

  /** They have ended: the bytes are gone, and others may take their place. */
  forgetFileRemovals(digests: readonly Digest[]): Promise<void>

  /**
   * Forgets history from before a time, a few rows at a time.
   *
   * @returns whether there may be more
   */
  forgetHistory(before: number, limit: number): Promise<boolean>

  /** Writes down that a run of maintenance has begun, and gives its id. */
  beginRun(run: BeginRun): Promise<number>

  /** Writes down how far a run has come, or how it has ended. */
  recordRun(progress: RunProgress): Promise<void>

  /** Runs of a kind, or of all, the latest first. Those of a process that has ended are `stopped`. */
  listRuns(query: RunsQuery): Promise<Run[]>

  findRun(id: number): Promise<Run | undefined>

  /** The latest verification that hashes everything, however many others have come since. */
  findLastContentRun(): Promise<Run | undefined>

  getOrigin(): Promise<Origin>

  /**
   * Copies everything, as it is at one moment and while others write, into a file that is not there
   * yet. To be synced by the caller; what a failure leaves of it is of no use.
   */
  copyInto(file: string): Promise<void>

  /**
   * For a copy: ends what only the process that it is a copy of can go on with: the keys of its bearer tokens, the uploads and the
   * removals of bytes.
   */
  forgetUnfinished(): Promise<void>

  /** For a copy: it is a registry of its own from now on, with another {@link Origin.registry}. */
  renewOrigin(): Promise<void>

  /** For a copy: the bytes of a blob are there, in a file, though the original has lost them. */
  markBlobWhole(digest: Digest): Promise<void>

  /** Reads and writes; throws when either is not possible. */
  checkReady(at: number): Promise<void>

  /** Finishes what was begun, and leaves the data as small and tidy as the backend can. */
  close(): Promise<void>
}

/** Which registry this is, also after its data were copied or moved. */
export interface Origin {
  readonly registry: string
  readonly createdAt: number
}

/** By what a run decides. */
export interface CollectTerms {
  readonly at: number
  /** For how long what was deleted or overwritten can be brought back. */
  readonly undoMs: number
  /**
   * Looks also at what is not due, whatever its age; leases that were fulfilled hold nothing, others
   * do.
   */
  readonly skipWaits: boolean
  /** What becomes of manifests that nothing holds: the first whose pattern has the repository. */
  readonly untagged: readonly {
    readonly repositories: string
    /** Absent: they are kept. */
    readonly collectAfterMs?: number
  }[]
}

export interface CollectStep extends CollectTerms {
  /** About how long it may take. */
  readonly sliceMs: number
  readonly after?: ReviewPosition
}

/** A place in the order of reviews. */
export interface ReviewPosition {
  readonly dueAt: number
  readonly digest: string
  readonly repositoryId: number
}

export interface CollectedStep {
  readonly removed: readonly Removed[]
  readonly next?: ReviewPosition
  /** Nobody else has written for a while: it may have taken longer than asked. */
  readonly isQuiet?: boolean
}

/** Something that a run has removed, or would remove. */
export interface Removed {
  /** link: the right of a repository to a blob, whose bytes may stay for others. */
  readonly kind: 'manifest' | 'link' | 'blob' | 'repository'
  /** Absent where it is gone, too. */
  readonly repository?: RepositoryName
  readonly digest?: Digest
  /** What this frees. */
  readonly sizeBytes: number
  /** Why it was looked at, and since when that was due. */
  readonly reason: string
  readonly dueAt: number
  /** Its bytes are with the blob store, and are to be removed now. */
  readonly isFile: boolean
}

export interface CollectionPlan {
  readonly manifests: number
  readonly blobs: number
  readonly repositories: number
  readonly bytes: number
  /** Of everything that is stored. */
  readonly bytesOfAll: number
  /** The first of what would go. */
  readonly removed: readonly Removed[]
}

/** What is stored, each byte once. */
export interface StoredBytes {
  readonly blobCount: number
  readonly manifestCount: number
  /** With the blob store. */
  readonly fileBytes: number
  /** Of manifests and small blobs, here. */
  readonly databaseBytes: number
}

/** Bytes in the blob store that no row speaks for any more, and where they are to go. */
export interface FileRemoval {
  readonly digest: Digest
  readonly destination: 'nowhere' | 'quarantine'
  /** There is such a blob: its bytes are kept elsewhere now, or are damaged. */
  readonly hasRow: boolean
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

export type RunKind = 'gc' | 'retention' | 'verify' | 'backup'

/** braked: it has stopped before it did anything, or more, because it would have done too much. */
export type RunStatus = 'running' | 'done' | 'braked' | 'failed' | 'stopped'

export interface BeginRun {
  readonly kind: RunKind
  readonly at: number
  readonly identity: string
  /**
   * What it was asked for, and what it has found so far, in the kind's own form: plain JSON. Of a
   * verification `content: true` says that it hashes everything; the latest such is never forgotten.
   */
  readonly options: unknown
  readonly report: unknown
}

export interface RunProgress {
  readonly id: number
  readonly status: RunStatus
  readonly report: unknown
  /** Where to go on, for a kind that can. */
  readonly position?: string
  readonly finishedAt?: number
}

/** One run of what cleans up, checks or copies. */
export interface Run {
  readonly id: number
  readonly kind: RunKind
  readonly status: RunStatus
  readonly startedAt: number
  readonly finishedAt?: number
  readonly identity: string
  readonly options: unknown
  readonly report: unknown
  readonly position: string
}

export interface RunsQuery {
  /** Of all kinds when absent. */
  readonly kind?: RunKind
  /** Only those with a smaller id. */
  readonly before?: number
  readonly limit: number
  /** Without the lists in their reports, which may be as long as the rest a thousand times over. */
  readonly isBrief?: boolean
}
