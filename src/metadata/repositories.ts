import type { RepositoryName } from '../oci/reference.js'
import type { Page, PageRequest } from './pages.js'
import type { TagRules } from './tags.js'
import type { Viewer } from './viewers.js'

/** Repositories: which there are, what they are for, and their end. */
export interface RepositoryMetadata {
  /** Those that the catalog shows, or as many of them as somebody may see. */
  listRepositories(page: PageRequest, viewer?: Viewer): Promise<Page<string>>

  /**
   * Repositories whose name has `term` in it: first the one that is called so, then those that
   * begin with it, then others.
   */
  searchRepositories(term: string, limit: number, viewer?: Viewer): Promise<RepositoryName[]>

  /**
   * Says what a repository is for, and makes it when it is not there. With a description the catalog
   * shows it, whatever it has; without, as long as it has a manifest.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN` when it is not there and the description is empty; `DENIED`
   *   when another description would go without {@link DescribeRepository.mayOverwrite}
   */
  describeRepository(description: DescribeRepository): Promise<Described>

  /**
   * Deletes a repository whole: its name is free at once, and all it had is kept for a restore.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`; `DENIED` when {@link RepositoryRemoval.tagRules} keep
   *   one of its tags, naming it
   */
  deleteRepository(removal: RepositoryRemoval): Promise<void>
}

export interface DescribeRepository {
  readonly repository: RepositoryName
  readonly description: string
  readonly at: number
  readonly identity: string
  /** Whether one that is there may be replaced, or taken away. */
  readonly mayOverwrite: boolean
}

export interface Described {
  readonly created: boolean
  /** What stood there before; empty for nothing. */
  readonly before: string
}

export interface RepositoryRemoval {
  readonly repository: RepositoryName
  readonly identity: string
  readonly at: number
  readonly tagRules: TagRules
}
