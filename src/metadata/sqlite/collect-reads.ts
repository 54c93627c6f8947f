import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import type { FileRemoval } from '../collecting.js'
import type { Connection } from './connection.js'

interface FileRemovalRow extends Omit<FileRemoval, 'hasRow'> {
  readonly has_row: 0 | 1
}

/** What tells whether there is anything to collect. */
export class CollectReads {
  readonly #isReviewDue: Statement<[number], number>
  readonly #isRepositoryDue: Statement<[number], number>
  readonly #fileRemovals: Statement<[string, number], FileRemovalRow>

  constructor(connection: Connection) {
    this.#isReviewDue = connection.prepare('select 1 from reviews where due_at <= ? limit 1')
    this.#isRepositoryDue = connection.prepare(
      'select 1 from deleted_repositories where deleted_at <= ? limit 1',
    )
    this.#fileRemovals = connection.prepare(
      `select digest, destination,
         exists (select 1 from blobs b where b.digest = r.digest) as has_row
       from file_removals r where digest > ? order by digest limit ?`,
    )
  }

  hasDue({ at, undoMs }: { readonly at: number; readonly undoMs: number }): boolean {
    return (
      this.#isReviewDue.get(at) !== undefined ||
      this.#isRepositoryDue.get(at - undoMs) !== undefined
    )
  }

  listFileRemovals(limit: number, after?: Digest): FileRemoval[] {
    return this.#fileRemovals
      .all(after ?? '', limit)
      .map(({ has_row, ...removal }) => ({ ...removal, hasRow: has_row === 1 }))
  }
}
