import type { FastifyBaseLogger } from 'fastify'
import { RegistryError, type ErrorCode } from '../errors.js'
import type { StoredManifest } from '../metadata/manifests.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { SeenTag, TagRules } from '../metadata/tags.js'
import { algorithmOf, digestOf, requireSameDigest, type Digest } from '../oci/digest.js'
import { parseManifest, type Manifest, type ManifestReference } from '../oci/manifest.js'
import type { Reference, RepositoryName, Tag } from '../oci/reference.js'
import type { DiskFloor } from './disk-floor.js'
import type { Leases } from './leases.js'
import type { Pulls } from './pulls.js'
import type { Quotas } from './quotas.js'

export interface ManifestsOptions {
  readonly now: () => number
  readonly floor: DiskFloor
  /** How long what a delete or an overwrite frees is kept. */
  readonly undoMs: number
  /**
   * Which children an index needs to have here before it is stored: all, those for one of
   * {@link indexPlatforms}, or none.
   */
  readonly indexChildren: 'required' | 'listed' | 'none'
  /** `os/architecture`, as `linux/amd64`. */
  readonly indexPlatforms: readonly string[]
  /** Is told of each manifest that somebody gets. */
  readonly pulls: Pulls
  /** Which tags of a repository may not change. */
  readonly tagRulesOf: (repository: RepositoryName) => TagRules
}

export interface PushedManifest {
  readonly bytes: Buffer
  readonly contentType: string | undefined
  /** More tags for a manifest that is pushed by its digest. */
  readonly tags: readonly Tag[]
  readonly identity: string
  /** Whether that one may move tags that are there. */
  readonly mayOverwrite: boolean
}

/** What a delete has taken, and how long it can be brought back. */
export interface Deletion {
  /** The first hundred by name. */
  readonly tags: readonly string[]
  readonly hasMoreTags: boolean
  readonly restorableUntil: number
}

/** How many tags of deleted manifests one transaction removes: a millisecond or two. */
const untagBatch = 250

/** What a tag may answer that somebody else has moved, deleted or protected meanwhile. */
const STAYS: ReadonlySet<ErrorCode> = new Set([
  'CONFLICT',
  'DENIED',
  'MANIFEST_UNKNOWN',
  'NAME_UNKNOWN',
])

/** Manifests and the tags that point to them: put, resolve, delete. */
export class Manifests {
  readonly #metadata: MetadataStore
  readonly #leases: Leases
  readonly #quotas: Quotas
  readonly #log: FastifyBaseLogger
  readonly #options: ManifestsOptions
  #announceTagsLeft: () => void = () => undefined

  constructor(
    metadata: MetadataStore,
    leases: Leases,
    quotas: Quotas,
    log: FastifyBaseLogger,
    options: ManifestsOptions,
  ) {
    this.#metadata = metadata
    this.#leases = leases
    this.#quotas = quotas
    this.#log = log
    this.#options = options
  }

  /**
   * Stores a manifest exactly as pushed, and points the tags to it, or does neither.
   *
   * @returns its digest, in the algorithm of the reference, else sha256; and what it says
   * @throws {@link RegistryError} `MANIFEST_INVALID`, `MANIFEST_BLOB_UNKNOWN`; `DIGEST_INVALID`
   *   when the bytes do not have the digest they are pushed to; `STORAGE_FULL`; `DENIED` when a tag
   *   may not move, or a quota has no room for what it adds
   * @see distribution-spec, "Pushing Manifests"
   */
  async put(
    repository: RepositoryName,
    reference: Reference,
    { bytes, contentType, tags, identity, mayOverwrite }: PushedManifest,
  ): Promise<{ digest: Digest; manifest: Manifest }> {
    const digest = digestFor(reference, bytes)
    const manifest = parseManifest(bytes, contentType)
    await this.#options.floor.requireRoomForManifest(bytes.byteLength)
    const at = this.#options.now()
    await this.#metadata.putManifest({
      repository,
      digest,
      manifest,
      bytes,
      tags: reference.tag === undefined ? tags : [reference.tag],
      requiredBlobs: digestsOf(manifest, ({ kind, external }) => kind !== 'child' && !external),
      requiredChildren: digestsOf(
        manifest,
        (child) => child.kind === 'child' && this.isRequired(child),
      ),
      identity,
      at,
      leaseUntil: this.#leases.end,
      reviewAt: at + this.#options.undoMs,
      tagRules: this.#options.tagRulesOf(repository),
      mayOverwrite,
      quotas: this.#quotas.of(repository),
    })
    return { digest, manifest }
  }

  /**
   * What a tag points to, or the manifest of a digest; its bytes are checked against its digest. For
   * somebody who pulls it, which is noted.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`
   */
  async get(repository: RepositoryName, reference: Reference): Promise<StoredManifest> {
    const stored = await this.#metadata.getManifest(repository, reference)
    const { digest, bytes } = stored
    if (digestOf(bytes, algorithmOf(digest)) === digest) {
      this.#options.pulls.note(repository, digest)
      return stored
    }
    this.#log.error({ repository, digest }, 'a stored manifest is damaged')
    throw new RegistryError(
      'MANIFEST_UNKNOWN',
      'the stored bytes of this manifest are damaged; pushing it again heals it',
      { details: [{ digest }] },
    )
  }

  /** As `get`, for a client that may skip a push on our word: what it is told stays. */
  async confirm(repository: RepositoryName, reference: Reference): Promise<StoredManifest> {
    const manifest = await this.get(repository, reference)
    // What a tag points to stays for longer than a lease, whatever becomes of the tag.
    const isKept = reference.tag !== undefined && this.#options.undoMs >= this.#leases.lengthMs
    if (!isKept) await this.#leases.extend(repository, manifest)
    return manifest
  }

  /**
   * Removes a tag alone, or a manifest with every tag that points to it.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`; `DENIED` when a tag may not go
   * @see distribution-spec, "Content Management"
   */
  async delete(
    repository: RepositoryName,
    reference: Reference,
    identity: string,
  ): Promise<Deletion> {
    const removal = this.#removal(repository, identity)
    const restorableUntil = removal.reviewAt
    if (reference.tag !== undefined) {
      const { tag } = reference
      await this.#metadata.deleteTag({ ...removal, tag })
      return { tags: [tag], hasMoreTags: false, restorableUntil }
    }
    const { digest } = reference
    const deleted = await this.#metadata.deleteManifest({ ...removal, digest })
    if (deleted.tagsAreLeft) this.#announceTagsLeft()
    return { tags: deleted.tags, hasMoreTags: deleted.hasMoreTags, restorableUntil }
  }

  /**
   * Removes a tag on the word of somebody who has looked at it before, when it still is as it was then
   * and may go.
   *
   * @returns whether it went
   */
  async deleteSeen(
    repository: RepositoryName,
    tag: Tag,
    seen: SeenTag,
    identity: string,
  ): Promise<boolean> {
    try {
      await this.#metadata.deleteTag({ ...this.#removal(repository, identity), tag, seen })
      return true
    } catch (error) {
      if (error instanceof RegistryError && STAYS.has(error.code)) return false
      throw error
    }
  }

  /** Has `listener` called after each delete that leaves something for {@link untag}. */
  onTagsLeft(listener: () => void): void {
    this.#announceTagsLeft = listener
  }

  /**
   * Tidies up the tags of deleted manifests, in small steps: other writes come in between.
   *
   * @param signal - ends it early; the next call goes on
   */
  async untag(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await this.#metadata.removeDeletedTags(untagBatch)));
  }

  /** Whether an index is stored only when this child is here. */
  isRequired({ platform }: Pick<ManifestReference, 'platform'>): boolean {
    switch (this.#options.indexChildren) {
      case 'required':
        return true
      case 'listed':
        return platform !== undefined && this.#options.indexPlatforms.includes(platform)
      case 'none':
        return false
    }
  }

  #removal(repository: RepositoryName, identity: string) {
    const { now, undoMs, tagRulesOf } = this.#options
    const at = now()
    return { repository, identity, at, reviewAt: at + undoMs, tagRules: tagRulesOf(repository) }
  }
}

function digestFor(reference: Reference, bytes: Buffer): Digest {
  if (reference.digest === undefined) return digestOf(bytes)
  const actual = digestOf(bytes, algorithmOf(reference.digest))
  requireSameDigest(actual, reference.digest)
  return actual
}

function digestsOf(
  manifest: Manifest,
  isWanted: (reference: ManifestReference) => boolean,
): Digest[] {
  return [...new Set(manifest.references.filter(isWanted).map(({ digest }) => digest))]
}
