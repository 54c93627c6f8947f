import type { Statement } from 'better-sqlite3'
import { repositoryUnknown } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { RepositoryName, Tag } from '../../oci/reference.js'
import type { HistoryAction, HistoryEntry, HistoryQuery } from '../inspection.js'
import type { Page } from '../pages.js'
import type { ChangedTags, ChangedTagsQuery } from '../undo.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'
import type { Repositories } from './repositories.js'

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

/** How many tags are looked at for a page of those that have changed: about a millisecond. */
const lookedAtMax = 250

/** What has happened, for people to look at. */
export class HistoryReads {
  readonly #repositories: Repositories
  readonly #deletedRepository: Statement<[string], number>
  readonly #before: Statement<[number, number, number], HistoryRow>
  readonly #ofTagBefore: Statement<[number, string, number, number], HistoryRow>
  readonly #nextTag: Statement<[number, string], Tag>
  readonly #lastChange: Statement<[number, string], number>

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
    this.#nextTag = connection
      .prepare<[number, string], Tag>(
        `select tag from history indexed by history_tag_idx
         where repository_id = ? and tag > ? order by tag limit 1`,
      )
      .pluck()
    this.#lastChange = connection
      .prepare<[number, string], number>(
        `select changed_at from history indexed by history_tag_idx
         where repository_id = ? and tag = ? order by id desc limit 1`,
      )
      .pluck()
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

  /**
   * Goes from tag to tag, however often each has changed. The last change of a tag is the one that was
   * written down last: of the removals of many tags that is some time after they were gone.
   */
  listChangedTags({ repository, since, after, limit }: ChangedTagsQuery): ChangedTags {
    const repositoryId = this.#repositories.get(repository)
    const tags: Tag[] = []
    let last = after
    for (let looks = 0; looks < lookedAtMax && tags.length < limit; looks++) {
      // What has no tag is written down with an empty one, which comes before all others.
      const tag = this.#nextTag.get(repositoryId, last)
      if (tag === undefined) return { tags }
      last = tag
      if ((this.#lastChange.get(repositoryId, tag) ?? 0) > since) tags.push(tag)
    }
    return { tags, next: last }
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
