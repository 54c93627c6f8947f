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
    // Never earlier than asked before: a review that comes too soon decides nothing.
    this.#askReview = connection.prepare(
      `insert into reviews (digest, repository_id, due_at, reason) values (?, ?, ?, ?)
       on conflict do update set
         reason = case when excluded.due_at > due_at then excluded.reason else reason end,
         due_at = max(due_at, excluded.due_at)`,
    )
  }

  /** Nothing takes the digest from the repository before `until`; then somebody looks. */
  lease(repositoryId: number, digest: string, until: number): void {
    this.#extendLease.run(digest, repositoryId, until)
    this.review(repositoryId, digest, until, 'lease over')
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
