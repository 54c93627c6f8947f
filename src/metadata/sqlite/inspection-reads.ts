import type { Digest } from '../../oci/digest.js'
import type { RepositoryName, Tag } from '../../oci/reference.js'
import type {
  DeletedManifest,
  DeletedManifestsQuery,
  DeletedQuery,
  DeletedRepository,
  HistoryEntry,
  HistoryQuery,
  LiveManifestRecord,
  ManifestDetails,
  RepositoriesQuery,
  RepositoryRecord,
  TagRecord,
} from '../inspection.js'
import type { Page, PageRequest } from '../pages.js'
import type { ChangedTags, ChangedTagsQuery } from '../undo.js'
import type { Connection } from './connection.js'
import { HistoryReads } from './history-reads.js'
import { ManifestRecords } from './manifest-records.js'
import { Repositories } from './repositories.js'
import { RepositoryRecords } from './repository-records.js'
import type { TagReads } from './tag-reads.js'
import { TagRecords } from './tag-records.js'
import type { VisibleRepositories } from './visible-repositories.js'

/** What the port's {@link Inspection} asks, by the names of repositories. */
export class InspectionReads {
  readonly #repositories: Repositories
  readonly #repositoryRecords: RepositoryRecords
  readonly #tags: TagRecords
  readonly #manifests: ManifestRecords
  readonly #history: HistoryReads

  constructor(connection: Connection, tags: TagReads, visible: VisibleRepositories) {
    this.#repositories = new Repositories(connection)
    this.#repositoryRecords = new RepositoryRecords(connection, visible)
    this.#tags = new TagRecords(connection, tags)
    this.#manifests = new ManifestRecords(connection)
    this.#history = new HistoryReads(connection, this.#repositories)
  }

  async listRepositoryRecords(query: RepositoriesQuery): Promise<Page<RepositoryRecord>> {
    return this.#repositoryRecords.list(query)
  }

  getRepositoryRecord(repository: RepositoryName): RepositoryRecord {
    return this.#repositoryRecords.get(repository)
  }

  async listTagRecords(repository: RepositoryName, page: PageRequest): Promise<Page<TagRecord>> {
    return this.#tags.list(this.#repositories.get(repository), page)
  }

  getTagRecord(repository: RepositoryName, tag: Tag): TagRecord {
    return this.#tags.get(this.#repositories.get(repository), tag)
  }

  listManifestRecords(repository: RepositoryName, page: PageRequest): Page<LiveManifestRecord> {
    return this.#manifests.list(this.#repositories.get(repository), page)
  }

  listDeletedManifests({ repository, ...query }: DeletedManifestsQuery): Page<DeletedManifest> {
    return this.#manifests.listDeleted(this.#repositories.get(repository), query)
  }

  getManifestDetails(repository: RepositoryName, digest: Digest): ManifestDetails {
    return this.#manifests.getDetails(this.#repositories.get(repository), digest)
  }

  listTagsOfManifest(repository: RepositoryName, digest: Digest, page: PageRequest): Page<string> {
    return this.#manifests.listTags(this.#repositories.get(repository), digest, page)
  }

  listHistory(query: HistoryQuery): Page<HistoryEntry> {
    return this.#history.list(query)
  }

  listChangedTags(query: ChangedTagsQuery): ChangedTags {
    return this.#history.listChangedTags(query)
  }

  listDeletedRepositories(query: DeletedQuery): Page<DeletedRepository> {
    return this.#repositoryRecords.listDeleted(query)
  }
}
