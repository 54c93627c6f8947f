import type { Digest, DigestAlgorithm } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'

/** Upload sessions, from when they are opened until nothing is left of them. */
export interface UploadMetadata {
  /**
   * Not durable: see `MetadataStore`.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS` above {@link OpenUpload.sessionsMax}
   */
  openUpload(upload: OpenUpload): Promise<void>

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  getUpload(repository: RepositoryName, id: string): Promise<Upload>

  /**
   * Counts bytes that have been received, and keeps them where they are given. Not durable: see
   * `MetadataStore`.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` when the session is over,
   *   `RANGE_INVALID` when another writer has moved its offset meanwhile
   */
  advanceUpload(advance: AdvanceUpload): Promise<void>

  /**
   * To be called before the blob store receives anything of a session: only then its end leaves
   * remains. Durable, so that a power cut leaves no bytes that nobody knows of.
   *
   * @throws as `advanceUpload`
   */
  storeUpload(store: StoreUpload): Promise<void>

  /**
   * Ends a session without a blob.
   *
   * @returns whether it was about to become one: bytes that may be in their place are to be removed
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`
   */
  abortUpload(repository: RepositoryName, id: string, at: number): Promise<boolean>

  /**
   * Ends a session whose bytes were put in their place and were given no row, be it over or not. They
   * are to be removed, unless there is such a blob, or another session is about to become it.
   */
  abandonCommit(commit: BeginCommit): Promise<void>

  /**
   * Ends up to `limit` sessions that made no progress since `idleSince`.
   *
   * @returns their ids
   */
  expireUploads(idleSince: number, at: number, limit: number): Promise<string[]>

  /**
   * Says what an upload is about to become, before its bytes take their place in the blob store. Until
   * the upload is over nobody removes bytes of that digest. A sign of life, too. Not durable: it need
   * not outlive the process that moves the bytes.
   *
   * @returns false while bytes of that digest are being removed: then it is to be said again
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`
   */
  beginCommit(commit: BeginCommit): Promise<boolean>

  /** Up to `limit` sessions that are over and whose bytes may still be with the blob store. */
  listUploadRemains(limit: number): Promise<string[]>

  /** Forgets them: their bytes are gone. */
  forgetUploadRemains(uploadIds: readonly string[]): Promise<void>
}

export interface Upload {
  readonly id: string
  readonly repository: RepositoryName
  readonly algorithm: DigestAlgorithm
  readonly offsetBytes: number
  /** All bytes received so far, where they are kept here; else the blob store has them. */
  readonly bytes?: Buffer
  /** The digest of all bytes received so far, in `algorithm`, where it is known. */
  readonly receivedDigest?: Digest
}

export interface OpenUpload {
  readonly id: string
  readonly repository: RepositoryName
  readonly algorithm: DigestAlgorithm
  readonly identity: string
  readonly at: number
  readonly sessionsMax: number
}

export interface AdvanceUpload {
  readonly id: string
  readonly fromByte: number
  /** Equal to `fromByte` for a sign of life alone, which changes nothing else. */
  readonly toByte: number
  /** All bytes of the session, when the metadata store shall keep them; else it drops those it has. */
  readonly bytes?: Uint8Array
  readonly receivedDigest?: Digest
  readonly at: number
}

export interface StoreUpload {
  readonly id: string
  /** The session's offset. */
  readonly fromByte: number
  readonly at: number
}

export interface BeginCommit {
  readonly id: string
  readonly digest: Digest
  readonly at: number
}
