import type { Statement } from 'better-sqlite3'
import type { HistoryAction } from '../inspection.js'
import type { Connection } from './connection.js'

/** One thing that has happened to a tag, or, where `tag` is empty, to a manifest or repository. */
export interface HistoryRow {
  readonly repositoryId: number
  readonly tag?: string
  readonly action: HistoryAction
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly at: number
  readonly identity: string
}

/** What has happened, for whoever wants to know, and wants it back. */
export class HistoryWrites {
  readonly #record: Statement<unknown[]>

  constructor(connection: Connection) {
    this.#record = connection.prepare(
      `insert into history (repository_id, tag, action, from_digest, to_digest, changed_at, changed_by)
       values (?, ?, ?, ?, ?, ?, ?)`,
    )
  }

  record({ repositoryId, tag = '', action, from, to, at, identity }: HistoryRow): void {
    this.#record.run(repositoryId, tag, action, from ?? null, to ?? null, at, identity)
  }
}
