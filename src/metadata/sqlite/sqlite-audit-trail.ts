import type { AuditEvent, AuditPage, AuditQuery, AuditTrail } from '../audit.js'
import { AuditReads } from './audit-reads.js'
import { reading, type Connection } from './connection.js'
import type { Writer } from './writer.js'

/** The audit trail in the database of the registry. */
export class SqliteAuditTrail implements AuditTrail {
  readonly #reads: AuditReads
  readonly #writer: Writer

  constructor(connection: Connection, writer: Writer) {
    this.#reads = new AuditReads(connection)
    this.#writer = writer
  }

  listAudit(query: AuditQuery): Promise<AuditPage> {
    return reading(() => this.#reads.list(query))
  }

  recordAudit(events: readonly AuditEvent[]): Promise<void> {
    return this.#writer.write('recordAudit', events)
  }

  forgetAudit(before: number, limit: number): Promise<boolean> {
    return this.#writer.write('forgetAudit', before, limit)
  }
}
