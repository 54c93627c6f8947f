import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import {
  detailsMax,
  type DeletedManifest,
  type DeletedQuery,
  type LiveManifestRecord,
  type ManifestDetails,
  type ManifestRecord,
} from '../inspection.js'
import type { Page, PageRequest } from '../pages.js'
import type { Connection } from './connection.js'
import { endOfTime, pageOf } from './pages.js'

interface ManifestRow {
  readonly digest: Digest
  readonly media_type: string
  readonly artifact_type: string | null
  readonly subject_digest: Digest | null
  readonly size_bytes: number
  readonly pushed_at: number
  readonly pushed_by: string
  readonly pulled_at: number | null
}

interface LiveRow extends ManifestRow {
  readonly tagged: 0 | 1
}

interface DetailsRow extends LiveRow {
  readonly id: number
  readonly generation: number
}

interface DeletedRow extends ManifestRow {
  readonly id: number
  readonly deleted_at: number
  readonly deleted_by: string
}

interface ReferenceRow {
  readonly digest: Digest
  readonly kind: 'config' | 'layer' | 'child' | 'blob'
  readonly size_bytes: number
}

const columns = `m.digest, m.media_type, m.artifact_type, m.subject_digest, m.size_bytes,
  m.pushed_at, m.pushed_by, m.pulled_at`

const tagged = `exists (select 1 from tags t
  where t.manifest_id = m.id and t.generation = m.generation) as tagged`

/**
 * Of what refers to a digest so many are looked at to find those that are not deleted: a thousand
 * deleted ones must not make the answer a long one.
 */
const holdersLookedAt = 1000

/** Manifests as people look at them. */
export class ManifestRecords {
  readonly #liveAfter: Statement<[number, string, number], LiveRow>
  readonly #live: Statement<[number, string], DetailsRow>
  readonly #deletedBefore: Statement<
    [{ repositoryId: number; since: number; at: number; id: number; limit: number }],
    DeletedRow
  >
  readonly #references: Statement<[number, number], ReferenceRow>
  readonly #tags: Statement<[number, number, number, string, number], string>
  readonly #holders: Statement<[string, number], { digest: Digest; is_live: 0 | 1 }>
  readonly #countReferrers: Statement<[number, string], number>

  constructor(connection: Connection) {
    this.#liveAfter = connection.prepare(
      `select ${columns}, ${tagged} from manifests m indexed by manifests_live_idx
       where m.repository_id = ? and m.deleted_at is null and m.digest > ?
       order by m.digest limit ?`,
    )
    this.#live = connection.prepare(
      `select ${columns}, ${tagged}, m.id, m.generation from manifests m
       where m.repository_id = ? and m.digest = ? and m.deleted_at is null`,
    )
    this.#deletedBefore = connection.prepare(
      `select ${columns}, m.id, m.deleted_at, m.deleted_by
       from manifests m indexed by manifests_deleted_idx
       where m.repository_id = @repositoryId and m.deleted_at is not null
         and m.deleted_at > @since and (m.deleted_at, m.id) < (@at, @id)
       order by m.deleted_at desc, m.id desc limit @limit`,
    )
    this.#references = connection.prepare(
      `select digest, kind, size_bytes from manifest_references
       where manifest_id = ? order by digest, kind limit ?`,
    )
    this.#tags = connection
      .prepare<[number, number, number, string, number], string>(
        `select name from tags indexed by tags_manifest_idx
         where manifest_id = ? and generation = ? and repository_id = ? and name > ?
         order by name limit ?`,
      )
      .pluck()
    // The newest first: those before are more likely deleted.
    this.#holders = connection.prepare(
      `select m.digest, m.deleted_at is null as is_live from (
         select manifest_id from manifest_references
         where digest = ? and repository_id = ? and kind = 'child'
         order by manifest_id desc limit ${holdersLookedAt}) t
       cross join manifests m on m.id = t.manifest_id`,
    )
    this.#countReferrers = connection
      .prepare<[number, string], number>(
        `select count(*) from (
           select 1 from manifests indexed by manifests_subject_idx
           where repository_id = ? and subject_digest = ? and deleted_at is null
           limit ${detailsMax.referrers}) t`,
      )
      .pluck()
  }

  list(repositoryId: number, { after = '', limit }: PageRequest): Page<LiveManifestRecord> {
    return pageOf(this.#liveAfter.all(repositoryId, after, limit + 1).map(liveRecordOf), limit)
  }

  listDeleted(
    repositoryId: number,
    { since, before = endOfTime, limit }: DeletedQuery,
  ): Page<DeletedManifest> {
    const rows = this.#deletedBefore.all({ repositoryId, since, ...before, limit: limit + 1 })
    return pageOf(
      rows.map((row) => ({
        ...recordOf(row),
        id: row.id,
        deletedAt: row.deleted_at,
        deletedBy: row.deleted_by,
      })),
      limit,
    )
  }

  getDetails(repositoryId: number, digest: Digest): ManifestDetails {
    const row = this.#get(repositoryId, digest)
    const references = pageOf(
      this.#references.all(row.id, detailsMax.references + 1),
      detailsMax.references,
    )
    const tags = this.#tagPage(repositoryId, row, { limit: detailsMax.tags })
    const holders = this.#holders.all(digest, repositoryId)
    const live = holders.filter(({ is_live }) => is_live === 1).map(({ digest }) => digest)
    return {
      ...liveRecordOf(row),
      references: references.entries.map(({ digest, kind, size_bytes }) => ({
        digest,
        kind,
        sizeBytes: size_bytes,
      })),
      hasMoreReferences: references.hasMore,
      tags: tags.entries,
      hasMoreTags: tags.hasMore,
      heldBy: live.slice(0, detailsMax.holders),
      hasMoreHolders: live.length > detailsMax.holders || holders.length === holdersLookedAt,
      referrerCount: this.#countReferrers.get(repositoryId, digest) ?? 0,
    }
  }

  listTags(repositoryId: number, digest: Digest, page: PageRequest): Page<string> {
    return this.#tagPage(repositoryId, this.#get(repositoryId, digest), page)
  }

  #tagPage(
    repositoryId: number,
    { id, generation }: DetailsRow,
    { after = '', limit }: PageRequest,
  ): Page<string> {
    return pageOf(this.#tags.all(id, generation, repositoryId, after, limit + 1), limit)
  }

  #get(repositoryId: number, digest: Digest): DetailsRow {
    const row = this.#live.get(repositoryId, digest)
    if (row) return row
    throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such manifest', {
      details: [{ digest }],
    })
  }
}

function recordOf(row: ManifestRow): ManifestRecord {
  return {
    digest: row.digest,
    mediaType: row.media_type,
    ...(row.artifact_type !== null && { artifactType: row.artifact_type }),
    ...(row.subject_digest !== null && { subject: row.subject_digest }),
    sizeBytes: row.size_bytes,
    pushedAt: row.pushed_at,
    pushedBy: row.pushed_by,
    ...(row.pulled_at !== null && { pulledAt: row.pulled_at }),
  }
}

function liveRecordOf(row: LiveRow): LiveManifestRecord {
  return { ...recordOf(row), tagged: row.tagged === 1 }
}
