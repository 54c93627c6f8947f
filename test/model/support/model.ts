import type { Digest } from '../../../src/oci/digest.js'
import { findBlobContent, refersTo, type ManifestContent } from './contents.js'

/** What a registry is set to; times in milliseconds. */
export interface Settings {
  readonly undoMs: number
  readonly leaseMs: number
  readonly historyMs: number
  readonly expireMs: number
  readonly mayDeleteReferencedBlobs: boolean
  /** What is a rule of retention about, and what does it keep; 0 for nothing. */
  retentionRulesOf(name: string): readonly {
    selects(tag: string): boolean
    keepsTag(tag: string): boolean
    readonly keepNewest: number
    readonly keepYoungerThanMs: number
    readonly keepPulledWithinMs: number
  }[]
  /** After how long untagged manifests of a repository go; undefined where they are kept. */
  untaggedMs(name: string): number | undefined
}

/** A promise that something stays. A second one may be given without a word while half of it is left. */
export interface Lease {
  /** It holds until then, whatever was written down. */
  readonly atLeast: number
  /** It has ended then, whatever was written down. */
  readonly atMost: number
  /** A manifest that needs it has come since. */
  readonly isFulfilled: boolean
}

export interface TagChange {
  readonly at: number
  readonly from: Digest | undefined
  readonly to: Digest | undefined
}

export interface ManifestState {
  readonly content: ManifestContent
  pushedAt: number
  /** As far as it is written down. */
  pulledAt: number
  deletedAt?: number | undefined
  /** When it last lost a tag, since it was pushed or was gone for good before. */
  releasedAt?: number | undefined
  /** An index that had it, or its subject, was removed for good since it was pushed. */
  isOrphaned: boolean
  /** And nothing has happened to it since. */
  isOrphanedAlone: boolean
  /** Many tags went with it, and nobody has tidied up since. */
  tagsAreLeft: boolean
}

/** One repository from its first content until it is gone for good, whatever it is called meanwhile. */
export class Repository {
  /** As the store knows it. */
  readonly id: number
  name: string
  deletedAt: number | undefined
  /** A purge that was not ended may have begun to take it apart. */
  isBroken = false
  readonly tags = new Map<string, Digest>()
  /** When each tag was pushed or moved last. */
  readonly tagMovedAt = new Map<string, number>()
  readonly tagHistory = new Map<string, TagChange[]>()
  readonly manifests = new Map<Digest, ManifestState>()
  /** When each digest was deleted last. */
  readonly deletions = new Map<Digest, number>()
  /** Blobs that it has. */
  readonly links = new Set<Digest>()
  readonly blobLeases = new Map<Digest, Lease>()
  readonly manifestLeases = new Map<Digest, Lease>()

  constructor(id: number, name: string) {
    this.id = id
    this.name = name
  }

  findLive(digest: Digest): ManifestState | undefined {
    const manifest = this.manifests.get(digest)
    return manifest?.deletedAt === undefined ? manifest : undefined
  }

  get liveManifests(): ManifestState[] {
    return [...this.manifests.values()].filter(({ deletedAt }) => deletedAt === undefined)
  }

  /** Whether the catalog shows it. */
  get isListed(): boolean {
    return this.liveManifests.length > 0
  }

  /** Manifests that refer to a digest, be they deleted or not. */
  holdersOf(digest: Digest): ManifestState[] {
    return [...this.manifests.values()].filter(({ content }) => refersTo(content, digest))
  }

  needs(digest: Digest): boolean {
    return this.liveManifests.some(({ content }) => refersTo(content, digest))
  }

  /** Everything that is not deleted, each blob once. */
  get logicalBytes(): number {
    const manifestBytes = this.liveManifests.reduce(
      (sum, { content }) => sum + content.bytes.byteLength,
      0,
    )
    const blobs = [...this.links].filter((digest) => this.needs(digest))
    return blobs.reduce(
      (sum, digest) => sum + (findBlobContent(digest)?.bytes.byteLength ?? 0),
      manifestBytes,
    )
  }

  referrersOf(subject: Digest): Digest[] {
    return this.liveManifests
      .filter(({ content }) => content.subject === subject)
      .map(({ content }) => content.digest)
      .sort()
  }

  /** When the last tag of a manifest went elsewhere, or went. */
  lostTagAt(digest: Digest): number | undefined {
    const times = [...this.tagHistory.values()]
      .flat()
      .filter(({ from }) => from === digest)
      .map(({ at }) => at)
    return times.length === 0 ? undefined : Math.max(...times)
  }
}

interface Pull {
  readonly name: string
  readonly digest: Digest
  readonly at: number
  isWritten: boolean
}

const minuteMs = 60_000

/** Bytes of a blob, wherever they are. */
export interface BlobState {
  /** When a repository was made to lose it last. */
  unlinkedAt: number
}

/**
 * What a registry should have, told with nothing but maps and sets: by the promises, not by the code.
 * Its methods say what has happened; whether it may happen is asked before.
 */
export class Model {
  readonly settings: Settings
  now: number
  readonly repositories = new Map<string, Repository>()
  /** Those that were deleted and are not gone for good, the last one last. */
  readonly deleted: Repository[] = []
  readonly blobs = new Map<Digest, BlobState>()
  /** Until when a lease may last that a repository had which is gone for good. */
  readonly leasedElsewhere = new Map<Digest, number>()
  /** History from before this time may be forgotten. */
  forgottenBefore = 0
  /** When each manifest was pulled last by its name, no more often than once a minute. */
  readonly #pulls = new Map<string, Pull>()

  constructor(settings: Settings, now: number) {
    this.settings = settings
    this.now = now
  }

  /** All there are, deleted or not. */
  get allRepositories(): Repository[] {
    return [...this.repositories.values(), ...this.deleted]
  }

  hasBlob(name: string, digest: Digest): boolean {
    return this.repositories.get(name)?.links.has(digest) === true
  }

  /** What a manifest refers to and its repository does not have. */
  missingFor(name: string, { blobs, children }: ManifestContent): Digest[] {
    const repository = this.repositories.get(name)
    const hasManifest = (digest: Digest) => repository?.findLive(digest) !== undefined
    return [
      ...blobs.filter((digest) => !this.hasBlob(name, digest)),
      ...children.filter((digest) => !hasManifest(digest) && !this.hasBlob(name, digest)),
    ]
  }

  /** Those that a restore brings back: the first one, or, where that is broken, the next. */
  restorable(name: string): Repository[] {
    return this.deleted
      .filter((one) => one.name === name && this.isUndoable(one.deletedAt ?? 0))
      .reverse()
  }

  giveBlob(repository: Repository, digest: Digest): void {
    repository.links.add(digest)
    if (!this.blobs.has(digest)) {
      this.blobs.set(digest, { unlinkedAt: -Infinity })
    }
    this.leaseBlob(repository, digest, this.settings.leaseMs)
  }

  leaseBlob(repository: Repository, digest: Digest, ms: number): void {
    this.#lease(repository.blobLeases, digest, ms)
    this.touch(repository, digest)
  }

  leaseManifest(repository: Repository, digest: Digest, ms: number): void {
    this.#lease(repository.manifestLeases, digest, ms)
    this.touch(repository, digest)
  }

  putManifest(repository: Repository, content: ManifestContent, tags: readonly string[]): void {
    const { digest } = content
    const before = repository.manifests.get(digest)
    repository.manifests.set(digest, {
      ...{ content, pushedAt: this.now, isOrphaned: false, isOrphanedAlone: false },
      tagsAreLeft: before?.tagsAreLeft === true,
      ...{ pulledAt: before?.pulledAt ?? 0, releasedAt: before?.releasedAt },
    })
    for (const target of [...content.blobs, ...content.children]) fulfil(repository, target)
    for (const tag of tags) this.moveTag(repository, tag, digest)
    if (tags.length === 0) this.leaseManifest(repository, digest, this.settings.leaseMs)
    else fulfil(repository, digest)
  }

  moveTag(repository: Repository, tag: string, to: Digest): void {
    const from = repository.tags.get(tag)
    repository.tags.set(tag, to)
    repository.tagMovedAt.set(tag, this.now)
    if (from !== to) this.#record(repository, tag, { at: this.now, from, to })
  }

  deleteTag(repository: Repository, tag: string): void {
    const from = repository.tags.get(tag)
    repository.tags.delete(tag)
    this.#record(repository, tag, { at: this.now, from, to: undefined })
  }

  deleteManifest(repository: Repository, manifest: ManifestState): void {
    const { digest } = manifest.content
    const tags = [...repository.tags].filter(([, target]) => target === digest)
    for (const [tag] of tags) this.deleteTag(repository, tag)
    manifest.deletedAt = this.now
    manifest.tagsAreLeft ||= tags.length > 100
    repository.deletions.set(digest, this.now)
    endLease(repository.manifestLeases, digest, repository.links, repository.blobLeases)
    this.touch(repository, digest)
  }

  deleteBlob(repository: Repository, digest: Digest): void {
    repository.links.delete(digest)
    const live = new Set(repository.liveManifests.map(({ content }) => content.digest))
    endLease(repository.blobLeases, digest, live, repository.manifestLeases)
    const blob = this.blobs.get(digest)
    if (blob) blob.unlinkedAt = this.now
    this.touch(repository, digest)
  }

  deleteRepository(repository: Repository): void {
    this.repositories.delete(repository.name)
    repository.deletedAt = this.now
    this.deleted.push(repository)
  }

  restoreRepository(repository: Repository, name: string): void {
    const inItsPlace = this.repositories.get(name)
    if (inItsPlace) this.deleteRepository(inItsPlace)
    this.deleted.splice(this.deleted.indexOf(repository), 1)
    repository.deletedAt = undefined
    repository.name = name
    this.repositories.set(name, repository)
  }

  /** What a tag pointed to before its last change, or at a time. */
  formerTarget(repository: Repository, tag: string, time: number | undefined): FormerTarget {
    const changes = repository.tagHistory.get(tag) ?? []
    const change = time === undefined ? changes.at(-1) : changes.findLast(({ at }) => at <= time)
    const digest = time === undefined ? change?.from : change?.to
    // What was so at a time inside the undo window is known, however long ago it came to be so.
    const knownSince = time === undefined ? (change?.at ?? 0) : time
    const isForgettable = change !== undefined && change.at < this.forgottenBefore
    return { digest, isCertain: !isForgettable || this.isUndoable(knownSince) }
  }

  isUndoable(at: number): boolean {
    return at + this.settings.undoMs > this.now
  }

  /** A manifest is there again, with what it cannot be used without. */
  bringBack(repository: Repository, manifest: ManifestState): void {
    const { content } = manifest
    for (const digest of content.blobs) repository.links.add(digest)
    for (const digest of content.children) {
      const child = repository.manifests.get(digest)
      if (child === undefined) repository.links.add(digest)
      else if (child.deletedAt !== undefined) this.bringBack(repository, child)
    }
    if (manifest.deletedAt === undefined) return
    manifest.deletedAt = undefined
    this.touch(repository, content.digest)
  }

  /** Something has happened to a manifest. */
  touch(repository: Repository, digest: Digest): void {
    const manifest = repository.manifests.get(digest)
    if (manifest) manifest.isOrphanedAlone = false
  }

  notePull(name: string, digest: Digest): void {
    const key = `${name} ${digest}`
    const before = this.#pulls.get(key)
    if (before && this.now - before.at < minuteMs) return
    this.#pulls.set(key, { name, digest, at: this.now, isWritten: false })
  }

  /** Pulls are written down; of what has gone meanwhile they are lost. */
  writePulls(): void {
    for (const pull of this.#pulls.values()) {
      if (pull.isWritten) continue
      pull.isWritten = true
      const manifest = this.repositories.get(pull.name)?.findLive(pull.digest)
      if (manifest) manifest.pulledAt = pull.at
    }
  }

  /** Another process knows nothing of pulls but what is written. */
  forgetPulls(): void {
    this.#pulls.clear()
  }

  /** The tags of a repository that rules are about and none keeps. */
  tagsToRetire(repository: Repository): string[] {
    const { tags, tagMovedAt, manifests, name } = repository
    const rules = this.settings.retentionRulesOf(name)
    const movedAt = (tag: string) => tagMovedAt.get(tag) ?? 0
    const newestFirst = [...tags.keys()].sort(
      (one, other) => movedAt(other) - movedAt(one) || (one < other ? 1 : -1),
    )
    const isKept = (tag: string, rule: (typeof rules)[number]) => {
      const place = newestFirst.filter((other) => rule.selects(other)).indexOf(tag)
      const pulledAt = manifests.get(tags.get(tag) as Digest)?.pulledAt ?? 0
      const unusedMs = this.now - Math.max(movedAt(tag), pulledAt)
      return (
        place < rule.keepNewest ||
        this.now - movedAt(tag) < rule.keepYoungerThanMs ||
        unusedMs < rule.keepPulledWithinMs ||
        rule.keepsTag(tag)
      )
    }
    return newestFirst.filter((tag) => {
      const about = rules.filter((rule) => rule.selects(tag))
      return about.length > 0 && !about.some((rule) => isKept(tag, rule))
    })
  }

  tidyTags(): void {
    for (const { manifests } of this.allRepositories) {
      for (const manifest of manifests.values()) manifest.tagsAreLeft = false
    }
  }

  /** Promises something for `ms` at least. */
  #lease(leases: Map<Digest, Lease>, digest: Digest, ms: number): void {
    const { atLeast, atMost } = leases.get(digest) ?? { atLeast: 0, atMost: 0 }
    leases.set(digest, {
      atLeast: Math.max(atLeast, this.now + ms),
      atMost: Math.max(atMost, this.now + this.settings.leaseMs),
      isFulfilled: false,
    })
  }

  #record(repository: Repository, tag: string, change: TagChange): void {
    const changes = repository.tagHistory.get(tag)
    if (changes) changes.push(change)
    else repository.tagHistory.set(tag, [change])
    const released = change.from && repository.manifests.get(change.from)
    if (released) released.releasedAt = change.at
    for (const digest of [change.from, change.to]) if (digest) this.touch(repository, digest)
  }
}

export interface FormerTarget {
  readonly digest: Digest | undefined
  /** Its history may not have been forgotten. */
  readonly isCertain: boolean
}

/**
 * What was promised has been deleted. Bytes that are a blob and a manifest may have one lease for both:
 * then it goes on for the other.
 */
function endLease(
  leases: Map<Digest, Lease>,
  digest: Digest,
  others: ReadonlySet<Digest>,
  otherLeases: Map<Digest, Lease>,
): void {
  const lease = leases.get(digest)
  leases.delete(digest)
  if (lease === undefined || !others.has(digest)) return
  const other = otherLeases.get(digest) ?? { atLeast: 0, atMost: 0, isFulfilled: true }
  otherLeases.set(digest, {
    atLeast: other.atLeast,
    atMost: Math.max(lease.atMost, other.atMost),
    isFulfilled: lease.isFulfilled && other.isFulfilled,
  })
}

function fulfil(repository: Repository, digest: Digest): void {
  for (const leases of [repository.blobLeases, repository.manifestLeases]) {
    const lease = leases.get(digest)
    if (lease) leases.set(digest, { ...lease, isFulfilled: true })
  }
}
