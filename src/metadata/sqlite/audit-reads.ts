import type { Statement } from 'better-sqlite3'
import type { RepositoryName } from '../../oci/reference.js'
import type { AuditPage, AuditQuery, AuditResult, StoredAuditEvent } from '../audit.js'
import type { Moment } from '../inspection.js'
import type { Connection } from './connection.js'
import { endOfTime, pageOf } from './pages.js'

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

/** The two questions that a page takes, asked of one index. */
interface Lookup {
  /** Where as many events end as are looked at for one page. */
  readonly end: Statement<unknown[], Moment>
  readonly events: Statement<unknown[], EventRow>
}

/** What an index can answer, the one that leaves the fewest events first; other filters are checked. */
const INDEXED = {
  repository: ['audit_events_repository_idx', 'repository = @repository'],
  // Spelled out, as SQLite knows by it that the index has them.
  unsuccessful: ['audit_events_result_idx', "result <> 'done' and result = @result"],
  actor: ['audit_events_actor_idx', 'actor = @actor'],
  action: ['audit_events_action_idx', 'action = @action'],
  all: ['audit_events_at_idx', 'true'],
} as const

type IndexedFilter = keyof typeof INDEXED

/** How many events are looked at for a page, whatever filters leave of them: some milliseconds. */
export const lookedAtMax = 2000

const latestFirst = 'order by at desc, id desc'

/** What has been done, by whom. */
export class AuditReads {
  readonly #lookups: Readonly<Record<IndexedFilter, Lookup>>

  constructor(connection: Connection) {
    const lookup = (filter: IndexedFilter): Lookup => {
      const [index, condition] = INDEXED[filter]
      const range = `from audit_events indexed by ${index} where ${condition}
        and at >= @since and (at, id) < (@at, @id)`
      return {
        end: connection.prepare(
          `select at, id ${range} ${latestFirst} limit 1 offset ${lookedAtMax - 1}`,
        ),
        events: connection.prepare(
          `select id, at, actor, action, target, repository, address, result, details ${range}
             and (at, id) >= (@endAt, @endId)
             and (@actor is null or actor = @actor) and (@action is null or action = @action)
             and (@repository is null or repository = @repository)
             and (@result is null or result = @result)
           ${latestFirst} limit @limit`,
        ),
      }
    }
    this.#lookups = {
      repository: lookup('repository'),
      unsuccessful: lookup('unsuccessful'),
      actor: lookup('actor'),
      action: lookup('action'),
      all: lookup('all'),
    }
  }

  list(query: AuditQuery): AuditPage {
    const { actor = null, action = null, repository = null, result = null, limit } = query
    const { end, events } = this.#lookups[filterOf(query)]
    const wanted = { actor, action, repository, result, since: query.since ?? 0, ...startOf(query) }
    const last = end.get(wanted)
    const { at: endAt, id: endId } = last ?? { at: 0, id: 0 }
    const rows = events.all({ ...wanted, endAt, endId, limit: limit + 1 })
    const { entries, hasMore } = pageOf(rows.map(eventOf), limit)
    const next = hasMore ? entries.at(-1) : last
    return { entries, ...(next && { next: { at: next.at, id: next.id } }) }
  }
}

function filterOf({ repository, result, actor, action }: AuditQuery): IndexedFilter {
  if (repository !== undefined) return 'repository'
  if (result !== undefined && result !== 'done') return 'unsuccessful'
  if (actor !== undefined) return 'actor'
  return action === undefined ? 'all' : 'action'
}

/** Where the list begins: behind the page before, or before `until`. */
function startOf({ before, until = Number.MAX_SAFE_INTEGER }: AuditQuery): Moment {
  if (before && before.at < until) return before
  return until < endOfTime.at ? { at: until, id: 0 } : endOfTime
}

function eventOf({ repository, address, details, ...row }: EventRow): StoredAuditEvent {
  return {
    ...row,
    ...(repository !== null && { repository }),
    ...(address !== null && { address }),
    details: JSON.parse(details) as Record<string, unknown>,
  }
}
