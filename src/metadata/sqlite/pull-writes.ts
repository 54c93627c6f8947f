import type { Statement } from 'better-sqlite3'
import type { Pull } from '../manifests.js'
import type { Connection } from './connection.js'

/** What writes down when manifests were asked for. */
export class PullWrites {
  readonly #record: Statement<[Pull]>

  constructor(connection: Connection) {
    this.#record = connection.prepare(
      `update manifests set pulled_at = @at
       where repository_id = (select id from repositories where name = @repository)
         and digest = @digest and deleted_at is null and coalesce(pulled_at, 0) < @at`,
    )
  }

  recordPulls(pulls: readonly Pull[]): void {
    for (const pull of pulls) this.#record.run(pull)
  }
}
