import type { Statement } from 'better-sqlite3'
import type { FileRemoval } from '../metadata-store.js'
import type { Connection } from './connection.js'

/** What tells whether there is anything to collect. */
export class CollectReads {
  readonly #isReviewDue: Statement<[number], number>
  readonly #isRepositoryDue: Statement<[number], number>
  readonly #fileRemovals: Statement<[number], FileRemoval>

  constructor(connection: Connection) {
    this.#isReviewDue = connection.prepare('select 1 from reviews where due_at <= ? limit 1')
    this.#isRepositoryDue = connection.prepare(
      'select 1 from deleted_repositories where deleted_at <= ? limit 1',
    )
    this.#fileRemovals = connection.prepare('select digest, destination from file_removals limit ?')
  }

  hasDue({ at, undoMs }: { readonly at: number; readonly undoMs: number }): boolean {
    return (
      this.#isReviewDue.get(at) !== undefined ||
      this.#isRepositoryDue.get(at - undoMs) !== undefined
    )
  }

  listFileRemovals(limit: number): FileRemoval[] {
    return this.#fileRemovals.all(limit)
  }
}
