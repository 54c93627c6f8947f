import type { Digest } from '../../oci/digest.js'
import type { CollectionPlan, CollectTerms, StoredBytes } from '../collecting.js'
import type { MetadataStore } from '../metadata-store.js'
import type {
  CheckedContents,
  CheckedRows,
  Holders,
  KeptBlob,
  KeptBlobsRequest,
  KeptContents,
  RowCheck,
} from '../metadata-verification.js'
import { CollectPlan } from './collect-plan.js'
import type { Connection } from './connection.js'
import { Copying } from './copying.js'
import { RetentionPlan } from './retention-plan.js'
import { Soundness } from './soundness.js'
import { UsageSurvey } from './usage-survey.js'
import { VerifyBlobs } from './verify-blobs.js'
import { VerifyRows } from './verify-rows.js'

/**
 * Questions whose answer may take seconds, as the survey thread has them answered: one after the other,
 * on a connection that only reads. Such a connection may write temporary tables of its own.
 *
 * What a question is asked with, and what it answers, must be such as a structured clone can carry.
 */
export interface SurveyQuestions {
  /** The names of all tables, for {@link checkTable}. */
  readonly listTables: () => string[]
  /** What is wrong with a table, its indexes and its foreign keys; some of it, where it is much. */
  readonly checkTable: (table: string) => string[]
  readonly measureStored: () => StoredBytes
  readonly planCollection: (terms: CollectTerms) => CollectionPlan
  /** Copies the whole database, as it is at one moment, into a new file; syncs nothing. */
  readonly copyInto: (file: string) => void
  readonly listKeptBlobs: (page: KeptBlobsRequest) => KeptBlob[]
  readonly findKeptBlobs: (digests: readonly Digest[]) => KeptBlob[]
  readonly listInMotion: (digests: readonly Digest[]) => Digest[]
  readonly listUnknownUploads: (uploadIds: readonly string[]) => string[]
  readonly listOldFileRemovals: (before: number, limit: number) => Digest[]
  readonly checkRows: (check: RowCheck, after?: string) => CheckedRows
  readonly checkContents: (contents: KeptContents, after?: Digest) => CheckedContents
  readonly isContentSound: (contents: KeptContents, digest: Digest) => boolean
  readonly findHolders: (digest: Digest) => Holders
  readonly listRetention: (
    ...args: Parameters<MetadataStore['listRetention']>
  ) => Awaited<ReturnType<MetadataStore['listRetention']>>
  readonly surveyRetention: (
    ...args: Parameters<MetadataStore['surveyRetention']>
  ) => Awaited<ReturnType<MetadataStore['surveyRetention']>>
}

export function prepareSurvey(connection: Connection): SurveyQuestions {
  const copying = new Copying(connection)
  const soundness = new Soundness(connection)
  const usage = new UsageSurvey(connection)
  const collection = new CollectPlan(connection)
  const blobs = new VerifyBlobs(connection)
  const rows = new VerifyRows(connection)
  const retention = new RetentionPlan(connection)
  return {
    listTables: () => soundness.listTables(),
    checkTable: (table) => soundness.checkTable(table),
    measureStored: () => usage.measure(),
    planCollection: (terms) => collection.plan(terms),
    copyInto: (file) => copying.copyInto(file),
    listKeptBlobs: (page) => blobs.list(page),
    findKeptBlobs: (digests) => blobs.find(digests),
    listInMotion: (digests) => blobs.listInMotion(digests),
    listUnknownUploads: (uploadIds) => blobs.listUnknownUploads(uploadIds),
    listOldFileRemovals: (before, limit) => blobs.listOldFileRemovals(before, limit),
    checkRows: (check, after) => rows.check(check, after),
    checkContents: (contents, after) => blobs.checkContents(contents, after),
    isContentSound: (contents, digest) => blobs.isContentSound(contents, digest),
    findHolders: (digest) => blobs.findHolders(digest),
    listRetention: (...args) => retention.page(...args),
    surveyRetention: (terms) => retention.summarize(terms),
  }
}
