import type { Digest } from '../oci/digest.js'
import type { RepositoryName, Tag } from '../oci/reference.js'
import type { Removal } from './removals.js'
import type { RepositoryRemoval } from './repositories.js'
import type { TagRules } from './tags.js'

/** What was deleted or overwritten, brought back. */
export interface UndoMetadata {
  /**
   * Brings back the repository of this name that was deleted last, as it was.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN` when none can be brought back, `CONFLICT` when there
   *   is one that the catalog shows under the name it shall have
   */
  restoreRepository(restore: RestoreRepository): Promise<void>

  /**
   * Points a tag to what it pointed to before its last change, or at a time, and brings that back if
   * it was deleted.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`; `MANIFEST_UNKNOWN` with the reason when there is
   *   nothing to go back to; `DENIED` when the tag may not move
   */
  restoreTag(restore: RestoreTag): Promise<RestoredTag>

  /**
   * Tags that have changed after a time, by name: those that may have pointed elsewhere then. Up to `limit`
   * of them, and fewer where many others lie between. Tags that go along with a manifest are among them
   * once {@link ManifestMetadata.removeDeletedTags} has been there.
   *
   * @returns after which tag to go on; without that there are no more
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  listChangedTags(query: ChangedTagsQuery): Promise<ChangedTags>

  /**
   * Points tags to what they pointed to at a time, as {@link restoreTag} does with one. Those that were not
   * there then stay as they are, and so do those that cannot be brought back, which are counted.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`
   */
  restoreTagsAt(restore: RestoreTagsAt): Promise<RestoredTagsAt>

  /**
   * Brings back a manifest that was deleted by its digest, with the children that were, too; and gives
   * it a lease, as the tags that it had are not there yet.
   *
   * @returns when it was deleted, for {@link restoreTagsOf}
   * @throws {@link RegistryError} `NAME_UNKNOWN`; `MANIFEST_UNKNOWN` when it was not deleted, or is
   *   gone for good
   */
  restoreManifest(restore: RestoreManifest): Promise<{ readonly deletedAt: number }>

  /**
   * Brings back up to `limit` tags that the delete of a manifest took along, after one of them;
   * those to which anything has happened since stay as they are.
   *
   * @returns those that came back, and after which to go on; without that there are no more
   */
  restoreTagsOf(restore: RestoreTagsOf): Promise<RestoredTags>
}

export interface RestoreRepository extends Omit<RepositoryRemoval, 'tagRules'> {
  /** What was deleted before this can not be brought back any more. */
  readonly deletedSince: number
  /** The name it shall have; its own when absent. */
  readonly as?: RepositoryName
}

export interface RestoreTag extends Removal {
  readonly tag: Tag
  readonly tagRules: TagRules
  /** What it pointed to then; before its last change when absent. */
  readonly time?: number
}

export interface RestoredTag {
  readonly digest: Digest
  /** Whether it pointed elsewhere until now. */
  readonly changed: boolean
}

export interface ChangedTagsQuery {
  readonly repository: RepositoryName
  /** Only tags that have changed after this. */
  readonly since: number
  /** Only tags that come behind this one. */
  readonly after: string
  readonly limit: number
}

export interface ChangedTags {
  readonly tags: readonly Tag[]
  readonly next?: string
}

export interface RestoreTagsAt extends Removal {
  readonly tags: readonly Tag[]
  readonly tagRules: TagRules
  /** What they pointed to then. */
  readonly time: number
}

export interface RestoredTagsAt {
  /** Those that point elsewhere than before, or are there again. */
  readonly tags: readonly Tag[]
  /** How many stay as they are because what they pointed to is gone for good. */
  readonly lostCount: number
  /** How many stay as they are because they are immutable. */
  readonly keptCount: number
}

export interface RestoreManifest {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly identity: string
  readonly at: number
  readonly leaseUntil: number
}

export interface RestoreTagsOf extends Removal {
  readonly digest: Digest
  readonly deletedAt: number
  readonly after: string
  readonly limit: number
}

export interface RestoredTags {
  readonly tags: readonly string[]
  readonly next?: string
}
