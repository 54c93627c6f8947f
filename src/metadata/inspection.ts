import type { Digest } from '../oci/digest.js'
import type { RepositoryName, Tag } from '../oci/reference.js'
import type { Visibility } from './accounts.js'
import type { Page, PageRequest } from './pages.js'
import type { Viewer } from './viewers.js'

/**
 * What people ask of what is there, and of what was. Each answer costs what is in it, however much there
 * is besides.
 */
export interface Inspection {
  /** Those that the catalog shows. */
  listRepositoryRecords(query: RepositoriesQuery): Promise<Page<RepositoryRecord>>

  /**
   * Also one that the catalog does not show, because it is empty.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  getRepositoryRecord(repository: RepositoryName): Promise<RepositoryRecord>

  /** @throws {@link RegistryError} `NAME_UNKNOWN` */
  listTagRecords(repository: RepositoryName, page: PageRequest): Promise<Page<TagRecord>>

  /** @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN` */
  getTagRecord(repository: RepositoryName, tag: Tag): Promise<TagRecord>

  /**
   * Those that are not deleted, by digest.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  listManifestRecords(
    repository: RepositoryName,
    page: PageRequest,
  ): Promise<Page<LiveManifestRecord>>

  /**
   * Those that were deleted, the last one first.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  listDeletedManifests(query: DeletedManifestsQuery): Promise<Page<DeletedManifest>>

  /**
   * A manifest that is not deleted, with what it holds and what holds it.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`
   */
  getManifestDetails(repository: RepositoryName, digest: Digest): Promise<ManifestDetails>

  /**
   * The tags that point to a manifest.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`
   */
  listTagsOfManifest(
    repository: RepositoryName,
    digest: Digest,
    page: PageRequest,
  ): Promise<Page<string>>

  /**
   * What has happened in a repository, the last first; in the one of this name that was deleted last when
   * none has the name now. Tags that go along with a manifest come into the history a little after it.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  listHistory(query: HistoryQuery): Promise<Page<HistoryEntry>>

  /** Repositories that were deleted, the last one first. */
  listDeletedRepositories(query: DeletedQuery): Promise<Page<DeletedRepository>>
}

export interface RepositoriesQuery extends PageRequest {
  /** What their names begin with. */
  readonly prefix?: string
  readonly viewer?: Viewer
}

export interface RepositoryRecord {
  readonly name: RepositoryName
  readonly createdAt: number
  readonly description: string
  /** Of its manifests and of the blobs they refer to, whoever else has those. */
  readonly logicalBytes: number
  /** Whether the catalog shows it: it has a manifest, or a description. */
  readonly listed: boolean
  /** Who may pull from it: everybody, or those who were granted that. */
  readonly visibility: Visibility
}

export interface TagRecord {
  readonly name: Tag
  readonly digest: Digest
  readonly mediaType: string
  /** Of the manifest itself. */
  readonly sizeBytes: number
  readonly updatedAt: number
  readonly updatedBy: string
  /** When the manifest was last asked for, by whatever tag. */
  readonly pulledAt?: number
}

export interface ManifestRecord {
  readonly digest: Digest
  readonly mediaType: string
  readonly artifactType?: string
  readonly subject?: Digest
  /** Of the manifest itself. */
  readonly sizeBytes: number
  readonly pushedAt: number
  readonly pushedBy: string
  readonly pulledAt?: number
}

export interface LiveManifestRecord extends ManifestRecord {
  /** Whether a tag points to it. */
  readonly tagged: boolean
}

/** A place in a list that is in the order of time. */
export interface Moment {
  readonly at: number
  readonly id: number
}

export interface DeletedQuery {
  /** Only what was deleted after this. */
  readonly since: number
  /** Only what comes behind this in the list. */
  readonly before?: Moment
  readonly limit: number
}

export interface DeletedManifestsQuery extends DeletedQuery {
  readonly repository: RepositoryName
}

export interface DeletedManifest extends ManifestRecord {
  readonly id: number
  readonly deletedAt: number
  readonly deletedBy: string
}

/** How much of each list {@link ManifestDetails} has at most. */
export const detailsMax = { references: 1000, tags: 100, holders: 100, referrers: 1000 } as const

export interface ManifestDetails extends LiveManifestRecord {
  readonly references: readonly {
    readonly digest: Digest
    readonly kind: 'config' | 'layer' | 'child' | 'blob'
    readonly sizeBytes: number
  }[]
  readonly hasMoreReferences: boolean
  /** Those that point to it, and would go along with it. */
  readonly tags: readonly string[]
  readonly hasMoreTags: boolean
  /** The indexes of the repository that have it as a child. */
  readonly heldBy: readonly Digest[]
  readonly hasMoreHolders: boolean
  /** How many manifests of the repository have it as their subject; counted up to a thousand. */
  readonly referrerCount: number
}

export interface HistoryQuery {
  readonly repository: RepositoryName
  /** Only what happened to this tag. */
  readonly tag?: Tag
  /** Only entries with a smaller id. */
  readonly before?: number
  readonly limit: number
}

/** What has happened to a tag, a manifest or a repository. */
export type HistoryAction =
  'moved' | 'deleted' | 'restored' | 'repository deleted' | 'repository restored'

export interface HistoryEntry {
  readonly id: number
  readonly action: HistoryAction
  /** Absent where it happened to a manifest, or to the repository. */
  readonly tag?: string
  readonly from?: Digest
  readonly to?: Digest
  readonly at: number
  readonly identity: string
}

export interface DeletedRepository {
  readonly id: number
  readonly name: RepositoryName
  readonly deletedAt: number
  readonly deletedBy: string
  readonly logicalBytes: number
}
