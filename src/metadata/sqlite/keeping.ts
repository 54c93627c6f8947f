import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

/** Why a review was asked for; kept with it for whoever reads the log of what went. */
export type ReviewReason =
  | 'blob unlinked'
  | 'holder collected'
  | 'lease over'
  | 'manifest deleted'
  | 'repository collected'
  | 'tag deleted'
  | 'tag moved'

/** Leases and reviews: what must stay for now, and what may go later. */
export class Keeping {
  readonly #extendLease: Statement<[string, number, number]>
  readonly #fulfilLease: Statement<[string, number]>
  readonly #dropLease: Statement<[string, number]>
  readonly #askReview: Statement<[string, number, number, string]>
  readonly #reviewAtOnce: Statement<[string, number, number, string]>
  readonly #postpone: Statement<[number, string, number]>
  readonly #forget: Statement<[string, number]>

  constructor(connection: Connection) {
    this.#extendLease = connection.prepare(
      `insert into leases (digest, repository_id, expires_at) values (?, ?, ?)
       on conflict do update set expires_at = max(expires_at, excluded.expires_at), fulfilled = 0`,
    )
    this.#fulfilLease = connection.prepare(
      'update leases set fulfilled = 1 where digest = ? and repository_id = ? and fulfilled = 0',
    )
    this.#dropLease = connection.prepare(
      'delete from leases where digest = ? and repository_id = ?',
    )
    // Never earlier than asked before: a review that comes too soon decides nothing. What has lost its
    // holder goes along with it only while nothing else has happened to it.
    this.#askReview = connection.prepare(
      `insert into reviews (digest, repository_id, due_at, reason) values (?, ?, ?, ?)
       on conflict do update set
         reason = case when excluded.due_at > due_at or reason = 'holder collected'
           then excluded.reason else reason end,
         due_at = max(due_at, excluded.due_at)`,
    )
    this.#reviewAtOnce = connection.prepare(
      `insert into reviews (digest, repository_id, due_at, reason) values (?, ?, ?, ?)
       on conflict do update set due_at = min(due_at, excluded.due_at), reason = excluded.reason`,
    )
    this.#postpone = connection.prepare(
      'update reviews set due_at = ? where digest = ? and repository_id = ?',
    )
    this.#forget = connection.prepare('delete from reviews where digest = ? and repository_id = ?')
  }

  /** Nothing takes the digest from the repository before `until`; then somebody looks. */
  lease(repositoryId: number, digest: string, until: number): void {
    this.#extendLease.run(digest, repositoryId, until)
    this.review(repositoryId, digest, until, 'lease over')
  }

  /**
   * What held the digest has been removed: whatever else may hold it still, the one who looks will
   * see it.
   */
  reviewAtOnce(repositoryId: number, digest: string, at: number, reason: ReviewReason): void {
    this.#reviewAtOnce.run(digest, repositoryId, at, reason)
  }

  /** Somebody has looked, and has to look again. */
  postpone(repositoryId: number, digest: string, dueAt: number): void {
    this.#postpone.run(dueAt, digest, repositoryId)
  }

  /** Somebody has looked, and is done; a lease that is left holds nothing any more. */
  forget(repositoryId: number, digest: string): void {
    this.#forget.run(digest, repositoryId)
    this.dropLease(repositoryId, digest)
  }

  /** What needs the digest has come: the promise was kept, though it holds on until its end. */
  fulfil(repositoryId: number, digest: string): void {
    this.#fulfilLease.run(digest, repositoryId)
  }

  /** Somebody has deleted what was promised. */
  dropLease(repositoryId: number, digest: string): void {
    this.#dropLease.run(digest, repositoryId)
  }

  review(repositoryId: number, digest: string, dueAt: number, reason: ReviewReason): void {
    this.#askReview.run(digest, repositoryId, dueAt, reason)
  }
}
