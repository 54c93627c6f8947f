import type { Statement } from 'better-sqlite3'
import type { Run, RunKind, RunsQuery, RunStatus } from '../metadata-store.js'
import type { Connection } from './connection.js'

interface RunRow {
  readonly id: number
  readonly kind: RunKind
  readonly status: RunStatus
  readonly started_at: number
  readonly finished_at: number | null
  readonly started_by: string
  readonly options: string
  readonly report: string
  readonly position: string
}

/** What tells of the runs of maintenance. */
export class RunReads {
  readonly #before: Statement<[number, number], RunRow>
  readonly #ofKindBefore: Statement<[string, number, number], RunRow>
  readonly #find: Statement<[number], RunRow>

  constructor(connection: Connection) {
    this.#before = connection.prepare('select * from runs where id < ? order by id desc limit ?')
    this.#ofKindBefore = connection.prepare(
      'select * from runs where kind = ? and id < ? order by id desc limit ?',
    )
    this.#find = connection.prepare('select * from runs where id = ?')
  }

  list({ kind, before = Number.MAX_SAFE_INTEGER, limit }: RunsQuery): Run[] {
    const rows =
      kind === undefined
        ? this.#before.all(before, limit)
        : this.#ofKindBefore.all(kind, before, limit)
    return rows.map(runOf)
  }

  find(id: number): Run | undefined {
    const row = this.#find.get(id)
    return row && runOf(row)
  }
}

function runOf(row: RunRow): Run {
  return {
    id: row.id,
    kind: row.kind,
    status: row.status,
    startedAt: row.started_at,
    ...(row.finished_at !== null && { finishedAt: row.finished_at }),
    identity: row.started_by,
    options: JSON.parse(row.options) as unknown,
    report: JSON.parse(row.report) as unknown,
    position: row.position,
  }
}
