import type { Digest } from '../../../src/oci/digest.js'
import { nameOf } from './contents.js'
import type { Lease, ManifestState, Model, Repository } from './model.js'
import type { StoredRows } from '../../support/stored-state.js'

/** By what a run collects. */
export interface Terms {
  readonly at: number
  readonly undoMs: number
  readonly skipWaits: boolean
}

/**
 * How a question about keeping is asked. `least`: what must stay for certain; whatever else may go.
 * `most`: what may stay for any reason; whatever is left must go.
 */
type Bound = 'least' | 'most'

const day = 24 * 60 * 60 * 1000

/** How often something is looked at that nothing but the configuration keeps, and a day. */
const lookMs = 8 * day

/**
 * What collecting may take and must take, by the rules for it as they are promised. The model learns
 * from the store what has gone, and says whether that was right.
 */
export class Collecting {
  readonly #model: Model

  constructor(model: Model) {
    this.#model = model
  }

  /**
   * Takes note of what a run, or a step of one, has removed.
   *
   * @param isWhole - the run has come to its end, and nothing else has happened meanwhile
   * @throws an error when something went that had to stay, or stayed that had to go
   */
  note(rows: StoredRows, terms: Terms, { isWhole }: { readonly isWhole: boolean }): void {
    const gone = this.#forget(rows)
    // A run that is made in steps may have begun long ago; what has to stay is told by now.
    const now = { ...terms, at: this.#model.now }
    for (const { repository, manifest } of gone.manifests) {
      const reason = this.#keeperOf(repository, manifest, now, 'least')
      if (reason === undefined) continue
      throw wrong('went', `the manifest ${manifest.content.name}`, repository, reason)
    }
    for (const { repository, digest } of gone.links) {
      const reason = this.#keeperOfLink(repository, digest, now, 'least')
      if (reason === undefined) continue
      throw wrong('went', `the blob ${nameOf(digest)}`, repository, reason)
    }
    for (const repository of gone.repositories) {
      if (this.#mayGoWhole(repository, now)) continue
      throw wrong('went', 'everything', repository, 'it can be brought back')
    }
    for (const digest of gone.blobs) {
      const reason = this.#keeperOfBytes(digest, now, 'least')
      if (reason === undefined) continue
      throw new Error(`the bytes of ${nameOf(digest)} went although ${reason}`)
    }
    if (isWhole) this.#requireAllGone(terms)
  }

  /** A step is about to take the next deleted repository apart. */
  noteBroken(terms: Terms): void {
    const { deleted } = this.#model
    if (deleted.some(({ isBroken }) => isBroken)) return
    const final = deleted.filter((repository) => this.#isFinal(repository, terms))
    const first = Math.min(...final.map(({ deletedAt = 0 }) => deletedAt))
    for (const repository of final) if (repository.deletedAt === first) repository.isBroken = true
  }

  #requireAllGone(terms: Terms): void {
    for (const repository of this.#model.allRepositories) {
      if (this.#isFinal(repository, terms)) {
        throw wrong('stays', 'something', repository, 'nobody can bring it back')
      }
      for (const manifest of repository.manifests.values()) {
        if (this.#keeperOf(repository, manifest, terms, 'most') !== undefined) continue
        throw wrong(
          'stays',
          `the manifest ${manifest.content.name}`,
          repository,
          'nothing keeps it',
        )
      }
      for (const digest of repository.links) {
        if (this.#keeperOfLink(repository, digest, terms, 'most') !== undefined) continue
        throw wrong('stays', `the blob ${nameOf(digest)}`, repository, 'nothing keeps it')
      }
    }
    for (const digest of this.#model.blobs.keys()) {
      if (this.#keeperOfBytes(digest, terms, 'most') !== undefined) continue
      throw new Error(`the bytes of ${nameOf(digest)} stay although nothing keeps them`)
    }
  }

  /** Why a manifest stays, where what it had beside it has gone already. */
  #keeperOf(
    repository: Repository,
    manifest: ManifestState,
    terms: Terms,
    bound: Bound,
  ): string | undefined {
    const { at, undoMs } = terms
    const { content, deletedAt } = manifest
    const { digest, subject } = content
    if (bound === 'least' && this.#mayGoWhole(repository, terms)) return undefined
    const holder = repository.holdersOf(digest)[0]
    if (holder) return `${holder.content.name} has it`
    if (bound === 'most' && manifest.tagsAreLeft) return 'its tags are still being removed'
    const tag = this.#undoableTagOf(repository, digest, terms, bound)
    if (tag !== undefined) return `the tag ${tag} can be brought back`
    // A blob of the same bytes is looked at with it, and what is promised of one puts off both.
    if (bound === 'most' && this.#holds(repository.blobLeases.get(digest), terms, bound)) {
      return 'it was promised as a blob'
    }
    if (deletedAt !== undefined) {
      const keptUntil = deletedAt + undoMs + this.#slack(terms, bound)
      return keptUntil > at ? 'it can be brought back' : undefined
    }
    const live = [...repository.tags].find(([, target]) => target === digest)
    if (live) return `the tag ${live[0]} points to it`
    if (subject !== undefined && repository.manifests.has(subject)) return 'its subject is there'
    if (this.#holds(repository.manifestLeases.get(digest), terms, bound)) return 'it was promised'
    return this.#ageOf(repository, manifest, terms, bound)
  }

  /** What never had a tag goes along with what had it; other things have to age. */
  #ageOf(
    repository: Repository,
    manifest: ManifestState,
    { at, skipWaits, ...terms }: Terms,
    bound: Bound,
  ): string | undefined {
    const { settings } = this.#model
    const { pushedAt, pulledAt, releasedAt } = manifest
    const isOrphaned = bound === 'least' ? manifest.isOrphaned : manifest.isOrphanedAlone
    if (isOrphaned && releasedAt === undefined) return undefined
    const ageMs = settings.untaggedMs(repository.name)
    if (ageMs === undefined) return 'untagged manifests are kept here'
    if (skipWaits) return undefined
    const usedAt = Math.max(pushedAt, releasedAt ?? 0, pulledAt)
    const slack = this.#slack({ at, skipWaits, ...terms }, bound)
    return usedAt + ageMs + slack > at ? 'it is not old enough' : undefined
  }

  /** A tag that can be pointed back to a manifest. */
  #undoableTagOf(
    { tagHistory }: Repository,
    digest: Digest,
    terms: Terms,
    bound: Bound,
  ): string | undefined {
    const since = terms.at - terms.undoMs - this.#slack(terms, bound)
    const found = [...tagHistory].find(([, changes]) =>
      changes.some(({ from, at }) => from === digest && at > since),
    )
    return found?.[0]
  }

  /** Why a repository goes on having a blob. */
  #keeperOfLink(
    repository: Repository,
    digest: Digest,
    terms: Terms,
    bound: Bound,
  ): string | undefined {
    if (bound === 'least' && this.#mayGoWhole(repository, terms)) return undefined
    const holder = repository.holdersOf(digest)[0]
    if (holder) return `${holder.content.name} has it`
    if (this.#holds(repository.blobLeases.get(digest), terms, bound)) return 'it was promised'
    if (bound === 'most' && this.#holds(repository.manifestLeases.get(digest), terms, bound)) {
      return 'it was promised as a manifest'
    }
    // A manifest of the same bytes is looked at with it, and what happens to one puts off both.
    const changedAt = Math.max(
      repository.lostTagAt(digest) ?? -Infinity,
      repository.deletions.get(digest) ?? -Infinity,
    )
    const keptUntil = changedAt + terms.undoMs + this.#slack(terms, bound)
    if (bound === 'most' && !terms.skipWaits && keptUntil > terms.at) return 'it was put off'
    return undefined
  }

  #keeperOfBytes(digest: Digest, terms: Terms, bound: Bound): string | undefined {
    const { allRepositories, blobs, settings } = this.#model
    for (const repository of allRepositories) {
      if (repository.links.has(digest)) return `${repository.name} has the blob`
      const holder = repository.holdersOf(digest)[0]
      if (holder) return `${holder.content.name} of ${repository.name} refers to them`
    }
    if (bound === 'least') return undefined
    const blob = blobs.get(digest)
    const slack = this.#slack(terms, bound)
    if ((this.#model.leasedElsewhere.get(digest) ?? 0) + slack > terms.at)
      return 'there may be a lease'
    const isHeld = allRepositories.some(
      ({ manifestLeases, blobLeases }) =>
        this.#holds(manifestLeases.get(digest), terms, bound) ||
        this.#holds(blobLeases.get(digest), terms, bound),
    )
    if (isHeld) return 'there is a lease'
    // Looked at so late, though nothing but a manifest that has it brings it back.
    const keptMs = terms.skipWaits ? 0 : settings.undoMs + settings.leaseMs
    return (blob?.unlinkedAt ?? 0) + keptMs + slack > terms.at ? 'it was just deleted' : undefined
  }

  #isFinal({ deletedAt }: Repository, { at, undoMs }: Terms): boolean {
    return deletedAt !== undefined && deletedAt + undoMs <= at
  }

  #mayGoWhole(repository: Repository, terms: Terms): boolean {
    return repository.isBroken || this.#isFinal(repository, terms)
  }

  #holds(lease: Lease | undefined, terms: Terms, bound: Bound): boolean {
    if (lease === undefined || (terms.skipWaits && lease.isFulfilled)) return false
    if (bound === 'least') return lease.atLeast > terms.at
    return lease.atMost + this.#slack(terms, bound) > terms.at
  }

  /** A run that waits for nothing looks at everything; others at what is due. */
  #slack({ skipWaits }: Terms, bound: Bound): number {
    return bound === 'least' || skipWaits ? 0 : lookMs + this.#model.settings.leaseMs
  }

  /** Makes the model forget what the store does not have any more, and gives that. */
  #forget({ repositories, manifests, links, blobs }: StoredRows) {
    const gone = {
      repositories: [] as Repository[],
      manifests: [] as { repository: Repository; manifest: ManifestState }[],
      links: [] as { repository: Repository; digest: Digest }[],
      blobs: [] as Digest[],
    }
    for (const repository of this.#model.allRepositories) {
      for (const manifest of repository.manifests.values()) {
        const { digest } = manifest.content
        if (manifests.has(`${repository.id} ${digest}`)) continue
        gone.manifests.push({ repository, manifest })
      }
      for (const digest of repository.links) {
        if (!links.has(`${repository.id} ${digest}`)) gone.links.push({ repository, digest })
      }
      if (!repositories.has(repository.id)) gone.repositories.push(repository)
    }
    for (const digest of this.#model.blobs.keys()) if (!blobs.has(digest)) gone.blobs.push(digest)

    for (const { repository, manifest } of gone.manifests) orphan(repository, manifest)
    for (const { repository, manifest } of gone.manifests) {
      const { digest } = manifest.content
      repository.manifests.delete(digest)
      this.#endLease(repository, digest, repository.manifestLeases)
    }
    for (const { repository, digest } of gone.links) {
      repository.links.delete(digest)
      this.#endLease(repository, digest, repository.blobLeases)
    }
    for (const repository of gone.repositories) {
      const { deleted } = this.#model
      if (deleted.includes(repository)) deleted.splice(deleted.indexOf(repository), 1)
      else throw wrong('went', 'everything', repository, 'nobody has deleted it')
    }
    for (const digest of gone.blobs) this.#model.blobs.delete(digest)
    return gone
  }

  /** A lease of a repository that was taken apart may hold bytes of others until its end. */
  #endLease(repository: Repository, digest: Digest, leases: Map<Digest, Lease>): void {
    const until = leases.get(digest)?.atMost
    leases.delete(digest)
    if (until === undefined || repository.deletedAt === undefined) return
    const { leasedElsewhere } = this.#model
    leasedElsewhere.set(digest, Math.max(until, leasedElsewhere.get(digest) ?? 0))
  }
}

/** What a manifest held goes along with it, be it removed in the same run or not. */
function orphan(repository: Repository, { content }: ManifestState): void {
  const { digest, children } = content
  for (const manifest of repository.manifests.values()) {
    const { content: other } = manifest
    if (!children.includes(other.digest) && other.subject !== digest) continue
    manifest.isOrphaned = true
    manifest.isOrphanedAlone = true
  }
}

function wrong(what: 'went' | 'stays', of: string, { name }: Repository, reason: string): Error {
  return new Error(`${of} of ${name} ${what} although ${reason}`)
}
