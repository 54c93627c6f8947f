import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { CollectionPlan, CollectTerms, Removed } from '../collecting.js'
import type { Connection } from './connection.js'
import { BEFORE_ALL_TIME } from './dismantling.js'
import { Judgement, termsOf, type ManifestToJudge, type Review, type Terms } from './judgement.js'

/** What a person wants to read of what would go; the rest is counted. */
const shownMax = 1000

const batchSize = 1000

interface DueRepository {
  readonly repository_id: number
  readonly name: RepositoryName
  readonly deleted_at: number
}

interface Tally {
  manifests: number
  blobs: number
  repositories: number
  bytes: number
  readonly removed: Removed[]
}

/**
 * Finds out what a run would remove: walks the same reviews by the same {@link Judgement}, and notes
 * what would be gone in temporary tables, which the judgement looks through. Changes nothing; needs
 * as much memory as a page, whatever the store has.
 */
export class CollectPlan {
  readonly #connection: Connection
  readonly #judgement: Judgement
  readonly #dueRepositories: Statement<[number], DueRepository>
  readonly #manifestsOf: Statement<[number, number], ManifestToJudge>
  readonly #reviews: Statement<[number, number, string, number], Review>
  readonly #queued: Statement<[], Review>
  readonly #unqueue: Statement<[string, number]>
  readonly #noteManifest: Statement<[number]>
  readonly #noteLink: Statement<[number, string]>
  readonly #noteLinksOf: Statement<[number]>
  readonly #noteBlob: Statement<[string]>
  readonly #queueHeld: Statement<[{ readonly id: number; readonly at: number }]>
  readonly #queueReferrers: Statement<
    [{ readonly repositoryId: number; readonly digest: string; readonly at: number }]
  >
  readonly #queueLinksOf: Statement<[{ readonly repositoryId: number; readonly at: number }]>
  readonly #hasOtherManifest: Statement<[string], number>
  readonly #blob: Statement<[string], { readonly size_bytes: number; readonly inline: 0 | 1 }>
  readonly #nameOf: Statement<[number], RepositoryName>
  readonly #bytesOfAll: Statement<[], number>

  /** @param connection - one that only reads: its temporary tables are its own */
  constructor(connection: Connection) {
    this.#connection = connection
    connection.exec(`
      create temp table gone_manifests (id integer primary key);
      create temp table gone_links (
        repository_id integer not null, digest text not null, primary key (repository_id, digest)
      ) without rowid;
      create temp table gone_blobs (digest text primary key) without rowid;
      create temp table queue (
        digest text not null, repository_id integer not null, due_at integer not null,
        reason text not null, primary key (digest, repository_id)
      ) without rowid`)
    this.#judgement = new Judgement(connection, { overlay: true })
    this.#dueRepositories = connection.prepare(
      `select repository_id, name, deleted_at from deleted_repositories where deleted_at <= ?
       order by deleted_at`,
    )
    this.#manifestsOf = connection.prepare(
      `select id, digest, repository_id, '' as name, generation, size_bytes, subject_digest,
         pushed_at, deleted_at, released_at, pulled_at
       from manifests where repository_id = ? and id not in (select id from temp.gone_manifests)
       limit ?`,
    )
    this.#reviews = connection.prepare(
      `select digest, repository_id, due_at, reason from reviews
       where due_at <= ? and (due_at, digest, repository_id) > (?, ?, ?)
       order by due_at, digest, repository_id limit ${batchSize}`,
    )
    this.#queued = connection.prepare(`select * from temp.queue limit ${batchSize}`)
    this.#unqueue = connection.prepare(
      'delete from temp.queue where digest = ? and repository_id = ?',
    )
    this.#noteManifest = connection.prepare('insert into temp.gone_manifests (id) values (?)')
    this.#noteLink = connection.prepare(
      'insert into temp.gone_links (repository_id, digest) values (?, ?) on conflict do nothing',
    )
    this.#noteLinksOf = connection.prepare(
      `insert into temp.gone_links (repository_id, digest)
       select repository_id, digest from repository_blobs where repository_id = ?`,
    )
    this.#noteBlob = connection.prepare('insert into temp.gone_blobs (digest) values (?)')
    const queue = 'insert into temp.queue (digest, repository_id, due_at, reason)'
    this.#queueHeld = connection.prepare(
      `${queue} select digest, repository_id, @at, 'holder collected'
       from manifest_references where manifest_id = @id on conflict do nothing`,
    )
    this.#queueReferrers = connection.prepare(
      `${queue} select digest, repository_id, @at, 'holder collected' from manifests
       where repository_id = @repositoryId and subject_digest = @digest and deleted_at is null
       on conflict do nothing`,
    )
    this.#queueLinksOf = connection.prepare(
      `${queue} select digest, repository_id, @at, 'repository collected' from repository_blobs
       where repository_id = @repositoryId on conflict do nothing`,
    )
    this.#hasOtherManifest = connection
      .prepare<[string], number>(
        `select 1 from manifests m where m.digest = ?
           and not exists (select 1 from temp.gone_manifests g where g.id = m.id) limit 1`,
      )
      .pluck()
    this.#blob = connection.prepare(
      `select size_bytes, inline from blobs b where digest = ?
         and not exists (select 1 from temp.gone_blobs g where g.digest = b.digest)`,
    )
    this.#nameOf = connection
      .prepare<[number], RepositoryName>(
        `select coalesce(d.name, r.name) from repositories r
         left join deleted_repositories d on d.repository_id = r.id where r.id = ?`,
      )
      .pluck()
    this.#bytesOfAll = connection
      .prepare<[], number>(
        `select coalesce((select sum(size_bytes) from blobs), 0)
           + coalesce((select sum(length(bytes)) from manifest_contents), 0)`,
      )
      .pluck()
  }

  plan(given: CollectTerms): CollectionPlan {
    const terms = termsOf(given)
    const tally: Tally = { manifests: 0, blobs: 0, repositories: 0, bytes: 0, removed: [] }
    // One transaction, so that all of it is true of one moment.
    this.#connection.exec('begin')
    try {
      for (const repository of this.#dueRepositories.all(terms.at - terms.undoMs)) {
        this.#takeRepository(repository, terms, tally)
      }
      // As in a run: what has lost its repository is due at once.
      this.#takeQueue(terms, tally)
      this.#takeReviews(terms, tally)
      this.#takeQueue(terms, tally)
      const isAny = tally.manifests + tally.blobs + tally.repositories > 0
      return { ...tally, bytesOfAll: isAny ? (this.#bytesOfAll.get() ?? 0) : 0 }
    } finally {
      for (const table of ['gone_manifests', 'gone_links', 'gone_blobs', 'queue']) {
        this.#connection.exec(`delete from temp.${table}`)
      }
      this.#connection.exec('commit')
    }
  }

  #takeRepository(repository: DueRepository, { at }: Terms, tally: Tally): void {
    const { repository_id: repositoryId, name, deleted_at: deletedAt } = repository
    const dueAt = deletedAt === BEFORE_ALL_TIME ? at : deletedAt
    const reason = 'repository collected'
    for (;;) {
      const manifests = this.#manifestsOf.all(repositoryId, batchSize)
      if (manifests.length === 0) break
      for (const manifest of manifests) {
        this.#removeManifest(manifest, { reason, due_at: dueAt }, name, at, tally)
      }
    }
    this.#noteLinksOf.run(repositoryId)
    this.#queueLinksOf.run({ repositoryId, at })
    tally.repositories++
    note(tally, {
      kind: 'repository',
      repository: name,
      sizeBytes: 0,
      reason,
      dueAt,
      isFile: false,
    })
  }

  #takeReviews(terms: Terms, tally: Tally): void {
    const until = terms.skipWaits ? Number.MAX_SAFE_INTEGER : terms.at
    let last = { due_at: -1, digest: '', repository_id: 0 }
    for (;;) {
      const batch = this.#reviews.all(until, last.due_at, last.digest, last.repository_id)
      for (const review of batch) this.#take(review, terms, tally)
      last = batch.at(-1) ?? last
      if (batch.length < batchSize) return
    }
  }

  /** What has lost its holder, until nothing more follows from it. */
  #takeQueue(terms: Terms, tally: Tally): void {
    for (let batch = this.#queued.all(); batch.length > 0; batch = this.#queued.all()) {
      for (const review of batch) {
        this.#unqueue.run(review.digest, review.repository_id)
        this.#take(review, terms, tally)
      }
    }
  }

  #take(review: Review, terms: Terms, tally: Tally): void {
    const { digest, repository_id: repositoryId, due_at: dueAt, reason } = review
    const { manifest, link } = this.#judgement.judge(review, terms)
    if (manifest) {
      this.#removeManifest(manifest, review, manifest.name as RepositoryName, terms.at, tally)
    }
    if (link) this.#noteLink.run(repositoryId, digest)
    const blob = this.#blob.get(digest)
    if (blob === undefined || this.#judgement.fateOfBlob(digest, terms) !== 'goes') return
    this.#noteBlob.run(digest)
    tally.blobs++
    tally.bytes += blob.size_bytes
    const repository = isShown(tally) ? this.#nameOf.get(repositoryId) : undefined
    note(tally, {
      ...{ kind: 'blob', digest: digest as Digest, sizeBytes: blob.size_bytes, reason, dueAt },
      ...(repository !== undefined && { repository }),
      isFile: blob.inline === 0,
    })
  }

  #removeManifest(
    manifest: ManifestToJudge,
    { reason, due_at: dueAt }: Pick<Review, 'reason' | 'due_at'>,
    repository: RepositoryName,
    at: number,
    tally: Tally,
  ): void {
    const { id, digest, repository_id: repositoryId, size_bytes } = manifest
    this.#noteManifest.run(id)
    this.#queueHeld.run({ id, at })
    this.#queueReferrers.run({ repositoryId, digest, at })
    const sizeBytes = this.#hasOtherManifest.get(digest) === undefined ? size_bytes : 0
    tally.manifests++
    tally.bytes += sizeBytes
    const removed = { kind: 'manifest', repository, digest: digest as Digest, sizeBytes } as const
    note(tally, { ...removed, reason, dueAt, isFile: false })
  }
}

function note(tally: Tally, removed: Removed): void {
  if (isShown(tally)) tally.removed.push(removed)
}

/** Whether the next thing that would go is shown, too. */
function isShown({ removed }: Tally): boolean {
  return removed.length < shownMax
}
