import { RegistryError } from '../errors.js'
import type { MetadataStore, RestoredTag, TagRules } from '../metadata/metadata-store.js'
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

const pageSize = 250

/** What a restore has done. */
export interface Restored {
  /** Tags that point elsewhere than before, or are there again; the first hundred. */
  readonly tags: readonly string[]
  readonly tagCount: number
}

const shownMax = 100

/** Why a tag stays as it is while others are brought back. */
const LEFT_ALONE: ReadonlySet<string> = new Set(['MANIFEST_UNKNOWN', 'DENIED'])

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
   * Brings back a manifest that was deleted by its digest, and the tags that went with it and have not
   * come back since.
   *
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
    while (after !== undefined) {
      const wanted = { ...change, digest, deletedAt, after, limit: restoreBatch }
      const { tags, next } = await this.#metadata.restoreTagsOf(wanted)
      for (const tag of tags) tally.add(tag)
      after = next
    }
    return tally
  }

  /**
   * Points every tag that has changed since a time to what it pointed to then. Tags that were not
   * there then stay as they are.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  async restoreTags(
    repository: RepositoryName,
    time: number,
    identity: string,
    signal: AbortSignal,
  ): Promise<Restored> {
    await this.#manifests.untag(signal)
    const tally = new Tally()
    for await (const tag of this.#changedSince(repository, time)) {
      const restored = await this.#restoreIfThere(repository, tag, identity, time)
      if (restored) tally.add(tag)
    }
    return tally
  }

  /** Each tag once for each of its changes, the latest first. */
  async *#changedSince(repository: RepositoryName, time: number): AsyncGenerator<Tag> {
    let before: number | undefined
    for (;;) {
      const page = await this.#metadata.listHistory({
        repository,
        limit: pageSize,
        ...(before !== undefined && { before }),
      })
      for (const { tag, at } of page.entries) {
        if (at <= time) return
        if (tag !== undefined) yield tag as Tag
      }
      before = page.entries.at(-1)?.id
      if (!page.hasMore || before === undefined) return
    }
  }

  async #restoreIfThere(
    repository: RepositoryName,
    tag: Tag,
    identity: string,
    time: number,
  ): Promise<boolean> {
    try {
      return (await this.restoreTag(repository, tag, identity, time)).changed
    } catch (error) {
      if (error instanceof RegistryError && LEFT_ALONE.has(error.code)) return false
      throw error
    }
  }

  #change(repository: RepositoryName, identity: string) {
    const at = this.#options.now()
    return { repository, identity, at, reviewAt: at + this.#options.undoMs }
  }
}

class Tally implements Restored {
  readonly tags: string[] = []
  tagCount = 0

  add(tag: string): void {
    this.tagCount++
    if (this.tags.length < shownMax) this.tags.push(tag)
  }
}
