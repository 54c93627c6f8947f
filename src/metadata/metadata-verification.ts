import type { Digest } from '../oci/digest.js'
import type { ReferenceKind } from '../oci/manifest.js'
import type { Tag } from '../oci/reference.js'
import type { DamagedBlob } from './blobs.js'

/**
 * What the metadata store can tell of itself to whoever verifies it, and what can be done about it.
 * Nothing else asks any of this: its cost grows with the store, and none of it runs where a request
 * would wait. Whatever one answer tells was all there at one moment.
 */
export interface MetadataVerification {
  /** What {@link checkPart} can be asked for: all of them together are everything that is kept. */
  listParts(): Promise<string[]>

  /**
   * The backend's own check that a part can be read and agrees with itself.
   *
   * @returns what is wrong, in its words; some of it, where it is much
   */
  checkPart(part: string): Promise<string[]>

  /** Every blob that has a row, in the order of digests. */
  listKeptBlobs(page: KeptBlobsRequest): Promise<KeptBlob[]>

  /** Those of the digests that have a row. */
  findKeptBlobs(digests: readonly Digest[]): Promise<KeptBlob[]>

  /** Those of the digests that an upload is about to become, or whose bytes are being removed. */
  listInMotion(digests: readonly Digest[]): Promise<Digest[]>

  /** Those of the ids that no session has and that no session has left behind. */
  listUnknownUploads(uploadIds: readonly string[]): Promise<string[]>

  /** Up to `limit` removals of bytes that began before a time, and have not ended. */
  listOldFileRemovals(before: number, limit: number): Promise<Digest[]>

  /**
   * Looks at some rows, of which there may be any number.
   *
   * @param after - {@link CheckedRows.next} of the answer before
   */
  checkRows(check: RowCheck, after?: string): Promise<CheckedRows>

  /**
   * Hashes again what is kept here itself: the bytes of manifests, or of inline blobs that are not
   * marked as damaged. A few megabytes at a time.
   *
   * @param after - {@link CheckedContents.next} of the answer before
   */
  checkContents(contents: KeptContents, after?: Digest): Promise<CheckedContents>

  /** Whether one of those has its digest, or is gone. */
  isContentSound(contents: KeptContents, digest: Digest): Promise<boolean>

  /** Who would miss a digest. */
  findHolders(digest: Digest): Promise<Holders>

  /**
   * Puts right what {@link checkRows} has found, if it is still so.
   *
   * @returns whether anything was changed
   */
  repairRow(repair: RowRepair): Promise<boolean>

  /**
   * Takes back that a blob is damaged, as somebody has hashed its bytes and found them right. Who has
   * found it damaged before that cannot mark it any more.
   *
   * @returns false when it is not marked, has been pushed again, is kept here itself, or its bytes are
   *   about to be put aside or removed
   */
  markBlobSound(blob: DamagedBlob, at: number): Promise<boolean>

  /**
   * Begins to remove bytes that no row speaks for. Durable before anything is removed.
   *
   * @returns false when there is a row after all, or an upload is about to become this digest
   */
  beginStrayRemoval(digest: Digest, at: number): Promise<boolean>
}

export interface KeptBlobsRequest {
  /** Entries after this digest, which need not exist. */
  readonly after?: Digest
  readonly limit: number
}

export interface KeptBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Its bytes are here, not with the blob store. */
  readonly inline: boolean
  readonly storedAt: number
  /** It counts as absent since somebody has found it so. */
  readonly damaged: boolean
  /** The size of the bytes that are here; absent when there are none. */
  readonly keptBytes?: number
}

/**
 * - `manifests`: each has its bytes, as many as it should have
 * - `tags`: each points to a manifest of its repository
 * - `references`: what a manifest needs is there
 * - `links`: the blobs that a repository counts are those that its manifests need
 * - `repositories`: their sums are right, and the catalog shows those it should
 * - `contents`: bytes of manifests belong to one
 */
export type RowCheck = 'manifests' | 'tags' | 'references' | 'links' | 'repositories' | 'contents'

export interface CheckedRows {
  readonly checkedCount: number
  readonly found: readonly RowFault[]
  /** Where to go on; absent after the last row. */
  readonly next?: string
}

/** Something that should not be so. */
export type RowFault = {
  /** For a person; of a deleted one its former name. */
  readonly repository?: string
  /** For {@link MetadataVerification.repairRow}. */
  readonly key: string
} & (
  | {
      readonly kind: 'manifestBytes'
      readonly digest: Digest
      readonly sizeBytes: number
      /** Absent: there are none. */
      readonly actualBytes?: number
    }
  | { readonly kind: 'tag'; readonly tag: Tag; readonly digest?: Digest }
  | {
      readonly kind: 'reference'
      /** The manifest's. */
      readonly digest: Digest
      readonly target: Digest
      readonly targetKind: ReferenceKind
      /** The blob is there, and not in this repository. */
      readonly isElsewhere: boolean
      /** Its bytes may be elsewhere for good. */
      readonly isExternal: boolean
      /** Of a child, where the index says so. */
      readonly platform?: string
    }
  | { readonly kind: 'link'; readonly digest: Digest; readonly isCounted: boolean }
  | { readonly kind: 'sum'; readonly sumBytes: number; readonly actualBytes: number }
  | { readonly kind: 'listed'; readonly isListed: boolean }
  | { readonly kind: 'contents'; readonly digest: Digest }
)

export interface RowRepair {
  readonly kind: 'tag' | 'link' | 'sum' | 'listed' | 'contents' | 'blob'
  /** {@link RowFault.key}; of a blob its digest: goes when it has no bytes and nothing refers to it. */
  readonly key: string
  readonly identity: string
  readonly at: number
}

export type KeptContents = 'manifests' | 'blobs'

export interface CheckedContents {
  readonly checkedCount: number
  readonly checkedBytes: number
  /** Whose bytes have another digest. */
  readonly damaged: readonly Digest[]
  /** Where to go on; absent after the last. */
  readonly next?: Digest
}

export interface Holders {
  /** A few of those that are there, `repository:tag` or `repository@digest`. */
  readonly names: readonly string[]
  /** Anything refers to it, be it only something that was deleted and can be brought back. */
  readonly isReferredTo: boolean
}
