import type { Digest, DigestAlgorithm } from '../oci/digest.js'
import type { Manifest } from '../oci/manifest.js'
import type { Reference, RepositoryName, Tag } from '../oci/reference.js'
import type { Inspection } from './inspection.js'

/**
 * What exists, and who points to whom. Every method is one unit of work: it happens whole and
 * durably, or throws and has changed nothing. Nothing here knows of HTTP, files or SQL.
 *
 * Two methods are not durable, `openUpload` and `advanceUpload`: what they did survives the process,
 * whatever ends it, but a power cut may take it, back to any earlier state of the session, none
 * included. No client was told that an upload is safe; it finds the offset that is left, or 404, and
 * sends the rest again. Every durable method that changes something makes durable what was done
 * before it, too.
 *
 * Times are milliseconds since 1970 UTC, sizes bytes. Names and tags compare by their bytes.
 */
export interface MetadataStore extends Inspection {
  /** @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN` */
  getManifest(repository: RepositoryName, reference: Reference): Promise<StoredManifest>

  /**
   * Stores a manifest, what it refers to, and the tags that shall point to it.
   *
   * Repositories come to be with their first content. A tag that moved leaves a history row, and
   * a review of what it pointed to before. A manifest without a tag gets a lease: the index that
   * will hold it may still be on its way.
   *
   * @throws {@link RegistryError} `MANIFEST_BLOB_UNKNOWN` with the digests of
   *   {@link PutManifest.requiredBlobs} and {@link PutManifest.requiredChildren} that the
   *   repository does not have
   */
  putManifest(manifest: PutManifest): Promise<void>

  /**
   * Removes a tag and nothing else.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`
   */
  deleteTag(removal: TagRemoval): Promise<void>

  /**
   * Removes a manifest and every tag that points to it; not its children, referrers or blobs. It
   * is kept aside for the undo window.
   *
   * However many tags there are, this is a small transaction: all are gone for whoever asks, but
   * of many something is left to be tidied up by {@link removeDeletedTags}.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`
   */
  deleteManifest(removal: DigestRemoval): Promise<DeletedTags>

  /**
   * Tidies up after up to `limit` tags of deleted manifests, and writes the history of each as of
   * the delete. To be repeated until there is nothing more.
   *
   * @returns whether there may be more
   */
  removeDeletedTags(limit: number): Promise<boolean>

  /** @throws {@link RegistryError} `NAME_UNKNOWN` */
  listTags(repository: RepositoryName, page: PageRequest): Promise<Page<string>>

  listRepositories(page: PageRequest): Promise<Page<string>>

  /**
   * The manifests of a repository whose subject is the one given, and those that an index under
   * the fallback tag lists, by digest. A repository or subject that is not there has none.
   */
  listReferrers(query: ReferrersQuery): Promise<Page<Referrer>>

  /**
   * Repositories whose name has `term` in it: first the one that is called so, then those that
   * begin with it, then others.
   */
  searchRepositories(term: string, limit: number): Promise<RepositoryName[]>

  /** The manifest of the tag that moved last, or undefined when the repository has no tag. */
  findNewestManifest(repository: RepositoryName): Promise<StoredManifest | undefined>

  /**
   * Says what a repository is for, and makes it when it is not there. With a description the catalog
   * shows it, whatever it has; without, as long as it has a manifest.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN` when it is not there and the description is empty
   */
  describeRepository(description: DescribeRepository): Promise<{ readonly created: boolean }>

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
   */
  mountBlob(mount: MountBlob): Promise<boolean>

  /**
   * Takes a blob away from one repository.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `BLOB_UNKNOWN`; `UNSUPPORTED` when a manifest of
   *   the repository needs it and {@link DigestRemoval.evenIfReferenced} is not set
   */
  deleteBlob(removal: DigestRemoval & { readonly evenIfReferenced: boolean }): Promise<void>

  /**
   * From now on the blob counts as absent, in every repository, until it is pushed again. Without
   * effect when it has been pushed again since it was read.
   */
  markBlobDamaged(blob: StoredBlob, at: number): Promise<void>

  /**
   * Promises a client that a digest stays in a repository.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN` when neither a blob nor a manifest of that digest
   *   is there any more
   */
  takeLease(lease: LeaseRequest): Promise<void>

  /**
   * Not durable: see above.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS` above {@link OpenUpload.sessionsMax}
   */
  openUpload(upload: OpenUpload): Promise<void>

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  getUpload(repository: RepositoryName, id: string): Promise<Upload>

  /**
   * Counts bytes that have been received, and keeps them where they are given. Not durable: see
   * above.
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
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`
   */
  abortUpload(repository: RepositoryName, id: string, at: number): Promise<void>

  /**
   * Ends up to `limit` sessions that made no progress since `idleSince`.
   *
   * @returns their ids
   */
  expireUploads(idleSince: number, at: number, limit: number): Promise<string[]>

  /** Up to `limit` sessions that are over and whose bytes may still be with the blob store. */
  listUploadRemains(limit: number): Promise<string[]>

  /** Forgets them: their bytes are gone. */
  forgetUploadRemains(uploadIds: readonly string[]): Promise<void>

  /** Writes down that a run of maintenance has begun, and gives its id. */
  beginRun(run: BeginRun): Promise<number>

  /** Writes down how far a run has come, or how it has ended. */
  recordRun(progress: RunProgress): Promise<void>

  /** Runs of a kind, or of all, the latest first. Those of a process that has ended are `stopped`. */
  listRuns(query: RunsQuery): Promise<Run[]>

  findRun(id: number): Promise<Run | undefined>

  /** Reads and writes; throws when either is not possible. */
  checkReady(at: number): Promise<void>

  /** Finishes what was begun, and leaves the data as small and tidy as the backend can. */
  close(): Promise<void>
}

export interface StoredManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Buffer
  /** Until when a client may rely on it; 0 when nobody was told. */
  readonly leasedUntil: number
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

export interface PutManifest {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly manifest: Manifest
  readonly bytes: Uint8Array
  readonly tags: readonly Tag[]
  /** Must be blobs of the repository. */
  readonly requiredBlobs: readonly Digest[]
  /** Must be manifests or blobs of the repository. */
  readonly requiredChildren: readonly Digest[]
  readonly identity: string
  readonly at: number
  readonly leaseUntil: number
  /** When what the tags pointed to before may be looked at. */
  readonly reviewAt: number
}

interface Removal {
  readonly repository: RepositoryName
  readonly identity: string
  readonly at: number
  /** When what this frees may be looked at. */
  readonly reviewAt: number
}

export interface TagRemoval extends Removal {
  readonly tag: Tag
}

export interface DigestRemoval extends Removal {
  readonly digest: Digest
}

/** The tags that went along with a manifest. */
export interface DeletedTags {
  /** Whether {@link MetadataStore.removeDeletedTags} has something to tidy up. */
  readonly tagsAreLeft: boolean
  /** The first hundred by name. */
  readonly tags: readonly string[]
  readonly hasMoreTags: boolean
}

export interface DescribeRepository {
  readonly repository: RepositoryName
  readonly description: string
  readonly at: number
}

/** What has happened to a tag, a manifest or a repository. */
export type HistoryAction =
  'moved' | 'deleted' | 'restored' | 'repository deleted' | 'repository restored'

export interface PageRequest {
  /** Entries after this one, which need not exist. */
  readonly after?: string
  readonly limit: number
}

export interface Page<T> {
  readonly entries: T[]
  readonly hasMore: boolean
}

export interface ReferrersQuery extends PageRequest {
  readonly repository: RepositoryName
  readonly subject: Digest
  /** Any of these; all when empty. */
  readonly artifactTypes: readonly string[]
  /** The page ends before its entries would be larger than this, but has one at least. */
  readonly bytesMax: number
}

export interface Referrer {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

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
  readonly at: number
  readonly leaseUntil: number
}

export interface LeaseRequest {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly until: number
}

export type RunKind = 'gc' | 'retention' | 'verify' | 'backup'

/** braked: it has stopped before it did anything, because it would have done too much. */
export type RunStatus = 'running' | 'done' | 'braked' | 'failed' | 'stopped'

export interface BeginRun {
  readonly kind: RunKind
  readonly at: number
  readonly identity: string
  /** What it was asked for, and what it has found so far, in the kind's own form: plain JSON. */
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
