import type { RepositoryName } from '../oci/reference.js'
import type { Moment } from './inspection.js'

/** done: it happened. refused: Berth said no. failed: Berth could not, or the client went away. */
export type AuditResult = 'done' | 'refused' | 'failed'

/** Who did what to what, when, from where, and what came of it. */
export interface AuditEvent {
  readonly at: number
  /** The name of whoever asked, as history has it. */
  readonly actor: string
  /** `manifest.push`, `login`, `gc.begin`, …: a noun and a verb. */
  readonly action: string
  /** The tag, digest, account, group, … it was done to; empty where there is none. */
  readonly target: string
  readonly repository?: RepositoryName
  /** Absent for what Berth does by itself. */
  readonly address?: string
  readonly result: AuditResult
  readonly details: Readonly<Record<string, unknown>>
}

export interface StoredAuditEvent extends AuditEvent {
  readonly id: number
}

export interface AuditQuery {
  readonly actor?: string
  readonly action?: string
  readonly repository?: RepositoryName
  readonly result?: AuditResult
  /** Only from then on, and only before then. */
  readonly since?: number
  readonly until?: number
  /** Only what comes behind it in the list. */
  readonly before?: Moment
  readonly limit: number
}

export interface AuditPage {
  readonly entries: readonly StoredAuditEvent[]
  /** What has been looked at last, where there may be more; also behind no entries at all. */
  readonly next?: Moment
}

/** What has been done, as a trail that grows at one end and is forgotten at the other. */
export interface AuditTrail {
  /** Not durable: what the last moments before a power cut have added may be gone. */
  recordAudit(events: readonly AuditEvent[]): Promise<void>

  /**
   * The latest first, by the clock that they were written down with. What several filters leave over is
   * looked for among so many events for each page: a page may have fewer entries than the limit,
   * or none, and more behind it.
   */
  listAudit(query: AuditQuery): Promise<AuditPage>

  /**
   * Forgets what happened before a time, a few events at a time; but never the last `server.start`, which
   * knows the settings that the next one compares with.
   *
   * @returns whether there may be more
   */
  forgetAudit(before: number, limit: number): Promise<boolean>
}
