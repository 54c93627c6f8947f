import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { Removed } from '../collecting.js'
import type { Connection } from './connection.js'
import type { ManifestToJudge, Terms } from './judgement.js'
import type { Keeping } from './keeping.js'
import type { Removing } from './removing.js'

interface DeletedRepository {
  readonly repository_id: number
  readonly name: RepositoryName
  readonly deleted_at: number
}

/**
 * The time of a delete that nobody can undo any more, however short ago it was: some of what the
 * repository had is gone.
 */
export const BEFORE_ALL_TIME = 0

/** Rows that one statement removes: half a millisecond. */
const batchSize = 250

/** Takes deleted repositories apart that nobody can bring back any more, a few rows at a time. */
export class Dismantling {
  readonly #removing: Removing
  readonly #keeping: Keeping
  readonly #next: Statement<[number], DeletedRepository>
  readonly #parts: readonly Statement<[{ readonly id: number }]>[]
  readonly #manifest: Statement<[number], ManifestToJudge>
  readonly #links: Statement<[number], string>
  readonly #makeFinal: Statement<[number, number]>
  readonly #ends: readonly Statement<[number]>[]

  constructor(connection: Connection, removing: Removing, keeping: Keeping) {
    this.#removing = removing
    this.#keeping = keeping
    this.#next = connection.prepare(
      `select repository_id, name, deleted_at from deleted_repositories where deleted_at <= ?
       order by deleted_at limit 1`,
    )
    // In the order in which the rows refer to each other.
    this.#parts = [
      `delete from tags where repository_id = @id and name in
         (select name from tags where repository_id = @id limit ${batchSize})`,
      `delete from untaggings where repository_id = @id`,
      `delete from history where id in
         (select id from history where repository_id = @id order by id limit ${batchSize})`,
    ].map((sql) => connection.prepare<[{ readonly id: number }]>(sql))
    this.#manifest = connection.prepare(
      `select id, digest, repository_id, '' as name, generation, size_bytes, subject_digest,
         pushed_at, deleted_at, released_at, pulled_at
       from manifests where repository_id = ? limit 1`,
    )
    this.#links = connection
      .prepare<[number], string>(
        `select digest from repository_blobs where repository_id = ? limit ${batchSize}`,
      )
      .pluck()
    this.#makeFinal = connection.prepare(
      'update deleted_repositories set deleted_at = ? where repository_id = ?',
    )
    this.#ends = [
      'delete from deleted_repositories where repository_id = ?',
      'delete from repositories where id = ?',
    ].map((sql) => connection.prepare<[number]>(sql))
  }

  /** @returns whether it has come to the end of them within its time */
  dismantle(terms: Terms, removed: Removed[], hasTime: () => boolean): boolean {
    for (;;) {
      const repository = this.#next.get(terms.at - terms.undoMs)
      if (repository === undefined) return true
      if (this.#takeApart(repository, terms.at, removed, hasTime)) continue
      // A purge may come before the undo window is over, and other requests before its next step.
      this.#makeFinal.run(BEFORE_ALL_TIME, repository.repository_id)
      return false
    }
  }

  #takeApart(
    { repository_id: id, name, deleted_at: deletedAt }: DeletedRepository,
    at: number,
    removed: Removed[],
    hasTime: () => boolean,
  ): boolean {
    const reason = 'repository collected'
    const dueAt = deletedAt === BEFORE_ALL_TIME ? at : deletedAt
    for (const part of this.#parts) {
      while (part.run({ id }).changes > 0) if (!hasTime()) return false
    }
    for (let manifest = this.#manifest.get(id); manifest; manifest = this.#manifest.get(id)) {
      const sizeBytes = this.#removing.removeManifest(manifest, at, reason)
      const digest = manifest.digest as Digest
      const isFile = false
      removed.push({ kind: 'manifest', repository: name, digest, sizeBytes, reason, dueAt, isFile })
      if (!hasTime()) return false
    }
    for (let links = this.#links.all(id); links.length > 0; links = this.#links.all(id)) {
      for (const digest of links) {
        this.#removing.unlink(id, digest)
        this.#keeping.reviewAtOnce(id, digest, at, reason)
      }
      if (!hasTime()) return false
    }
    for (const end of this.#ends) end.run(id)
    removed.push({
      kind: 'repository',
      repository: name,
      sizeBytes: 0,
      reason,
      dueAt,
      isFile: false,
    })
    return hasTime()
  }
}
