import type { MetadataStore } from '../metadata/metadata-store.js'
import type { TagRules } from '../metadata/tags.js'
import type { RestoredTag } from '../metadata/undo.js'
import type { Digest } from '../oci/digest.js'
import type { RepositoryName, Tag } from '../oci/reference.js'
import type { Leases } from './leases.js'
import type { Manifests } from './manifests.js'

export interface UndoOptions {
  readonly now: () => number
  /** For how long what was deleted or overwritten can be brought back. */
  readonly undoMs: number
  readonly tagRulesOf: (repository: RepositoryName) => TagRules
}

/** How many tags one transaction brings back: a few milliseconds. */
const restoreBatch = 100

/** What a restore has done. */
export interface Restored {
  /** Tags that point elsewhere than before, or are there again; the first hundred. */
  readonly tags: readonly string[]
  readonly tagCount: number
}

/** What a restore of all tags to a time has done. */
export interface RestoredToTime extends Restored {
  /** Tags that stay as they are because what they pointed to is gone for good. */
  readonly lostCount: number
  /** Tags that stay as they are because they are immutable. */
  readonly keptCount: number
}

const shownMax = 100

/** Brings back what was deleted or overwritten, and deletes repositories such that they can be. */
export class Undo {
  readonly #metadata: MetadataStore
  readonly #manifests: Manifests
  readonly #leases: Leases
  readonly #options: UndoOptions

  constructor(metadata: MetadataStore, manifests: Manifests, leases: Leases, options: UndoOptions) {
    this.#metadata = metadata
    this.#manifests = manifests
    this.#leases = leases
    this.#options = options
  }

  /**
   * Deletes a repository whole, however large it is, at once.
   *
   * @returns until when it can be restored
   * @throws {@link RegistryError} `NAME_UNKNOWN`; `DENIED` when it has a tag that may not be deleted
   */
  async deleteRepository(
    repository: RepositoryName,
    identity: string,
  ): Promise<{ readonly restorableUntil: number }> {
    const { now, undoMs, tagRulesOf } = this.#options
    const at = now()
    const tagRules = tagRulesOf(repository)
    await this.#metadata.deleteRepository({ repository, identity, at, tagRules })
    return { restorableUntil: at + undoMs }
  }

  /**
   * Brings a deleted repository back as it was, at once.
   *
   * @param as - the name it shall have, where its own was taken meanwhile
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `CONFLICT`
   */
  async restoreRepository(
    repository: RepositoryName,
    identity: string,
    as?: RepositoryName,
  ): Promise<void> {
    const { now, undoMs } = this.#options
    const at = now()
    const deletedSince = at - undoMs
    await this.#metadata.restoreRepository({
      ...{ repository, identity, at, deletedSince },
      ...(as !== undefined && { as }),
    })
  }

  /**
   * Points a tag to what it pointed to before its last change, or at a time.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`, `DENIED`
   */
  restoreTag(
    repository: RepositoryName,
    tag: Tag,
    identity: string,
    time?: number,
  ): Promise<RestoredTag> {
    return this.#metadata.restoreTag({
      ...this.#change(repository, identity),
      tag,
      tagRules: this.#options.tagRulesOf(repository),
      ...(time !== undefined && { time }),
    })
  }

  /**
   * Brings back a manifest that was deleted by its digest, and the tags that went with it and to which
   * nothing has happened since.
   *
   * @param signal - ends it early; the next call goes on
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`
   */
  async restoreManifest(
    repository: RepositoryName,
    digest: Digest,
    identity: string,
    signal: AbortSignal,
  ): Promise<Restored> {
    // Tags that are still being removed have no history to be brought back by.
    await this.#manifests.untag(signal)
    const change = this.#change(repository, identity)
    const leaseUntil = this.#leases.end
    const { deletedAt } = await this.#metadata.restoreManifest({ ...change, digest, leaseUntil })
    const tally = new Tally()
    let after: string | undefined = ''
    while (after !== undefined && !signal.aborted) {
      const wanted = { ...change, digest, deletedAt, after, limit: restoreBatch }
      const { tags, next } = await this.#metadata.restoreTagsOf(wanted)
      tally.add(tags)
      after = next
    }
    return tally
  }

  /**
   * Points every tag that has changed since a time to what it pointed to then. Tags that were not
   * there then stay as they are.
   *
   * @param signal - ends it early; the next call goes on
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  async restoreTags(
    repository: RepositoryName,
    time: number,
    identity: string,
    signal: AbortSignal,
  ): Promise<RestoredToTime> {
    await this.#manifests.untag(signal)
    const change = {
      ...this.#change(repository, identity),
      ...{ time, tagRules: this.#options.tagRulesOf(repository) },
    }
    const tally = new Tally()
    let [lostCount, keptCount] = [0, 0]
    let after: string | undefined = ''
    while (after !== undefined && !signal.aborted) {
      const query = { repository, since: time, after, limit: restoreBatch }
      const { tags, next } = await this.#metadata.listChangedTags(query)
      after = next
      if (tags.length === 0) continue
      const restored = await this.#metadata.restoreTagsAt({ ...change, tags })
      tally.add(restored.tags)
      lostCount += restored.lostCount
      keptCount += restored.keptCount
    }
    return { ...tally, lostCount, keptCount }
  }

  #change(repository: RepositoryName, identity: string) {
    const at = this.#options.now()
    return { repository, identity, at, reviewAt: at + this.#options.undoMs }
  }
}

class Tally implements Restored {
  readonly tags: string[] = []
  tagCount = 0

  add(tags: readonly string[]): void {
    this.tagCount += tags.length
    this.tags.push(...tags.slice(0, shownMax - this.tags.length))
  }
}
