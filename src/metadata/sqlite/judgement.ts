import type { Statement } from 'better-sqlite3'
import { firstMatch, parsePattern, type Pattern } from '../../oci/patterns.js'
import { dayMs } from '../../times.js'
import type { CollectTerms } from '../collecting.js'
import type { Connection } from './connection.js'
import type { ReviewReason } from './keeping.js'

/** A digest that may be collectable in a repository. */
export interface Review {
  readonly digest: string
  readonly repository_id: number
  readonly due_at: number
  readonly reason: ReviewReason
}

export interface ManifestToJudge {
  readonly id: number
  readonly digest: string
  readonly repository_id: number
  /** Its repository's. */
  readonly name: string
  readonly generation: number
  readonly size_bytes: number
  readonly subject_digest: string | null
  readonly pushed_at: number
  readonly deleted_at: number | null
  readonly released_at: number | null
  readonly pulled_at: number | null
}

interface Lease {
  readonly expires_at: number
  readonly fulfilled: 0 | 1
}

/** What a review comes to. With nothing in it all stays, and nobody need look again. */
export interface Verdict {
  /** The manifest goes. */
  readonly manifest?: ManifestToJudge
  /** The repository loses its right to the blob. */
  readonly link?: boolean
  /** When to look again at what may go later. */
  readonly waitUntil?: number
  /** Of a lease that has not ended: it goes with its review. */
  readonly leasedUntil?: number
}

/** By what a run judges: {@link CollectTerms} with its patterns understood. */
export interface Terms extends CollectTerms {
  readonly policies: readonly { readonly repositories: Pattern; readonly collectAfterMs?: number }[]
}

export function termsOf(terms: CollectTerms): Terms {
  return {
    ...terms,
    policies: terms.untagged.map(({ repositories, collectAfterMs }) => ({
      repositories: parsePattern(repositories),
      ...(collectAfterMs !== undefined && { collectAfterMs }),
    })),
  }
}

/** Whether something stays, goes, or may go at some time. */
export type Fate = 'stays' | 'goes' | { readonly waitUntil: number }

/** How soon is looked again at what is in somebody's hands right now. */
const soonMs = 1000

/** How often is looked at what is kept for no reason but the configuration, which may change. */
const keptMs = 7 * dayMs

/**
 * Decides what may go. Whatever can be reached stays: from a tag, from an index (a manifest or a
 * blob), from a subject (its referrers live with it), by a lease, by an upload that is about to end,
 * and by whatever can still be brought back.
 *
 * It is asked inside the transaction that acts on the answer; or, for a plan, with the temporary
 * tables of {@link CollectPlan} laid over, where what would have gone before counts as gone.
 */
export class Judgement {
  readonly #manifest: Statement<[number, string], ManifestToJudge>
  readonly #isTagged: Statement<[number, number], number>
  readonly #hasTagRows: Statement<[number], number>
  readonly #isReferredTo: Statement<[string, number], number>
  readonly #hasManifest: Statement<[number, string], number>
  readonly #lease: Statement<[string, number], Lease>
  readonly #isLinked: Statement<[number, string], number>
  readonly #fateOfBlob: Statement<
    [{ readonly digest: string; readonly at: number; readonly fulfilledMax: 0 | 1 }],
    'stays' | 'waits' | 'goes'
  >

  /** @param overlay - whether the temporary tables of a plan are there */
  constructor(connection: Connection, { overlay }: { readonly overlay: boolean }) {
    const unlessGone = (table: string, condition: string) =>
      overlay ? `and not exists (select 1 from temp.${table} g where ${condition})` : ''
    const ask = <P extends unknown[]>(sql: string) => connection.prepare<P, number>(sql).pluck()

    this.#manifest = connection.prepare(
      `select m.id, m.digest, m.repository_id, coalesce(d.name, p.name) as name, m.generation,
         m.size_bytes, m.subject_digest, m.pushed_at, m.deleted_at, m.released_at, m.pulled_at
       from manifests m join repositories p on p.id = m.repository_id
       left join deleted_repositories d on d.repository_id = p.id
       where m.repository_id = ? and m.digest = ? ${unlessGone('gone_manifests', 'g.id = m.id')}`,
    )
    this.#isTagged = ask('select 1 from tags where manifest_id = ? and generation = ? limit 1')
    this.#hasTagRows = ask('select 1 from tags where manifest_id = ? limit 1')
    const unlessHolderGone = unlessGone('gone_manifests', 'g.id = r.manifest_id')
    this.#isReferredTo = ask(
      `select 1 from manifest_references r where r.digest = ? and r.repository_id = ?
       ${unlessHolderGone} limit 1`,
    )
    this.#hasManifest = ask(
      `select 1 from manifests m where m.repository_id = ? and m.digest = ?
       ${unlessGone('gone_manifests', 'g.id = m.id')}`,
    )
    this.#lease = connection.prepare(
      'select expires_at, fulfilled from leases where digest = ? and repository_id = ?',
    )
    const unlessUnlinked = unlessGone(
      'gone_links',
      'g.repository_id = l.repository_id and g.digest = l.digest',
    )
    this.#isLinked = ask(
      `select 1 from repository_blobs l where l.repository_id = ? and l.digest = ? ${unlessUnlinked}`,
    )
    // One question instead of four: of each there are as many as of reviews.
    this.#fateOfBlob = connection
      .prepare<
        [{ readonly digest: string; readonly at: number; readonly fulfilledMax: 0 | 1 }],
        'stays' | 'waits' | 'goes'
      >(
        `select case
           when exists (select 1 from repository_blobs l where l.digest = @digest ${unlessUnlinked})
           then 'stays'
           when exists (
             select 1 from manifest_references r where r.digest = @digest ${unlessHolderGone})
           then 'stays'
           when exists (
             select 1 from leases
             where digest = @digest and expires_at > @at and fulfilled <= @fulfilledMax)
           then 'stays'
           when exists (select 1 from uploads where committing = @digest) then 'waits'
           else 'goes' end`,
      )
      .pluck()
  }

  judge(review: Review, terms: Terms): Verdict {
    const { digest, repository_id: repositoryId } = review
    const lease = this.#lease.get(digest, repositoryId)
    const manifest = this.#manifest.get(repositoryId, digest)
    const ofManifest = manifest ? this.#fateOf(manifest, review, lease, terms) : 'stays'
    const isLinked = this.#isLinked.get(repositoryId, digest) !== undefined
    const ofLink = isLinked ? this.#fateOfLink(review, lease, terms) : 'stays'
    const waits = [ofManifest, ofLink]
      .filter((fate) => typeof fate === 'object')
      .map(({ waitUntil }) => waitUntil)
    const leasedUntil = lease?.expires_at ?? 0
    return {
      ...(ofManifest === 'goes' && manifest && { manifest }),
      ...(ofLink === 'goes' && { link: true }),
      ...(waits.length > 0 && { waitUntil: Math.min(...waits) }),
      ...(leasedUntil > terms.at && { leasedUntil }),
    }
  }

  /**
   * What becomes of the bytes of a digest when nothing more is known of them than their row: whether
   * any repository may still want them.
   */
  fateOfBlob(digest: string, { at, skipWaits }: Terms): Fate {
    const fate = this.#fateOfBlob.get({ digest, at, fulfilledMax: skipWaits ? 0 : 1 })
    if (fate === 'waits') return { waitUntil: at + soonMs }
    return fate === 'goes' ? 'goes' : 'stays'
  }

  #fateOf(manifest: ManifestToJudge, review: Review, lease: Lease | undefined, terms: Terms): Fate {
    const { digest, repository_id: repositoryId } = review
    const { at, undoMs } = terms
    if (manifest.deleted_at !== null) {
      if (manifest.deleted_at + undoMs > at) return { waitUntil: manifest.deleted_at + undoMs }
      // An index may have it still; it is not shown, but can be restored with the index.
      if (this.#isReferredTo.get(digest, repositoryId) !== undefined) return 'stays'
      // Its tags count as gone, and are still being removed.
      if (this.#hasTagRows.get(manifest.id) !== undefined) return { waitUntil: at + soonMs }
      return 'goes'
    }
    if (this.#isTagged.get(manifest.id, manifest.generation) !== undefined) return 'stays'
    if (this.#isReferredTo.get(digest, repositoryId) !== undefined) return 'stays'
    const { subject_digest: subject } = manifest
    if (subject !== null && this.#hasManifest.get(repositoryId, subject) !== undefined) {
      return 'stays'
    }
    const waitUntil = this.#waitOf(manifest, review, lease, terms)
    if (waitUntil === Infinity) return { waitUntil: at + keptMs }
    if (waitUntil > at) return { waitUntil }
    return this.#hasTagRows.get(manifest.id) === undefined ? 'goes' : { waitUntil: at + soonMs }
  }

  /** Until when a manifest that nothing holds stays all the same. */
  #waitOf(
    manifest: ManifestToJudge,
    review: Review,
    lease: Lease | undefined,
    terms: Terms,
  ): number {
    const { pushed_at, released_at, pulled_at, name } = manifest
    const leased = holdsUntil(lease, terms)
    const undoable = released_at === null ? 0 : released_at + terms.undoMs
    // What never had a tag was there for the index or subject that has gone.
    if (review.reason === 'holder collected' && released_at === null) return leased
    const policy = firstMatch(terms.policies, name)
    if (policy?.collectAfterMs === undefined) return Infinity
    const usedAt = Math.max(pushed_at, released_at ?? 0, pulled_at ?? 0)
    const aged = terms.skipWaits ? 0 : usedAt + policy.collectAfterMs
    return Math.max(leased, undoable, aged)
  }

  #fateOfLink(review: Review, lease: Lease | undefined, terms: Terms): Fate {
    if (this.#isReferredTo.get(review.digest, review.repository_id) !== undefined) return 'stays'
    const waitUntil = holdsUntil(lease, terms)
    return waitUntil > terms.at ? { waitUntil } : 'goes'
  }
}

/** Until when a lease holds; a run that waits for nothing waits only for those who still come. */
function holdsUntil(lease: Lease | undefined, { skipWaits }: Terms): number {
  return lease === undefined || (skipWaits && lease.fulfilled === 1) ? 0 : lease.expires_at
}
