import type { Digest } from '../oci/digest.js'
import type { Manifest } from '../oci/manifest.js'
import type { Reference, RepositoryName, Tag } from '../oci/reference.js'
import type { Page, PageRequest } from './pages.js'
import type { Quota } from './quotas.js'
import type { DigestRemoval } from './removals.js'
import type { TagRules } from './tags.js'

/** Manifests, and what they refer to. */
export interface ManifestMetadata {
  /** @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN` */
  getManifest(repository: RepositoryName, reference: Reference): Promise<StoredManifest>

  /** The manifest of the tag that moved last, or undefined when the repository has no tag. */
  findNewestManifest(repository: RepositoryName): Promise<StoredManifest | undefined>

  /**
   * The manifests of a repository whose subject is the one given, and those that an index under
   * the fallback tag lists, by digest. A repository or subject that is not there has none.
   */
  listReferrers(query: ReferrersQuery): Promise<Page<Referrer>>

  /**
   * Stores a manifest, what it refers to, and the tags that shall point to it.
   *
   * Repositories come to be with their first content. A tag that moved leaves a history row, and
   * a review of what it pointed to before. A manifest without a tag gets a lease: the index that
   * will hold it may still be on its way.
   *
   * @throws {@link RegistryError} `MANIFEST_BLOB_UNKNOWN` with the digests of
   *   {@link PutManifest.requiredBlobs} and {@link PutManifest.requiredChildren} that the
   *   repository does not have; `DENIED` when a tag that {@link PutManifest.tagRules} keep would
   *   move, or any tag without {@link PutManifest.mayOverwrite} (of two that would make such a tag at once, to different manifests, one succeeds), or
   *   when it adds more than one of {@link PutManifest.quotas} has left
   */
  putManifest(manifest: PutManifest): Promise<void>

  /**
   * Removes a manifest and every tag that points to it; not its children, referrers or blobs. It
   * is kept aside for the undo window.
   *
   * However many tags there are, this is a small transaction: all are gone for whoever asks, but
   * of many something is left to be tidied up by {@link removeDeletedTags}.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`; `DENIED` when
   *   {@link ManifestRemoval.tagRules} keep a tag that points to it, naming one
   */
  deleteManifest(removal: ManifestRemoval): Promise<DeletedTags>

  /**
   * Tidies up after up to `limit` tags of deleted manifests, and writes the history of each as of
   * the delete. To be repeated until there is nothing more.
   *
   * @returns whether there may be more
   */
  removeDeletedTags(limit: number): Promise<boolean>

  /**
   * Remembers when manifests were last asked for; those that are not there any more are left out. Not
   * durable: a power cut may take the latest times, and nothing but a rule about them would miss them.
   */
  recordPulls(pulls: readonly Pull[]): Promise<void>
}

export interface StoredManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Buffer
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
  readonly tagRules: TagRules
  /** Whether a tag that is there may move to another manifest. */
  readonly mayOverwrite: boolean
  /** Those that the repository has to hold to. */
  readonly quotas: readonly Quota[]
}

export interface ManifestRemoval extends DigestRemoval {
  readonly tagRules: TagRules
}

/** The tags that went along with a manifest. */
export interface DeletedTags {
  /** Whether {@link ManifestMetadata.removeDeletedTags} has something to tidy up. */
  readonly tagsAreLeft: boolean
  /** The first hundred by name. */
  readonly tags: readonly string[]
  readonly hasMoreTags: boolean
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

export interface Pull {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly at: number
}
