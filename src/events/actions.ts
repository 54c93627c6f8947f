/**
 * Everything that comes into the audit trail: what is done, a noun and a verb. `docs/audit.md` says of
 * each what it means.
 */
export const AUDIT_ACTIONS = [
  'audit.lost',
  'audit.skipped',
  'backup.begin',
  'backup.end',
  'blob.delete',
  'blob.upload',
  'config.change',
  'gc.begin',
  'gc.end',
  'login',
  'manifest.delete',
  'manifest.pull',
  'manifest.push',
  'repository.delete',
  'repository.describe',
  'repository.restore',
  'retention.begin',
  'retention.end',
  'server.start',
  'server.stop',
  'tag.delete',
  'verify.begin',
  'verify.cancel',
  'verify.end',
] as const

export type AuditAction = (typeof AUDIT_ACTIONS)[number]
