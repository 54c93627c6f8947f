import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'
import type { Quota, RoomRequest } from './quotas.js'
import type { DigestRemoval } from './removals.js'

/** Blobs, which repositories have them, and what clients were promised of them. */
export interface BlobMetadata {
  /** @throws {@link RegistryError} `NAME_UNKNOWN`, `BLOB_UNKNOWN` */
  getBlob(repository: RepositoryName, digest: Digest): Promise<StoredBlob>

  /** The bytes of an inline blob; undefined when it is gone by now. */
  readInlineBlob(digest: Digest): Promise<Buffer | undefined>

  /**
   * Makes a blob exist in a repository, with a lease; its bytes are given, or are safe in the blob
   * store already. Ends the upload session that brought it, if there is one.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` when that session is over
   */
  putBlob(blob: PutBlob): Promise<void>

  /**
   * Gives a repository the right to a blob that another repository has, with a lease.
   *
   * @returns false when it is not there to be given
   * @throws {@link RegistryError} `DENIED` as {@link requireRoom}
   */
  mountBlob(mount: MountBlob): Promise<boolean>

  /**
   * Asks whether quotas have room for a blob that is about to be sent. Only
   * {@link ManifestMetadata.putManifest} decides: what a manifest refers to is what counts.
   *
   * @throws {@link RegistryError} `DENIED` when one of them has not, saying how much it has left; never
   *   for a blob that the repository has
   */
  requireRoom(request: RoomRequest): Promise<void>

  /**
   * Takes a blob away from one repository.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `BLOB_UNKNOWN`; `UNSUPPORTED` when a manifest of
   *   the repository needs it and {@link DigestRemoval.evenIfReferenced} is not set
   */
  deleteBlob(removal: DigestRemoval & { readonly evenIfReferenced: boolean }): Promise<void>

  /**
   * From now on the blob counts as absent, in every repository, until it is pushed again. Without
   * effect when it has been pushed again since it was read. Bytes of it that the blob store has are to
   * be put aside: that is among what {@link CollectingMetadata.listFileRemovals} tells.
   *
   * @returns false when it was without effect, or the blob is not there any more
   */
  markBlobDamaged(blob: DamagedBlob, at: number): Promise<boolean>

  /**
   * Promises a client that a digest stays in a repository.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN` when neither a blob nor a manifest of that digest
   *   is there any more
   */
  takeLease(lease: LeaseRequest): Promise<void>
}

export interface StoredBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Its bytes are here, not with the blob store. */
  readonly inline: boolean
  readonly storedAt: number
  /** Until when a client may rely on it; 0 when nobody was told. */
  readonly leasedUntil: number
}

/** What of a {@link StoredBlob} tells which bytes were found damaged. */
export type DamagedBlob = Pick<StoredBlob, 'digest' | 'storedAt'>

export interface PutBlob {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly sizeBytes: number
  /** The bytes themselves, when the metadata store shall keep them. */
  readonly bytes?: Uint8Array
  readonly uploadId?: string
  readonly at: number
  readonly leaseUntil: number
}

export interface MountBlob {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** The repositories it may be taken from; any when absent. */
  readonly from?: RepositoryName
  /** Those that the repository has to hold to. */
  readonly quotas?: readonly Quota[]
  readonly at: number
  readonly leaseUntil: number
}

export interface LeaseRequest {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly until: number
}
