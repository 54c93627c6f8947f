import type { Digest } from '../oci/digest.js'
import type { RepositoryName, Tag } from '../oci/reference.js'
import type { Page, PageRequest } from './pages.js'
import type { Removal } from './removals.js'

/** Tags of a repository: names that point to a manifest, and may move. */
export interface TagMetadata {
  /** @throws {@link RegistryError} `NAME_UNKNOWN` */
  listTags(repository: RepositoryName, page: PageRequest): Promise<Page<string>>

  /**
   * Removes a tag and nothing else.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `MANIFEST_UNKNOWN`; `DENIED` when
   *   {@link TagRemoval.tagRules} keep it; `CONFLICT` when it is not as {@link TagRemoval.seen} any more
   */
  deleteTag(removal: TagRemoval): Promise<void>
}

/**
 * Which tags of one repository may not change, as patterns. A rule that no longer holds is not asked
 * for: nothing of it is kept with the tags.
 */
export interface TagRules {
  /** Stay where they point to when they are there, and are not deleted. */
  readonly immutable: readonly string[]
  /** Are not deleted. */
  readonly protected: readonly string[]
}

export interface TagRemoval extends Removal {
  readonly tag: Tag
  readonly tagRules: TagRules
  /** What somebody has seen of it, on whose word it goes. */
  readonly seen?: SeenTag
}

export interface SeenTag {
  readonly digest: Digest
  readonly movedAt: number
  /** When its manifest had been asked for last; absent when never. */
  readonly pulledAt?: number
}
