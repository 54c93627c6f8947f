import type { Statement } from 'better-sqlite3'
import type { AuditEvent } from '../audit.js'
import type { Connection } from './connection.js'

/** What adds to the audit trail, and forgets its end; each method runs inside a transaction of the writer. */
export class AuditWrites {
  readonly #record: Statement<unknown[]>
  readonly #forget: Statement<[{ readonly before: number; readonly limit: number }]>

  constructor(connection: Connection) {
    this.#record = connection.prepare(
      `insert into audit_events (at, actor, action, target, repository, address, result, details)
       values (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#forget = connection.prepare(
      `delete from audit_events where id in (
         select id from audit_events where at < @before and id is not
           (select id from audit_events where action = 'server.start' order by at desc, id desc limit 1)
         order by at limit @limit)`,
    )
  }

  recordAudit(events: readonly AuditEvent[]): void {
    for (const { at, actor, action, target, repository, address, result, details } of events) {
      this.#record.run(
        at,
        actor,
        action,
        target,
        repository ?? null,
        address ?? null,
        result,
        JSON.stringify(details),
      )
    }
  }

  forgetAudit(before: number, limit: number): boolean {
    return this.#forget.run({ before, limit }).changes === limit
  }
}
