import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import type { Tag } from '../../oci/reference.js'
import type { HistoryAction, HistoryEntry, HistoryQuery, Page } from '../metadata-store.js'
import type { Connection } from './connection.js'

interface HistoryRow {
  readonly id: number
  readonly tag: Tag | ''
  readonly action: HistoryAction
  readonly from_digest: Digest | null
  readonly to_digest: Digest | null
  readonly changed_at: number
  readonly changed_by: string
}

/** What has happened in a repository, the latest first. */
export class HistoryReads {
  readonly #ofRepository: Statement<[number, number, number], HistoryRow>
  readonly #ofTag: Statement<[number, string, number, number], HistoryRow>

  constructor(connection: Connection) {
    const columns = 'id, tag, action, from_digest, to_digest, changed_at, changed_by'
    this.#ofRepository = connection.prepare(
      `select ${columns} from history where repository_id = ? and id < ? order by id desc limit ?`,
    )
    this.#ofTag = connection.prepare(
      `select ${columns} from history where repository_id = ? and tag = ? and id < ?
       order by id desc limit ?`,
    )
  }

  list(repositoryId: number, query: HistoryQuery): Page<HistoryEntry> {
    const { tag, before = Number.MAX_SAFE_INTEGER, limit } = query
    const rows =
      tag === undefined
        ? this.#ofRepository.all(repositoryId, before, limit + 1)
        : this.#ofTag.all(repositoryId, tag, before, limit + 1)
    return { entries: rows.slice(0, limit).map(entryOf), hasMore: rows.length > limit }
  }
}

function entryOf(row: HistoryRow): HistoryEntry {
  const { id, tag, action, from_digest: from, to_digest: to } = row
  return {
    ...{ id, action, at: row.changed_at, identity: row.changed_by },
    ...(tag !== '' && { tag }),
    ...(from !== null && { from }),
    ...(to !== null && { to }),
  }
}
