import type { Statement } from 'better-sqlite3'
import type { BeginRun, RunProgress } from '../runs.js'
import type { Connection } from './connection.js'
import { LAST_CONTENT_RUN } from './run-reads.js'

/** Runs of each kind that are remembered, but for the one by which the schedule of hashing goes. */
const runsKept = 500

/** What writes down the runs of maintenance. */
export class RunWrites {
  readonly #begin: Statement<unknown[], number>
  readonly #progress: Statement<unknown[]>
  readonly #forgetOld: Statement<[{ readonly kind: string }]>
  readonly #stopAll: Statement<[number]>

  constructor(connection: Connection) {
    this.#begin = connection
      .prepare<unknown[], number>(
        `insert into runs (kind, status, started_at, started_by, options, report)
         values (?, 'running', ?, ?, ?, ?) returning id`,
      )
      .pluck()
    this.#progress = connection.prepare(
      'update runs set status = ?, finished_at = ?, report = ?, position = ? where id = ?',
    )
    this.#forgetOld = connection.prepare(
      `delete from runs where kind = @kind and id <= (
         select id from runs where kind = @kind order by id desc limit 1 offset ${runsKept})
         and id is not (${LAST_CONTENT_RUN})`,
    )
    this.#stopAll = connection.prepare(
      `update runs set status = 'stopped', finished_at = ? where status = 'running'`,
    )
  }

  beginRun({ kind, at, identity, options, report }: BeginRun): number {
    this.#forgetOld.run({ kind })
    const json = JSON.stringify
    return this.#begin.get(kind, at, identity, json(options), json(report)) as number
  }

  recordRun({ id, status, report, position = '', finishedAt }: RunProgress): void {
    this.#progress.run(status, finishedAt ?? null, JSON.stringify(report), position, id)
  }

  /** To be called when the process starts: whatever ran has ended with the one before. */
  stopRuns(at: number): void {
    this.#stopAll.run(at)
  }
}
