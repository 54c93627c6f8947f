import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest, DigestAlgorithm } from '../../oci/digest.js'
import { fallbackTagOf, type Reference, type RepositoryName } from '../../oci/reference.js'
import type { StoredBlob } from '../blobs.js'
import type { Referrer, ReferrersQuery, StoredManifest } from '../manifests.js'
import type { Page, PageRequest } from '../pages.js'
import type { Viewer } from '../viewers.js'
import type { Upload } from '../uploads.js'
import { blobUnknown } from './blob-writes.js'
import type { Connection } from './connection.js'
import { InspectionReads } from './inspection-reads.js'
import { ManifestContents } from './manifest-contents.js'
import { leasedUntil, manifestColumns, manifestLease, type ManifestRow } from './manifest-rows.js'
import { pageOf } from './pages.js'
import { Repositories } from './repositories.js'
import { RepositorySearch } from './repository-search.js'
import { TagReads } from './tag-reads.js'
import { uploadUnknown } from './upload-writes.js'
import { LAST_NAME, VisibleRepositories } from './visible-repositories.js'

interface BlobRow {
  readonly size_bytes: number
  readonly inline: 0 | 1
  readonly stored_at: number
  readonly leased_until: number
}

interface ReferrerRow {
  readonly digest: Digest
  readonly media_type: string
  readonly size_bytes: number
  readonly artifact_type: string | null
  readonly annotations: string | null
}

const referrerColumns = 'm.media_type, m.size_bytes, m.artifact_type, m.annotations'

/** Rows that are read before their size is known. */
const smallBatch = 16

/** What only looks: statements prepared once, named for the question they answer. */
export class Reads {
  readonly #repositories: Repositories
  readonly #visible: VisibleRepositories
  readonly #search: RepositorySearch
  readonly #contents: ManifestContents
  readonly #tags: TagReads
  readonly inspection: InspectionReads
  readonly #manifestByTag: Statement<[string, string], ManifestRow>
  readonly #manifestByDigest: Statement<[string, string], ManifestRow>
  readonly #repositoriesAfter: Statement<[string, number], string>
  readonly #referrers: Statement<unknown[], ReferrerRow>
  readonly #referrersOfTypes: Statement<unknown[], ReferrerRow>
  readonly #blob: Statement<[string, string], BlobRow>
  readonly #inlineBlob: Statement<[string], Buffer>
  readonly #upload: Statement<
    [string, string],
    {
      algorithm: DigestAlgorithm
      offset_bytes: number
      bytes: Buffer | null
      received_digest: Digest | null
    }
  >
  readonly #uploadRemains: Statement<[number], string>
  readonly #readiness: Statement<[]>

  constructor(connection: Connection) {
    this.#repositories = new Repositories(connection)
    this.#visible = new VisibleRepositories(connection)
    this.#search = new RepositorySearch(connection, this.#visible)
    this.#contents = new ManifestContents(connection)
    this.#tags = new TagReads(connection, this.#contents)
    this.inspection = new InspectionReads(connection, this.#tags, this.#visible)
    this.#manifestByTag = connection.prepare(
      `select ${manifestColumns} from repositories r
       join tags t on t.repository_id = r.id and t.name = ?
       join manifests m on m.id = t.manifest_id and m.generation = t.generation
       ${manifestLease}
       where r.name = ?`,
    )
    this.#manifestByDigest = connection.prepare(
      `select ${manifestColumns} from repositories r
       join manifests m on m.repository_id = r.id and m.digest = ? and m.deleted_at is null
       ${manifestLease}
       where r.name = ?`,
    )
    this.#repositoriesAfter = connection
      .prepare<[string, number], string>(
        'select name from repositories where listed = 1 and name > ? order by name limit ?',
      )
      .pluck()
    this.#referrers = connection.prepare(referrersSql('manifests_subject_idx', ''))
    this.#referrersOfTypes = connection.prepare(
      referrersSql(
        'manifests_subject_type_idx',
        'and m.artifact_type in (select value from json_each(@types))',
      ),
    )
    this.#blob = connection.prepare(
      `select b.size_bytes, b.inline, b.stored_at, ${leasedUntil}
       from repositories r
       join repository_blobs rb on rb.repository_id = r.id and rb.digest = ?
       join blobs b on b.digest = rb.digest and b.damaged_at is null
       left join leases l on l.digest = rb.digest and l.repository_id = r.id
       where r.name = ?`,
    )
    this.#inlineBlob = connection
      .prepare<[string], Buffer>('select bytes from blob_contents where digest = ?')
      .pluck()
    this.#upload = connection.prepare(
      'select algorithm, offset_bytes, bytes, received_digest from uploads where id = ? and repository = ?',
    )
    this.#uploadRemains = connection
      .prepare<[number], string>('select upload_id from upload_remains limit ?')
      .pluck()
    this.#readiness = connection.prepare('select checked_at from readiness')
  }

  getManifest(repository: RepositoryName, reference: Reference): StoredManifest {
    const row =
      reference.tag !== undefined
        ? this.#manifestByTag.get(reference.tag, repository)
        : this.#manifestByDigest.get(reference.digest, repository)
    const manifest = row && this.#contents.of(row)
    if (manifest) return manifest
    this.#repositories.get(repository)
    throw new RegistryError(
      'MANIFEST_UNKNOWN',
      `the repository has no such ${reference.tag ? 'tag' : 'manifest'}`,
      { details: [reference] },
    )
  }

  async findNewestManifest(repository: RepositoryName): Promise<StoredManifest | undefined> {
    const id = this.#repositories.find(repository)
    return id === undefined ? undefined : this.#tags.findNewestManifest(id)
  }

  async listTags(repository: RepositoryName, page: PageRequest): Promise<Page<string>> {
    return this.#tags.list(this.#repositories.get(repository), page)
  }

  async listRepositories(
    { after = '', limit }: PageRequest,
    viewer: Viewer | undefined,
  ): Promise<Page<string>> {
    if (viewer) return this.#visible.list(viewer, { from: `${after}\0`, below: LAST_NAME }, limit)
    return pageOf(this.#repositoriesAfter.all(after, limit + 1), limit)
  }

  listReferrers(query: ReferrersQuery): Page<Referrer> {
    const { repository, subject, artifactTypes, after = '', limit, bytesMax } = query
    const repositoryId = this.#repositories.find(repository)
    if (repositoryId === undefined) return { entries: [], hasMore: false }
    const statement = artifactTypes.length > 0 ? this.#referrersOfTypes : this.#referrers
    const entries: Referrer[] = []
    let bytes = 0
    let last = after
    // In batches, and a small one first: annotations may be megabytes each.
    for (let wanted = smallBatch; ; wanted = nextBatch(entries.length, bytes, bytesMax)) {
      // One more than there may be tells that there is more.
      const batch = Math.min(wanted, limit + 1 - entries.length)
      const rows = statement.all({
        repositoryId,
        subject,
        fallbackTag: fallbackTagOf(subject),
        after: last,
        batch,
        ...(artifactTypes.length > 0 && { types: JSON.stringify(artifactTypes) }),
      })
      for (const row of rows) {
        bytes += sizeInPage(row)
        if (entries.length === limit || (bytes > bytesMax && entries.length > 0)) {
          return { entries, hasMore: true }
        }
        entries.push(referrerOf(row))
        last = row.digest
      }
      if (rows.length < batch) return { entries, hasMore: false }
    }
  }

  async searchRepositories(
    term: string,
    limit: number,
    viewer: Viewer | undefined,
  ): Promise<RepositoryName[]> {
    return viewer ? this.#search.findVisible(term, limit, viewer) : this.#search.find(term, limit)
  }

  getBlob(repository: RepositoryName, digest: Digest): StoredBlob {
    const row = this.#blob.get(digest, repository)
    if (row) {
      return {
        digest,
        sizeBytes: row.size_bytes,
        inline: row.inline === 1,
        storedAt: row.stored_at,
        leasedUntil: row.leased_until,
      }
    }
    this.#repositories.get(repository)
    throw blobUnknown(digest)
  }

  readInlineBlob(digest: Digest): Buffer | undefined {
    return this.#inlineBlob.get(digest)
  }

  getUpload(repository: RepositoryName, id: string): Upload {
    const row = this.#upload.get(id, repository)
    if (row === undefined) throw uploadUnknown(id)
    return {
      id,
      repository,
      algorithm: row.algorithm,
      offsetBytes: row.offset_bytes,
      ...(row.bytes !== null && { bytes: row.bytes }),
      ...(row.received_digest !== null && { receivedDigest: row.received_digest }),
    }
  }

  listUploadRemains(limit: number): string[] {
    return this.#uploadRemains.all(limit)
  }

  checkReadable(): void {
    this.#readiness.get()
  }
}

/**
 * Referrers by their subject, and by the index that clients without the referrers API keep under
 * the fallback tag. Both halves come in digest order, so the merge reads no further than its page
 * (by types: than what there is of them).
 *
 * The index is named and the joins keep their order because SQLite would rather save the sort: it
 * would walk all manifests of the repository, which are in digest order without one.
 */
function referrersSql(index: string, andType: string): string {
  return `
    select m.digest, ${referrerColumns} from manifests m indexed by ${index}
    where m.repository_id = @repositoryId and m.subject_digest = @subject
      and m.deleted_at is null and m.digest > @after ${andType}
    union
    select r.digest, ${referrerColumns} from tags t
    cross join manifests i on i.id = t.manifest_id and i.generation = t.generation
    cross join manifest_references r on r.manifest_id = t.manifest_id and r.kind = 'child'
    cross join manifests m on m.repository_id = t.repository_id and m.digest = r.digest
      and m.deleted_at is null
    where t.repository_id = @repositoryId and t.name = @fallbackTag and r.digest > @after ${andType}
    order by 1 limit @batch`
}

function referrerOf(row: ReferrerRow): Referrer {
  return {
    mediaType: row.media_type,
    digest: row.digest,
    sizeBytes: row.size_bytes,
    ...(row.artifact_type !== null && { artifactType: row.artifact_type }),
    ...(row.annotations !== null && {
      annotations: JSON.parse(row.annotations) as Record<string, string>,
    }),
  }
}

/** How many more rows the page has room for, if they are like those before; one more tells its end. */
function nextBatch(entryCount: number, bytes: number, bytesMax: number): number {
  const room = Math.floor((bytesMax - bytes) / (bytes / entryCount))
  return Math.max(smallBatch, room + 1)
}

/** What a descriptor takes in the answer, generously: its fixed members have under 400 bytes. */
function sizeInPage(row: ReferrerRow): number {
  return 400 + Buffer.byteLength(row.annotations ?? '') + (row.artifact_type?.length ?? 0)
}
