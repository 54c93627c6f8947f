import type { Accounts } from './accounts.js'
import type { AuditTrail } from './audit.js'
import type { BlobMetadata } from './blobs.js'
import type { CollectingMetadata } from './collecting.js'
import type { CopyMetadata } from './copies.js'
import type { Inspection } from './inspection.js'
import type { ManifestMetadata } from './manifests.js'
import type { MetadataVerification } from './metadata-verification.js'
import type { RepositoryMetadata } from './repositories.js'
import type { RetentionMetadata } from './retention.js'
import type { RunMetadata } from './runs.js'
import type { TagMetadata } from './tags.js'
import type { UndoMetadata } from './undo.js'
import type { UploadMetadata } from './uploads.js'

/**
 * What exists, and who points to whom. Every method is one unit of work: it happens whole and
 * durably, or throws and has changed nothing. Nothing here knows of HTTP, files or SQL.
 *
 * Two methods are not durable, `openUpload` and `advanceUpload`: what they did survives the process,
 * whatever ends it, but a power cut may take it, back to any earlier state of the session, none
 * included. No client was told that an upload is safe; it finds the offset that is left, or 404, and
 * sends the rest again. Nor are `beginCommit`, `recordPulls`, `touchTokens` and
 * `recordAudit`, whose texts say why. Every durable method that changes something makes durable what was done
 * before it, too.
 *
 * Times are milliseconds since 1970 UTC, sizes bytes. Names and tags compare by their bytes.
 */
export interface MetadataStore
  extends
    RepositoryMetadata,
    TagMetadata,
    ManifestMetadata,
    BlobMetadata,
    UploadMetadata,
    Inspection,
    UndoMetadata,
    CollectingMetadata,
    RetentionMetadata,
    RunMetadata,
    MetadataVerification,
    CopyMetadata {
  /** Who there is, and who may do what. */
  readonly accounts: Accounts
  /** What has been done. */
  readonly audit: AuditTrail

  /** Reads and writes; throws when either is not possible. */
  checkReady(at: number): Promise<void>

  /** Finishes what was begun, and leaves the data as small and tidy as the backend can. */
  close(): Promise<void>
}
