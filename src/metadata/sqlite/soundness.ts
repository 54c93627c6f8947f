import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

/** Problems of one table that are told: hundreds more would say the same. */
const problemsMax = 100

/** What SQLite itself can tell of its file. */
export class Soundness {
  readonly #connection: Connection
  readonly #tables: Statement<[], string>
  readonly #lookAtNames: Statement<[]>
  readonly #quickCheck: Statement<[string], string>
  readonly #foreignKeyCheck: Statement<[string], { rowid: number | null; parent: string }>

  constructor(connection: Connection) {
    this.#connection = connection
    this.#tables = connection
      .prepare<[], string>(`select name from sqlite_schema where type = 'table' order by name`)
      .pluck()
    this.#lookAtNames = connection.prepare('select 1 from repository_names limit 1')
    this.#quickCheck = connection
      .prepare<[string], string>(`select quick_check from pragma_quick_check(?)`)
      .pluck()
    this.#foreignKeyCheck = connection.prepare(
      `select rowid, parent from pragma_foreign_key_check(?) limit ${problemsMax}`,
    )
  }

  listTables(): string[] {
    return this.#tables.all()
  }

  checkTable(table: string): string[] {
    this.#connection.exec('begin')
    try {
      // FTS5 checks itself by what the connection knew of it when it was last asked something, and
      // calls that corruption when another connection has changed it since.
      this.#lookAtNames.all()
      const problems = this.#quickCheck.all(table).filter((line) => line !== 'ok')
      const orphans = this.#foreignKeyCheck
        .all(table)
        .map(({ rowid, parent }) => `row ${rowid ?? '?'} of ${table} has no row of ${parent}`)
      return [...problems, ...orphans].slice(0, problemsMax)
    } finally {
      this.#connection.exec('commit')
    }
  }
}
