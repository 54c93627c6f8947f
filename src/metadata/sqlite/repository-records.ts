import type { Statement } from 'better-sqlite3'
import { repositoryUnknown } from '../../errors.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { Visibility } from '../accounts.js'
import type {
  DeletedQuery,
  DeletedRepository,
  RepositoriesQuery,
  RepositoryRecord,
} from '../inspection.js'
import type { Page } from '../pages.js'
import type { Connection } from './connection.js'
import { endOfTime, pageOf } from './pages.js'
import { FIRST_NAME, LAST_NAME, type VisibleRepositories } from './visible-repositories.js'

interface RepositoryRow {
  readonly name: RepositoryName
  readonly created_at: number
  readonly description: string
  readonly logical_bytes: number
  readonly listed: 0 | 1
  readonly visibility: Visibility
}

interface DeletedRow {
  readonly id: number
  readonly name: RepositoryName
  readonly deleted_at: number
  readonly deleted_by: string
  readonly logical_bytes: number
}

const columns = 'name, created_at, description, logical_bytes, listed, visibility'

/** Repositories as people look at them. */
export class RepositoryRecords {
  readonly #visible: VisibleRepositories
  readonly #from: Statement<[string, string, number], RepositoryRow>
  readonly #byName: Statement<[string], RepositoryRow>
  readonly #deletedBefore: Statement<
    [{ since: number; at: number; id: number; limit: number }],
    DeletedRow
  >

  constructor(connection: Connection, visible: VisibleRepositories) {
    this.#visible = visible
    this.#from = connection.prepare(
      `select ${columns} from repositories
       where listed = 1 and name >= ? and name < ? order by name limit ?`,
    )
    this.#byName = connection.prepare(`select ${columns} from repositories where name = ?`)
    this.#deletedBefore = connection.prepare(
      `select d.repository_id as id, d.name, d.deleted_at, d.deleted_by, r.logical_bytes
       from deleted_repositories d cross join repositories r on r.id = d.repository_id
       where d.deleted_at > @since and (d.deleted_at, d.repository_id) < (@at, @id)
       order by d.deleted_at desc, d.repository_id desc limit @limit`,
    )
  }

  async list(query: RepositoriesQuery): Promise<Page<RepositoryRecord>> {
    const { prefix = '', after, limit, viewer } = query
    const first = prefix > FIRST_NAME ? prefix : FIRST_NAME
    // Nothing sorts between a name and the same with a zero behind it.
    const from = after !== undefined && after >= first ? `${after}\0` : first
    const below = prefix + LAST_NAME
    if (viewer) {
      const { entries, hasMore } = await this.#visible.list(viewer, { from, below }, limit)
      const found = entries.flatMap((name) => this.#byName.all(name))
      return { entries: found.map(recordOf), hasMore }
    }
    const rows = this.#from.all(from, below, limit + 1)
    return pageOf(rows.map(recordOf), limit)
  }

  get(name: RepositoryName): RepositoryRecord {
    const row = this.#byName.get(name)
    if (row === undefined) throw repositoryUnknown(name)
    return recordOf(row)
  }

  listDeleted({ since, before = endOfTime, limit }: DeletedQuery): Page<DeletedRepository> {
    const rows = this.#deletedBefore.all({ since, ...before, limit: limit + 1 })
    return pageOf(
      rows.map(({ id, name, deleted_at, deleted_by, logical_bytes }) => ({
        id,
        name,
        deletedAt: deleted_at,
        deletedBy: deleted_by,
        logicalBytes: logical_bytes,
      })),
      limit,
    )
  }
}

function recordOf(row: RepositoryRow): RepositoryRecord {
  return {
    name: row.name,
    createdAt: row.created_at,
    description: row.description,
    logicalBytes: row.logical_bytes,
    listed: row.listed === 1,
    visibility: row.visibility,
  }
}
