import { fileURLToPath } from 'node:url'
import type { Digest } from '../../oci/digest.js'
import type { Reference, RepositoryName, Tag } from '../../oci/reference.js'
import type { DamagedBlob, LeaseRequest, MountBlob, PutBlob, StoredBlob } from '../blobs.js'
import type {
  CollectedStep,
  CollectionPlan,
  CollectStep,
  CollectTerms,
  FileRemoval,
  StoredBytes,
} from '../collecting.js'
import type { Origin } from '../copies.js'
import type {
  DeletedManifest,
  DeletedManifestsQuery,
  DeletedQuery,
  DeletedRepository,
  HistoryEntry,
  HistoryQuery,
  LiveManifestRecord,
  ManifestDetails,
  RepositoriesQuery,
  RepositoryRecord,
  TagRecord,
} from '../inspection.js'
import type {
  DeletedTags,
  ManifestRemoval,
  Pull,
  PutManifest,
  Referrer,
  ReferrersQuery,
  StoredManifest,
} from '../manifests.js'
import type { MetadataStore } from '../metadata-store.js'
import type {
  CheckedContents,
  CheckedRows,
  Holders,
  KeptBlob,
  KeptBlobsRequest,
  KeptContents,
  RowCheck,
  RowRepair,
} from '../metadata-verification.js'
import type { Page, PageRequest } from '../pages.js'
import type { Quota, RoomRequest } from '../quotas.js'
import type { DigestRemoval } from '../removals.js'
import type { Described, DescribeRepository, RepositoryRemoval } from '../repositories.js'
import type {
  RetentionPage,
  RetentionPosition,
  RetentionSummary,
  RetentionSurveyTerms,
  RetentionTerms,
} from '../retention.js'
import type { BeginRun, Run, RunProgress, RunsQuery } from '../runs.js'
import type { TagRemoval } from '../tags.js'
import type {
  ChangedTags,
  ChangedTagsQuery,
  RestoredTag,
  RestoredTags,
  RestoredTagsAt,
  RestoreManifest,
  RestoreRepository,
  RestoreTag,
  RestoreTagsAt,
  RestoreTagsOf,
} from '../undo.js'
import type { AdvanceUpload, BeginCommit, OpenUpload, StoreUpload, Upload } from '../uploads.js'
import type { Viewer } from '../viewers.js'
import { CollectReads } from './collect-reads.js'
import { openForReading, reading, type Connection } from './connection.js'
import { KeptTags } from './kept-tags.js'
import { OriginReads } from './origin-reads.js'
import { Reads } from './reads.js'
import { RunReads } from './run-reads.js'
import { SqliteAccounts } from './sqlite-accounts.js'
import { SqliteAuditTrail } from './sqlite-audit-trail.js'
import { Survey } from './survey.js'
import { Writer } from './writer.js'

/**
 * Steps that change the same page write it to the log each time, and those that remove images with base
 * layers in common do. So while nobody waits a step may take so many times as long, and no more than that.
 */
const quietTimes = 6
const quietMsMax = 30

const shippedMigrations = fileURLToPath(new URL('../../../migrations/sqlite/', import.meta.url))

export interface SqliteOptions {
  /** The database file; made when it is not there. */
  readonly file: string
  /** The folder with the schema's steps; what ships with Berth by default. */
  readonly migrations?: string
}

/**
 * The metadata of one process in one SQLite file. Reads run at once on the event loop, and those that
 * may take long in the survey thread; writes go to the writer thread, and resolve when their transaction
 * is on disk, or, where the port says so, in the log.
 */
export class SqliteMetadataStore implements MetadataStore {
  readonly accounts: SqliteAccounts
  readonly audit: SqliteAuditTrail
  readonly #connection: Connection
  readonly #reads: Reads
  readonly #collecting: CollectReads
  readonly #keptTags: KeptTags
  readonly #runs: RunReads
  readonly #origin: OriginReads
  readonly #survey: Survey
  readonly #writer: Writer
  /** Patterns of quotas that the writer adds up. */
  readonly #watched = new Set<string>()
  /** The copy of the database that was made before this start changed its schema, if it did. */
  readonly migrationCopy: string | undefined

  private constructor(
    connection: Connection,
    survey: Survey,
    writer: Writer,
    migrationCopy: string | undefined,
  ) {
    this.#connection = connection
    this.#reads = new Reads(connection)
    this.#collecting = new CollectReads(connection)
    this.#keptTags = new KeptTags(connection)
    this.#runs = new RunReads(connection)
    this.#origin = new OriginReads(connection)
    this.accounts = new SqliteAccounts(connection, writer)
    this.audit = new SqliteAuditTrail(connection, writer)
    this.#survey = survey
    this.#writer = writer
    this.migrationCopy = migrationCopy
  }

  /**
   * @throws an error whose message says why the database cannot be used: damaged, of another
   *   version, without a folder
   */
  static async open({ file, migrations }: SqliteOptions): Promise<SqliteMetadataStore> {
    const { writer, copy } = await Writer.start({
      file,
      migrations: migrations ?? shippedMigrations,
    })
    try {
      await writer.write('forgetReceivedDigests')
      await writer.write('stopRuns', Date.now())
      return new SqliteMetadataStore(openForReading(file), new Survey({ file }), writer, copy)
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  getManifest(repository: RepositoryName, reference: Reference): Promise<StoredManifest> {
    return reading(() => this.#reads.getManifest(repository, reference))
  }

  async putManifest(manifest: PutManifest): Promise<void> {
    if (manifest.quotas.length > 0) await this.#watch(manifest.quotas)
    return this.#writer.write('putManifest', manifest)
  }

  deleteTag(removal: TagRemoval): Promise<void> {
    return this.#writer.write('deleteTag', removal)
  }

  async deleteManifest(removal: ManifestRemoval): Promise<DeletedTags> {
    const look = await reading(() => this.#keptTags.requireNone(removal, removal.tagRules))
    return this.#writer.write('deleteManifest', { ...removal, look })
  }

  removeDeletedTags(limit: number): Promise<boolean> {
    return this.#writer.write('removeDeletedTags', limit)
  }

  listTags(repository: RepositoryName, page: PageRequest): Promise<Page<string>> {
    return reading(() => this.#reads.listTags(repository, page))
  }

  listRepositories(page: PageRequest, viewer?: Viewer): Promise<Page<string>> {
    return reading(() => this.#reads.listRepositories(page, viewer))
  }

  listReferrers(query: ReferrersQuery): Promise<Page<Referrer>> {
    return reading(() => this.#reads.listReferrers(query))
  }

  searchRepositories(term: string, limit: number, viewer?: Viewer): Promise<RepositoryName[]> {
    return reading(() => this.#reads.searchRepositories(term, limit, viewer))
  }

  findNewestManifest(repository: RepositoryName): Promise<StoredManifest | undefined> {
    return reading(() => this.#reads.findNewestManifest(repository))
  }

  describeRepository(description: DescribeRepository): Promise<Described> {
    return this.#writer.write('describeRepository', description)
  }

  listRepositoryRecords(query: RepositoriesQuery): Promise<Page<RepositoryRecord>> {
    return reading(() => this.#reads.inspection.listRepositoryRecords(query))
  }

  getRepositoryRecord(repository: RepositoryName): Promise<RepositoryRecord> {
    return reading(() => this.#reads.inspection.getRepositoryRecord(repository))
  }

  listTagRecords(repository: RepositoryName, page: PageRequest): Promise<Page<TagRecord>> {
    return reading(() => this.#reads.inspection.listTagRecords(repository, page))
  }

  getTagRecord(repository: RepositoryName, tag: Tag): Promise<TagRecord> {
    return reading(() => this.#reads.inspection.getTagRecord(repository, tag))
  }

  listManifestRecords(
    repository: RepositoryName,
    page: PageRequest,
  ): Promise<Page<LiveManifestRecord>> {
    return reading(() => this.#reads.inspection.listManifestRecords(repository, page))
  }

  listDeletedManifests(query: DeletedManifestsQuery): Promise<Page<DeletedManifest>> {
    return reading(() => this.#reads.inspection.listDeletedManifests(query))
  }

  getManifestDetails(repository: RepositoryName, digest: Digest): Promise<ManifestDetails> {
    return reading(() => this.#reads.inspection.getManifestDetails(repository, digest))
  }

  listTagsOfManifest(
    repository: RepositoryName,
    digest: Digest,
    page: PageRequest,
  ): Promise<Page<string>> {
    return reading(() => this.#reads.inspection.listTagsOfManifest(repository, digest, page))
  }

  listHistory(query: HistoryQuery): Promise<Page<HistoryEntry>> {
    return reading(() => this.#reads.inspection.listHistory(query))
  }

  listChangedTags(query: ChangedTagsQuery): Promise<ChangedTags> {
    return reading(() => this.#reads.inspection.listChangedTags(query))
  }

  listDeletedRepositories(query: DeletedQuery): Promise<Page<DeletedRepository>> {
    return reading(() => this.#reads.inspection.listDeletedRepositories(query))
  }

  getBlob(repository: RepositoryName, digest: Digest): Promise<StoredBlob> {
    return reading(() => this.#reads.getBlob(repository, digest))
  }

  readInlineBlob(digest: Digest): Promise<Buffer | undefined> {
    return reading(() => this.#reads.readInlineBlob(digest))
  }

  putBlob(blob: PutBlob): Promise<void> {
    return this.#writer.write('putBlob', blob)
  }

  async requireRoom(request: RoomRequest): Promise<void> {
    await this.#watch(request.quotas)
    return this.#writer.write('requireRoom', request)
  }

  async mountBlob(mount: MountBlob): Promise<boolean> {
    if (mount.quotas) await this.#watch(mount.quotas)
    return this.#writer.write('mountBlob', mount)
  }

  deleteBlob(removal: DigestRemoval & { readonly evenIfReferenced: boolean }): Promise<void> {
    return this.#writer.write('deleteBlob', removal)
  }

  markBlobDamaged(blob: DamagedBlob, at: number): Promise<boolean> {
    return this.#writer.write('markBlobDamaged', blob, at)
  }

  takeLease(lease: LeaseRequest): Promise<void> {
    return this.#writer.write('takeLease', lease)
  }

  openUpload(upload: OpenUpload): Promise<void> {
    return this.#writer.write('openUpload', upload)
  }

  getUpload(repository: RepositoryName, id: string): Promise<Upload> {
    return reading(() => this.#reads.getUpload(repository, id))
  }

  advanceUpload(advance: AdvanceUpload): Promise<void> {
    return this.#writer.write('advanceUpload', advance)
  }

  storeUpload(store: StoreUpload): Promise<void> {
    return this.#writer.write('storeUpload', store)
  }

  abandonCommit(commit: BeginCommit): Promise<void> {
    return this.#writer.write('abandonCommit', commit)
  }

  abortUpload(repository: RepositoryName, id: string, at: number): Promise<boolean> {
    return this.#writer.write('abortUpload', repository, id, at)
  }

  expireUploads(idleSince: number, at: number, limit: number): Promise<string[]> {
    return this.#writer.write('expireUploads', idleSince, at, limit)
  }

  listUploadRemains(limit: number): Promise<string[]> {
    return reading(() => this.#reads.listUploadRemains(limit))
  }

  forgetUploadRemains(uploadIds: readonly string[]): Promise<void> {
    return this.#writer.write('forgetUploadRemains', uploadIds)
  }

  beginCommit(commit: BeginCommit): Promise<boolean> {
    return this.#writer.write('beginCommit', commit)
  }

  async collect(step: CollectStep): Promise<CollectedStep> {
    const { sliceMs } = step
    const { isQuiet } = this.#writer
    const quietMs = Math.max(sliceMs, Math.min(sliceMs * quietTimes, quietMsMax))
    const collected = await this.#writer.write('collect', {
      ...step,
      sliceMs: isQuiet ? quietMs : sliceMs,
    })
    return { ...collected, isQuiet }
  }

  forgetFileRemovals(digests: readonly Digest[]): Promise<void> {
    return this.#writer.write('forgetFileRemovals', digests)
  }

  async deleteRepository(removal: RepositoryRemoval): Promise<void> {
    const look = await reading(() => this.#keptTags.requireNone(removal, removal.tagRules))
    await this.#writer.write('deleteRepository', { ...removal, look })
  }

  restoreRepository(restore: RestoreRepository): Promise<void> {
    return this.#writer.write('restoreRepository', restore)
  }

  restoreTag(restore: RestoreTag): Promise<RestoredTag> {
    return this.#writer.write('restoreTag', restore)
  }

  restoreTagsAt(restore: RestoreTagsAt): Promise<RestoredTagsAt> {
    return this.#writer.write('restoreTagsAt', restore)
  }

  restoreManifest(restore: RestoreManifest): Promise<{ readonly deletedAt: number }> {
    return this.#writer.write('restoreManifest', restore)
  }

  restoreTagsOf(restore: RestoreTagsOf): Promise<RestoredTags> {
    return this.#writer.write('restoreTagsOf', restore)
  }

  forgetHistory(before: number, limit: number): Promise<boolean> {
    return this.#writer.write('forgetHistory', before, limit)
  }

  hasDue(terms: { readonly at: number; readonly undoMs: number }): Promise<boolean> {
    return reading(() => this.#collecting.hasDue(terms))
  }

  listFileRemovals(limit: number, after?: Digest): Promise<FileRemoval[]> {
    return reading(() => this.#collecting.listFileRemovals(limit, after))
  }

  measureStored(): Promise<StoredBytes> {
    return this.#survey.ask('measureStored')
  }

  planCollection(terms: CollectTerms): Promise<CollectionPlan> {
    return this.#survey.ask('planCollection', terms)
  }

  beginRun(run: BeginRun): Promise<number> {
    return this.#writer.write('beginRun', run)
  }

  recordRun(progress: RunProgress): Promise<void> {
    return this.#writer.write('recordRun', progress)
  }

  listRuns(query: RunsQuery): Promise<Run[]> {
    return reading(() => this.#runs.list(query))
  }

  findRun(id: number): Promise<Run | undefined> {
    return reading(() => this.#runs.find(id))
  }

  findLastContentRun(): Promise<Run | undefined> {
    return reading(() => this.#runs.findLastContent())
  }

  listParts(): Promise<string[]> {
    return this.#survey.ask('listTables')
  }

  checkPart(part: string): Promise<string[]> {
    return this.#survey.ask('checkTable', part)
  }

  listKeptBlobs(page: KeptBlobsRequest): Promise<KeptBlob[]> {
    return this.#survey.ask('listKeptBlobs', page)
  }

  findKeptBlobs(digests: readonly Digest[]): Promise<KeptBlob[]> {
    return this.#survey.ask('findKeptBlobs', digests)
  }

  listInMotion(digests: readonly Digest[]): Promise<Digest[]> {
    return this.#survey.ask('listInMotion', digests)
  }

  listUnknownUploads(uploadIds: readonly string[]): Promise<string[]> {
    return this.#survey.ask('listUnknownUploads', uploadIds)
  }

  listOldFileRemovals(before: number, limit: number): Promise<Digest[]> {
    return this.#survey.ask('listOldFileRemovals', before, limit)
  }

  checkRows(check: RowCheck, after?: string): Promise<CheckedRows> {
    return this.#survey.ask('checkRows', check, after)
  }

  checkContents(contents: KeptContents, after?: Digest): Promise<CheckedContents> {
    return this.#survey.ask('checkContents', contents, after)
  }

  isContentSound(contents: KeptContents, digest: Digest): Promise<boolean> {
    return this.#survey.ask('isContentSound', contents, digest)
  }

  findHolders(digest: Digest): Promise<Holders> {
    return this.#survey.ask('findHolders', digest)
  }

  repairRow(repair: RowRepair): Promise<boolean> {
    return this.#writer.write('repairRow', repair)
  }

  markBlobSound(blob: DamagedBlob, at: number): Promise<boolean> {
    return this.#writer.write('markBlobSound', blob, at)
  }

  beginStrayRemoval(digest: Digest, at: number): Promise<boolean> {
    return this.#writer.write('beginStrayRemoval', digest, at)
  }

  copyInto(file: string): Promise<void> {
    return this.#survey.ask('copyInto', file)
  }

  forgetUnfinished(): Promise<void> {
    return this.#writer.write('forgetUnfinished')
  }

  async renewOrigin(): Promise<void> {
    await this.#writer.write('renewOrigin')
  }

  async markBlobWhole(digest: Digest): Promise<void> {
    await this.#writer.write('markBlobWhole', digest)
  }

  getOrigin(): Promise<Origin> {
    return reading(() => this.#origin.get())
  }

  listRetention(
    terms: RetentionTerms,
    limit: number,
    after?: RetentionPosition,
  ): Promise<RetentionPage> {
    return this.#survey.ask('listRetention', terms, limit, after)
  }

  surveyRetention(terms: RetentionSurveyTerms): Promise<RetentionSummary> {
    return this.#survey.ask('surveyRetention', terms)
  }

  recordPulls(pulls: readonly Pull[]): Promise<void> {
    return this.#writer.write('recordPulls', pulls)
  }

  async checkReady(at: number): Promise<void> {
    await reading(() => this.#reads.checkReadable())
    await this.#writer.write('touchReadiness', at)
  }

  async close(): Promise<void> {
    // The readers first: a checkpoint that is to empty the log needs the database for itself.
    await this.#survey.close()
    this.#connection.close()
    await this.#writer.close()
  }

  /**
   * Has the sums of quotas made in a write of its own, once: made in one that is refused they would be
   * gone with it, and be made again and again.
   */
  async #watch(quotas: readonly Quota[]): Promise<void> {
    const patterns = quotas.map(({ repositories }) => repositories)
    const unknown = patterns.filter((pattern) => !this.#watched.has(pattern))
    if (unknown.length === 0) return
    await this.#writer.write('watchQuotas', unknown)
    for (const pattern of unknown) this.#watched.add(pattern)
  }
}
