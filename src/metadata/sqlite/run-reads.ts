import type { Statement } from 'better-sqlite3'
import type { Run, RunKind, RunsQuery, RunStatus } from '../runs.js'
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

/**
 * The latest verification that hashes everything. Some hundred rows are looked at, at worst; what a run
 * was asked for stands before its report, which is not read.
 */
export const LAST_CONTENT_RUN = `select id from runs
  where kind = 'verify' and json_extract(options, '$.content') = 1 order by id desc limit 1`

interface Lists {
  readonly before: Statement<[number, number], RunRow>
  readonly ofKindBefore: Statement<[string, number, number], RunRow>
}

/** Cut before it gets to JavaScript: whole, a page could be hundreds of megabytes. */
const BRIEF_REPORT = `json_remove(report, '$.findings', '$.wouldRemove', '$.planned.repositories')`

/** What tells of the runs of maintenance. */
export class RunReads {
  readonly #whole: Lists
  readonly #brief: Lists
  readonly #find: Statement<[number], RunRow>
  readonly #findLastContent: Statement<[], RunRow>

  constructor(connection: Connection) {
    this.#whole = prepareLists(connection, 'report')
    this.#brief = prepareLists(connection, BRIEF_REPORT)
    this.#find = connection.prepare(`select ${columns('report')} from runs where id = ?`)
    this.#findLastContent = connection.prepare(
      `select ${columns('report')} from runs where id = (${LAST_CONTENT_RUN})`,
    )
  }

  list({ kind, before = Number.MAX_SAFE_INTEGER, limit, isBrief = false }: RunsQuery): Run[] {
    const lists = isBrief ? this.#brief : this.#whole
    const rows =
      kind === undefined
        ? lists.before.all(before, limit)
        : lists.ofKindBefore.all(kind, before, limit)
    return rows.map(runOf)
  }

  find(id: number): Run | undefined {
    const row = this.#find.get(id)
    return row && runOf(row)
  }

  findLastContent(): Run | undefined {
    const row = this.#findLastContent.get()
    return row && runOf(row)
  }
}

function columns(report: string): string {
  return `id, kind, status, started_at, finished_at, started_by, options, ${report} as report, position`
}

function prepareLists(connection: Connection, report: string): Lists {
  const runs = `select ${columns(report)} from runs`
  return {
    before: connection.prepare(`${runs} where id < ? order by id desc limit ?`),
    ofKindBefore: connection.prepare(`${runs} where kind = ? and id < ? order by id desc limit ?`),
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
