import type { Statement } from 'better-sqlite3'
import type { RepositoryName } from '../../oci/reference.js'
import type { AuditQuery, AuditResult, StoredAuditEvent } from '../audit.js'
import type { Page } from '../metadata-store.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'

interface EventRow {
  readonly id: number
  readonly at: number
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly repository: RepositoryName | null
  readonly address: string | null
  readonly result: AuditResult
  readonly details: string
}

/** The filters of a list that an index can answer; the first one given is looked up, others are checked. */
type Column = 'repository' | 'actor' | 'action'

/** What has been done, by whom. */
export class AuditReads {
  readonly #all: Statement<unknown[], EventRow>
  readonly #by: Readonly<Record<Column, Statement<unknown[], EventRow>>>

  constructor(connection: Connection) {
    const select = (where: string) =>
      connection.prepare<unknown[], EventRow>(
        `select id, at, actor, action, target, repository, address, result, details
         from audit_events where ${where} id < @before
           and (@actor is null or actor = @actor) and (@action is null or action = @action)
           and (@repository is null or repository = @repository)
           and (@result is null or result = @result)
           and (@since is null or at >= @since) and (@until is null or at < @until)
         order by id desc limit @limit`,
      )
    this.#all = select('')
    this.#by = {
      repository: select('repository = @repository and'),
      actor: select('actor = @actor and'),
      action: select('action = @action and'),
    }
  }

  list(query: AuditQuery): Page<StoredAuditEvent> {
    const column = (['repository', 'actor', 'action'] as const).find((name) => query[name])
    const statement = column === undefined ? this.#all : this.#by[column]
    const rows = statement.all({
      actor: query.actor ?? null,
      action: query.action ?? null,
      repository: query.repository ?? null,
      result: query.result ?? null,
      since: query.since ?? null,
      until: query.until ?? null,
      before: query.before ?? Number.MAX_SAFE_INTEGER,
      limit: query.limit + 1,
    })
    return pageOf(rows.map(eventOf), query.limit)
  }
}

function eventOf({ repository, address, details, ...row }: EventRow): StoredAuditEvent {
  return {
    ...row,
    ...(repository !== null && { repository }),
    ...(address !== null && { address }),
    details: JSON.parse(details) as Record<string, unknown>,
  }
}
