import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'

/** What nothing needs any more: finding it, removing it, and how much there is of all. */
export interface CollectingMetadata {
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
