import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { HistoryEntry, HistoryQuery } from '../inspection.js'
import type { HistoryAction, Page } from '../metadata-store.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'
import { repositoryUnknown, type Repositories } from './repositories.js'

interface HistoryRow {
  readonly id: number
  readonly action: HistoryAction
  readonly tag: string
  readonly from_digest: Digest | null
  readonly to_digest: Digest | null
  readonly changed_at: number
  readonly changed_by: string
}

const columns = 'id, action, tag, from_digest, to_digest, changed_at, changed_by'

/** What has happened, for people to look at. */
export class HistoryReads {
  readonly #repositories: Repositories
  readonly #deletedRepository: Statement<[string], number>
  readonly #before: Statement<[number, number, number], HistoryRow>
  readonly #ofTagBefore: Statement<[number, string, number, number], HistoryRow>

  constructor(connection: Connection, repositories: Repositories) {
    this.#repositories = repositories
    this.#deletedRepository = connection
      .prepare<[string], number>(
        `select repository_id from deleted_repositories where name = ?
         order by deleted_at desc, repository_id desc limit 1`,
      )
      .pluck()
    this.#before = connection.prepare(
      `select ${columns} from history indexed by history_repository_idx
       where repository_id = ? and id < ? order by id desc limit ?`,
    )
    this.#ofTagBefore = connection.prepare(
      `select ${columns} from history indexed by history_tag_idx
       where repository_id = ? and tag = ? and id < ? order by id desc limit ?`,
    )
  }

  list(query: HistoryQuery): Page<HistoryEntry> {
    const { repository, tag, before = Number.MAX_SAFE_INTEGER, limit } = query
    const repositoryId = this.#find(repository)
    const rows =
      tag === undefined
        ? this.#before.all(repositoryId, before, limit + 1)
        : this.#ofTagBefore.all(repositoryId, tag, before, limit + 1)
    return pageOf(rows.map(entryOf), limit)
  }

  /** Who deleted a repository is asked by the name that it had. */
  #find(name: RepositoryName): number {
    const id = this.#repositories.find(name) ?? this.#deletedRepository.get(name)
    if (id === undefined) throw repositoryUnknown(name)
    return id
  }
}

function entryOf(row: HistoryRow): HistoryEntry {
  return {
    id: row.id,
    action: row.action,
    ...(row.tag !== '' && { tag: row.tag }),
    ...(row.from_digest !== null && { from: row.from_digest }),
    ...(row.to_digest !== null && { to: row.to_digest }),
    at: row.changed_at,
    identity: row.changed_by,
  }
}
