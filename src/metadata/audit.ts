import type { RepositoryName } from '../oci/reference.js'
import type { Page } from './metadata-store.js'

export type AuditResult = 'done' | 'refused' | 'failed'

/** Who did what to what, when, from where, and what came of it. */
export interface AuditEvent {
  readonly at: number
  /** The name of whoever asked, as history has it. */
  readonly actor: string
  /** `manifest.push`, `login`, `grant.put`, …: a noun and a verb. */
  readonly action: string
  /** The repository, account, group, … it was done to; empty where there is none. */
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
  readonly repository?: string
  readonly result?: AuditResult
  /** Only from then on, and only before then. */
  readonly since?: number
  readonly until?: number
  /** Only entries with a smaller id. */
  readonly before?: number
  readonly limit: number
}

/** What has been done, as a trail that grows at one end and is forgotten at the other. */
export interface AuditTrail {
  /** Not durable: what the last moments before a power cut have added may be gone. */
  recordAudit(events: readonly AuditEvent[]): Promise<void>

  /** The latest first. */
  listAudit(query: AuditQuery): Promise<Page<StoredAuditEvent>>

  /** @returns whether there may be more */
  forgetAudit(before: number, limit: number): Promise<boolean>
}
