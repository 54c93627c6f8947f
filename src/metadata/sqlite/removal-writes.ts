import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

/** What ends removals, and forgets what is too old to be of use. */
export class RemovalWrites {
  readonly #connection: Connection
  readonly #forgetFileRemoval: Statement<[string]>
  readonly #forgetUnfinished: readonly Statement<[]>[]
  readonly #forgetHistory: Statement<[{ readonly before: number; readonly limit: number }]>

  constructor(connection: Connection) {
    this.#connection = connection
    this.#forgetFileRemoval = connection.prepare('delete from file_removals where digest = ?')
    // All of each: there are no more than sessions can be open. A copy signs with a key of its own.
    const tables = ['uploads', 'upload_remains', 'file_removals', 'signing_keys']
    this.#forgetUnfinished = tables.map((table) => connection.prepare<[]>(`delete from ${table}`))
    // Ids rise with time, so what is old is in front: those behind are not looked at.
    this.#forgetHistory = connection.prepare(
      `delete from history where id in (
         select id from (select id, changed_at from history order by id limit @limit)
         where changed_at < @before)`,
    )
  }

  forgetFileRemovals(digests: readonly string[]): void {
    for (const digest of digests) this.#forgetFileRemoval.run(digest)
  }

  forgetUnfinished(): void {
    // A key that only is not listed any more can still be read from the file.
    this.#connection.exec('pragma secure_delete = on')
    for (const statement of this.#forgetUnfinished) statement.run()
  }

  forgetHistory(before: number, limit: number): boolean {
    return this.#forgetHistory.run({ before, limit }).changes === limit
  }
}
