import type { Accounts } from '../accounts.js'
import type { AuditTrail } from '../audit.js'
import type { MetadataStore } from '../metadata-store.js'
import { AccountWrites } from './account-writes.js'
import { AuditWrites } from './audit-writes.js'
import { BlobWrites } from './blob-writes.js'
import type { Connection } from './connection.js'
import { CollectWrites } from './collect-writes.js'
import { CopyWrites } from './copy-writes.js'
import { Counting } from './counting.js'
import { Dismantling } from './dismantling.js'
import { GrantWrites } from './grant-writes.js'
import { GroupWrites } from './group-writes.js'
import { HistoryWrites } from './history-writes.js'
import { Keeping } from './keeping.js'
import { ManifestWrites } from './manifest-writes.js'
import { RemovalWrites } from './removal-writes.js'
import { Removing } from './removing.js'
import { PullWrites } from './pull-writes.js'
import { QuotaGuard } from './quota-guard.js'
import { Repositories } from './repositories.js'
import { RepositoryWrites } from './repository-writes.js'
import { RunWrites } from './run-writes.js'
import { TagGuard } from './tag-guard.js'
import { TagWrites } from './tag-writes.js'
import { TokenWrites } from './token-writes.js'
import { UndoWrites } from './undo-writes.js'
import { Untagging } from './untagging.js'
import { UploadWrites } from './upload-writes.js'
import { VerifyWrites } from './verify-writes.js'

/** The methods of the port that change something. */
type WriteName =
  | 'abandonCommit'
  | 'abortUpload'
  | 'advanceUpload'
  | 'beginCommit'
  | 'beginRun'
  | 'beginStrayRemoval'
  | 'collect'
  | 'deleteBlob'
  | 'deleteTag'
  | 'describeRepository'
  | 'expireUploads'
  | 'forgetFileRemovals'
  | 'forgetHistory'
  | 'forgetUnfinished'
  | 'forgetUploadRemains'
  | 'markBlobDamaged'
  | 'markBlobSound'
  | 'markBlobWhole'
  | 'mountBlob'
  | 'openUpload'
  | 'putBlob'
  | 'putManifest'
  | 'recordPulls'
  | 'recordRun'
  | 'removeDeletedTags'
  | 'renewOrigin'
  | 'repairRow'
  | 'requireRoom'
  | 'restoreManifest'
  | 'restoreRepository'
  | 'restoreTag'
  | 'restoreTagsAt'
  | 'restoreTagsOf'
  | 'storeUpload'
  | 'takeLease'

type AccountWriteName =
  | 'addAccount'
  | 'addGroup'
  | 'addMember'
  | 'addSigningKey'
  | 'addToken'
  | 'changeAccount'
  | 'deleteAccount'
  | 'deleteGroup'
  | 'importUsers'
  | 'putGrant'
  | 'putNamespace'
  | 'removeGrant'
  | 'removeMember'
  | 'removeNamespace'
  | 'revokeToken'
  | 'setVisibility'
  | 'touchTokens'

type Port = Pick<MetadataStore, WriteName> &
  Pick<Accounts, AccountWriteName> &
  Pick<AuditTrail, 'forgetAudit' | 'recordAudit'>

/** The same methods as the writer thread runs them: inside its transaction, at once. */
export type Writes = {
  readonly [Name in keyof Port]: (
    ...args: Parameters<Port[Name]>
  ) => Awaited<ReturnType<Port[Name]>>
} & {
  readonly deleteManifest: ManifestWrites['deleteManifest']
  readonly deleteRepository: UndoWrites['deleteRepository']
  readonly touchReadiness: (at: number) => void
  readonly forgetReceivedDigests: () => void
  readonly stopRuns: (at: number) => void
  readonly watchQuotas: (patterns: readonly string[]) => void
}

/**
 * Those whose commit waits for no sync, as the port says. What they did is in the log all the same,
 * and the next commit that syncs it makes it durable.
 */
export const QUICK_WRITES: ReadonlySet<keyof Writes> = new Set([
  'advanceUpload',
  'beginCommit',
  'openUpload',
  'recordAudit',
  'recordPulls',
  'touchTokens',
  // These two write nothing that is kept.
  'requireRoom',
  'watchQuotas',
])

export function prepareWrites(connection: Connection): Writes {
  const repositories = new Repositories(connection)
  const keeping = new Keeping(connection)
  const history = new HistoryWrites(connection)
  const counting = new Counting(connection)
  const quotas = new QuotaGuard(connection, repositories)
  const tags = new TagWrites(connection, history, keeping)
  const guard = new TagGuard(connection)
  const untagging = new Untagging(connection)
  const uploads = new UploadWrites(connection)
  const manifests = new ManifestWrites(connection, {
    repositories,
    tags,
    guard,
    history,
    keeping,
    counting,
    quotas,
    untagging,
  })
  const blobs = new BlobWrites(connection, repositories, keeping, counting, quotas, uploads)
  const undo = new UndoWrites(connection, {
    ...{ repositories, tags, history, counting, guard, keeping },
  })
  const removing = new Removing(connection, counting)
  const dismantling = new Dismantling(connection, removing, keeping)
  const collecting = new CollectWrites(connection, { removing, dismantling, counting, keeping })
  const removals = new RemovalWrites(connection)
  const copies = new CopyWrites(connection)
  const pulls = new PullWrites(connection)
  const runs = new RunWrites(connection)
  const verifying = new VerifyWrites(connection, counting, history)
  const repositoryWrites = new RepositoryWrites(connection, repositories, counting)
  const accounts = new AccountWrites(connection)
  const groups = new GroupWrites(connection, accounts)
  const tokens = new TokenWrites(connection, accounts)
  const grants = new GrantWrites(connection, accounts, groups, repositories)
  const audit = new AuditWrites(connection)
  const touchReadiness = connection.prepare<[number]>(
    `insert into readiness (id, checked_at) values (1, ?)
     on conflict do update set checked_at = excluded.checked_at`,
  )
  return {
    abandonCommit: (...args) => uploads.abandonCommit(...args),
    abortUpload: (...args) => uploads.abortUpload(...args),
    addAccount: (...args) => accounts.addAccount(...args),
    addGroup: (...args) => groups.addGroup(...args),
    addMember: (...args) => groups.addMember(...args),
    addSigningKey: (...args) => grants.addSigningKey(...args),
    addToken: (...args) => tokens.addToken(...args),
    advanceUpload: (...args) => uploads.advanceUpload(...args),
    beginCommit: (...args) => uploads.beginCommit(...args),
    beginRun: (...args) => runs.beginRun(...args),
    beginStrayRemoval: (...args) => uploads.beginStrayRemoval(...args),
    changeAccount: (...args) => accounts.changeAccount(...args),
    collect: (...args) => collecting.collect(...args),
    deleteAccount: (...args) => accounts.deleteAccount(...args),
    deleteBlob: (...args) => blobs.deleteBlob(...args),
    deleteGroup: (...args) => groups.deleteGroup(...args),
    deleteManifest: (...args) => manifests.deleteManifest(...args),
    deleteRepository: (...args) => undo.deleteRepository(...args),
    deleteTag: (...args) => manifests.deleteTag(...args),
    describeRepository: (...args) => repositoryWrites.describeRepository(...args),
    expireUploads: (...args) => uploads.expireUploads(...args),
    forgetAudit: (...args) => audit.forgetAudit(...args),
    forgetFileRemovals: (...args) => removals.forgetFileRemovals(...args),
    forgetHistory: (...args) => removals.forgetHistory(...args),
    forgetReceivedDigests: () => uploads.forgetReceivedDigests(),
    forgetUnfinished: () => removals.forgetUnfinished(),
    forgetUploadRemains: (...args) => uploads.forgetUploadRemains(...args),
    importUsers: (...args) => accounts.importUsers(...args),
    markBlobDamaged: (...args) => blobs.markBlobDamaged(...args),
    markBlobSound: (...args) => verifying.markBlobSound(...args),
    markBlobWhole: (digest) => copies.markBlobWhole(digest),
    mountBlob: (...args) => blobs.mountBlob(...args),
    openUpload: (...args) => uploads.openUpload(...args),
    putBlob: (...args) => blobs.putBlob(...args),
    putGrant: (...args) => grants.putGrant(...args),
    putManifest: (...args) => manifests.putManifest(...args),
    putNamespace: (...args) => grants.putNamespace(...args),
    recordAudit: (...args) => audit.recordAudit(...args),
    recordPulls: (...args) => pulls.recordPulls(...args),
    recordRun: (...args) => runs.recordRun(...args),
    removeDeletedTags: (limit) => untagging.removeSome(limit),
    removeGrant: (...args) => grants.removeGrant(...args),
    removeMember: (...args) => groups.removeMember(...args),
    removeNamespace: (...args) => grants.removeNamespace(...args),
    renewOrigin: () => copies.renewOrigin(),
    repairRow: (repair) => verifying.repairRow(repair),
    requireRoom: (...args) => quotas.requireRoom(...args),
    restoreManifest: (...args) => undo.restoreManifest(...args),
    restoreRepository: (...args) => undo.restoreRepository(...args),
    restoreTag: (...args) => undo.restoreTag(...args),
    restoreTagsAt: (...args) => undo.restoreTagsAt(...args),
    restoreTagsOf: (...args) => undo.restoreTagsOf(...args),
    revokeToken: (...args) => tokens.revokeToken(...args),
    setVisibility: (...args) => grants.setVisibility(...args),
    stopRuns: (at) => runs.stopRuns(at),
    storeUpload: (...args) => uploads.storeUpload(...args),
    takeLease: (...args) => blobs.takeLease(...args),
    touchReadiness: (at) => void touchReadiness.run(at),
    touchTokens: (...args) => tokens.touchTokens(...args),
    watchQuotas: (patterns) => quotas.watch(patterns),
  }
}
