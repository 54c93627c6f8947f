import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

/** What a copy has to be told, as it is not what it is a copy of. */
export class CopyWrites {
  readonly #markWhole: readonly Statement<[string]>[]

  readonly #renewOrigin: Statement<[]>

  constructor(connection: Connection) {
    this.#markWhole = [
      'update blobs set damaged_at = null, inline = 0 where digest = ?',
      'delete from blob_contents where digest = ?',
    ].map((sql) => connection.prepare<[string]>(sql))
    this.#renewOrigin = connection.prepare(
      'update origin set registry = lower(hex(randomblob(16)))',
    )
  }

  renewOrigin(): void {
    this.#renewOrigin.run()
  }

  markBlobWhole(digest: string): void {
    for (const statement of this.#markWhole) statement.run(digest)
  }
}
