import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'
import type { HistoryWrites } from './history-writes.js'
import type { Keeping, ReviewReason } from './keeping.js'

/** What a tag points to. */
export interface TagTarget {
  readonly manifest_id: number
  readonly digest: string
  readonly updated_at: number
  readonly pulled_at: number | null
}

interface TagRow extends TagTarget {
  /** When and by whom the manifest was deleted whose tag has its row still; null when it was not. */
  readonly deleted_at: number | null
  readonly deleted_by: string | null
}

interface TagChange {
  readonly repositoryId: number
  readonly tag: string
  readonly identity: string
  readonly at: number
  /** When what the tag pointed to before may be looked at. */
  readonly reviewAt: number
}

interface TagMove extends TagChange {
  readonly manifestId: number
  readonly generation: number
  readonly digest: string
  readonly action: 'moved' | 'restored'
}

/** Tags as they move and go, with their history. */
export class TagWrites {
  readonly #history: HistoryWrites
  readonly #keeping: Keeping
  readonly #find: Statement<[number, string], TagRow>
  readonly #store: Statement<[number, string, number, number, number, string]>
  readonly #remove: Statement<[number, string]>
  readonly #release: Statement<[number, number]>

  constructor(connection: Connection, history: HistoryWrites, keeping: Keeping) {
    this.#history = history
    this.#keeping = keeping
    this.#find = connection.prepare(
      `select t.manifest_id, t.updated_at, m.digest, m.pulled_at, u.deleted_at, u.deleted_by from tags t
       join manifests m on m.id = t.manifest_id
       left join untaggings u on u.manifest_id = t.manifest_id and u.generation = t.generation
       where t.repository_id = ? and t.name = ?`,
    )
    this.#store = connection.prepare(
      `insert into tags (repository_id, name, manifest_id, generation, updated_at, updated_by)
       values (?, ?, ?, ?, ?, ?)
       on conflict do update set manifest_id = excluded.manifest_id,
         generation = excluded.generation, updated_at = excluded.updated_at,
         updated_by = excluded.updated_by`,
    )
    this.#remove = connection.prepare('delete from tags where repository_id = ? and name = ?')
    this.#release = connection.prepare('update manifests set released_at = ? where id = ?')
  }

  /** What a tag points to; undefined when it is not there. */
  find(repositoryId: number, tag: string): TagTarget | undefined {
    const row = this.#find.get(repositoryId, tag)
    return row?.deleted_at === null ? row : undefined
  }

  /** Points a tag to a manifest, be it for the first time. */
  move(move: TagMove): void {
    const { repositoryId, tag, manifestId, generation, digest, action, identity, at } = move
    const before = this.settle(repositoryId, tag)
    this.#store.run(repositoryId, tag, manifestId, generation, at, identity)
    if (before?.manifest_id === manifestId) return
    const from = before?.digest
    this.#history.record({ repositoryId, tag, action, from, to: digest, at, identity })
    if (before) this.#releaseTarget(move, before, 'tag moved')
  }

  /** Removes a tag that {@link find} has found. */
  remove(removal: TagChange, target: TagTarget): void {
    const { repositoryId, tag, identity, at } = removal
    this.#remove.run(repositoryId, tag)
    const from = target.digest
    this.#history.record({ repositoryId, tag, action: 'deleted', from, at, identity })
    this.#releaseTarget(removal, target, 'tag deleted')
  }

  /**
   * What a tag points to that is about to move. If it counts as gone but has its row still, the row
   * goes now, and its removal comes into the history before whatever comes next.
   */
  settle(repositoryId: number, tag: string): TagTarget | undefined {
    const row = this.#find.get(repositoryId, tag)
    if (row === undefined || row.deleted_at === null) return row
    const { digest: from, deleted_at: at, deleted_by } = row
    const identity = deleted_by as string
    this.#remove.run(repositoryId, tag)
    this.#history.record({ repositoryId, tag, action: 'deleted', from, at, identity })
    return undefined
  }

  #releaseTarget(
    { repositoryId, at, reviewAt }: TagChange,
    { manifest_id: manifestId, digest }: TagTarget,
    reason: ReviewReason,
  ): void {
    this.#release.run(at, manifestId)
    this.#keeping.review(repositoryId, digest, reviewAt, reason)
  }
}
