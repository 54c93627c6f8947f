import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { Tag } from '../../oci/reference.js'
import type { TagRecord } from '../inspection.js'
import type { Page, PageRequest } from '../pages.js'
import type { Connection } from './connection.js'
import type { TagReads } from './tag-reads.js'

interface TagRow {
  readonly name: Tag
  readonly digest: Digest
  readonly media_type: string
  readonly size_bytes: number
  readonly updated_at: number
  readonly updated_by: string
  readonly pulled_at: number | null
}

/** Tags as people look at them. */
export class TagRecords {
  readonly #tags: TagReads
  readonly #find: Statement<[number, string], TagRow>

  constructor(connection: Connection, tags: TagReads) {
    this.#tags = tags
    this.#find = connection.prepare(
      `select t.name, m.digest, m.media_type, m.size_bytes, t.updated_at, t.updated_by, m.pulled_at
       from tags t cross join manifests m on m.id = t.manifest_id and m.generation = t.generation
       where t.repository_id = ? and t.name = ?`,
    )
  }

  async list(repositoryId: number, { after, limit }: PageRequest): Promise<Page<TagRecord>> {
    for (let last = after; ;) {
      const page = { limit, ...(last !== undefined && { after: last }) }
      const names = await this.#tags.list(repositoryId, page)
      // One may have gone since its name was read.
      const rows = names.entries.flatMap((name) => this.#find.get(repositoryId, name) ?? [])
      if (rows.length > 0 || !names.hasMore) {
        return { entries: rows.map(recordOf), hasMore: names.hasMore }
      }
      last = names.entries.at(-1)
    }
  }

  get(repositoryId: number, tag: Tag): TagRecord {
    const row = this.#find.get(repositoryId, tag)
    if (row) return recordOf(row)
    throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such tag', {
      details: [{ tag }],
    })
  }
}

function recordOf(row: TagRow): TagRecord {
  return {
    name: row.name,
    digest: row.digest,
    mediaType: row.media_type,
    sizeBytes: row.size_bytes,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
    ...(row.pulled_at !== null && { pulledAt: row.pulled_at }),
  }
}
