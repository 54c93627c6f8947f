import type { Statement } from 'better-sqlite3'
import type { CollectedStep, CollectStep, Removed, ReviewPosition } from '../collecting.js'
import type { Digest } from '../../oci/digest.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { Dismantling } from './dismantling.js'
import {
  Judgement,
  termsOf,
  type Fate,
  type Review,
  type Terms,
  type Verdict,
} from './judgement.js'
import type { Keeping } from './keeping.js'
import type { Removing } from './removing.js'

/** Before every review. */
export const BEGINNING: ReviewPosition = { dueAt: -1, digest: '', repositoryId: 0 }

/** Takes reviews in their order, decides each, and removes the rows of what may go. */
export class CollectWrites {
  readonly #judgement: Judgement
  readonly #removing: Removing
  readonly #dismantling: Dismantling
  readonly #counting: Counting
  readonly #keeping: Keeping
  readonly #due: Statement<[number], Review>
  readonly #after: Statement<[number, string, number], Review>
  readonly #nameOf: Statement<[number], string>
  /** Of this step. */
  readonly #names = new Map<number, RepositoryName | undefined>()

  constructor(
    connection: Connection,
    rows: {
      readonly removing: Removing
      readonly dismantling: Dismantling
      readonly counting: Counting
      readonly keeping: Keeping
    },
  ) {
    this.#judgement = new Judgement(connection, { overlay: false })
    this.#removing = rows.removing
    this.#dismantling = rows.dismantling
    this.#counting = rows.counting
    this.#keeping = rows.keeping
    // One at a time: what becomes of one may change the reasons for those behind it.
    this.#due = connection.prepare(
      `select digest, repository_id, due_at, reason from reviews where due_at <= ?
       order by due_at limit 1`,
    )
    this.#after = connection.prepare(
      `select digest, repository_id, due_at, reason from reviews
       where (due_at, digest, repository_id) > (?, ?, ?)
       order by due_at, digest, repository_id limit 1`,
    )
    this.#nameOf = connection
      .prepare<[number], string>(
        `select coalesce(d.name, r.name) from repositories r
         left join deleted_repositories d on d.repository_id = r.id where r.id = ?`,
      )
      .pluck()
  }

  /** One step of a run: as much as can be done in its time, and one thing at least. */
  collect({ sliceMs, after = BEGINNING, ...given }: CollectStep): CollectedStep {
    const terms = termsOf(given)
    const removed: Removed[] = []
    const endAt = performance.now() + sliceMs
    const hasTime = () => performance.now() < endAt

    if (!this.#dismantling.dismantle(terms, removed, hasTime)) return { removed, next: after }
    // Nothing below this changes a name.
    this.#names.clear()
    // What has become due is first, also what this very step has made so.
    if (!this.#takeDue(terms, removed, hasTime)) return { removed, next: after }
    if (!terms.skipWaits) return { removed }
    return this.#takeWaiting(after, terms, removed, hasTime)
  }

  /** @returns whether all were taken */
  #takeDue(terms: Terms, removed: Removed[], hasTime: () => boolean): boolean {
    for (let due = this.#due.get(terms.at); due; due = this.#due.get(terms.at)) {
      this.#take(due, terms, removed)
      if (!hasTime()) return false
    }
    return true
  }

  /** Takes those that are not due, from a place on. */
  #takeWaiting(
    after: ReviewPosition,
    terms: Terms,
    removed: Removed[],
    hasTime: () => boolean,
  ): CollectedStep {
    let next = after
    for (;;) {
      const review = this.#after.get(next.dueAt, next.digest, next.repositoryId)
      if (review === undefined) break
      this.#take(review, terms, removed)
      const { due_at: dueAt, digest, repository_id: repositoryId } = review
      next = { dueAt, digest, repositoryId }
      if (!hasTime()) return { removed, next }
    }
    // What this has made due is for the next step; without any, all has been looked at.
    return this.#due.get(terms.at) ? { removed, next } : { removed }
  }

  #take(review: Review, terms: Terms, removed: Removed[]): void {
    const { digest, repository_id: repositoryId, due_at: dueAt, reason } = review
    const verdict = this.#judgement.judge(review, terms)
    const record = (kind: Removed['kind'], sizeBytes: number, isFile = false) => {
      const repository = this.#repositoryOf(repositoryId)
      removed.push({
        ...{ kind, digest: digest as Digest, sizeBytes, reason, dueAt, isFile },
        ...(repository !== undefined && { repository }),
      })
    }
    if (verdict.manifest) {
      record('manifest', this.#removing.removeManifest(verdict.manifest, terms.at))
    }
    if (verdict.link) {
      this.#counting.blobGoes(repositoryId, digest)
      this.#removing.unlink(repositoryId, digest)
      record('link', 0)
    }
    const blob = this.#removing.findBlob(digest)
    const ofBlob = blob ? this.#judgement.fateOfBlob(digest, terms) : 'stays'
    if (blob && ofBlob === 'goes') {
      this.#removing.removeBlob(blob, terms.at)
      record('blob', blob.size_bytes, blob.inline === 0)
    }
    const waitUntil = nextLook(verdict, ofBlob)
    if (waitUntil === undefined) this.#keeping.forget(repositoryId, digest)
    else if (waitUntil !== dueAt) this.#keeping.postpone(repositoryId, digest, waitUntil)
  }

  #repositoryOf(id: number): RepositoryName | undefined {
    if (!this.#names.has(id))
      this.#names.set(id, this.#nameOf.get(id) as RepositoryName | undefined)
    return this.#names.get(id)
  }
}

/** When to look again; undefined when that need not be. */
function nextLook(verdict: Verdict, ofBlob: Fate): number | undefined {
  const { manifest, link, waitUntil, leasedUntil } = verdict
  const waits = [waitUntil, typeof ofBlob === 'object' ? ofBlob.waitUntil : undefined].filter(
    (wait) => wait !== undefined,
  )
  if (waits.length > 0) return Math.min(...waits)
  return manifest || link || ofBlob === 'goes' ? undefined : leasedUntil
}
