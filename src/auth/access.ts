import type { Action } from '../metadata/accounts.js'
import type { Viewer } from '../metadata/viewers.js'
import type { RepositoryName } from '../oci/reference.js'
import type { Identity } from './identity.js'

/**
 * What a route needs. `pull`, `push`, `overwrite`, `delete` and `admin` are about the repository in its path,
 * or about the whole registry where there is none.
 */
export type Need =
  | 'pull'
  | 'push'
  | 'overwrite'
  | 'delete'
  | 'admin'
  /** Whoever has shown who they are, or that they are nobody. */
  | 'ping'
  /** A list of repositories, of which everybody gets what they may see. */
  | 'catalog'
  /** As `catalog`, for clients that show nothing of themselves where something is public. */
  | 'search'
  /** As `catalog`, for whoever asks. */
  | 'list'
  /** An account. */
  | 'signedIn'
  /** Nothing: the answer is the same for all. */
  | 'nothing'

/** How a request that may not be answered is refused. */
export type Refusal =
  /** Who they are has to be shown, or shown again with a wider token. */
  | {
      readonly kind: 'challenge'
      readonly scope?: string
      readonly error?: 'invalid_token' | 'insufficient_scope'
    }
  /** As if the repository did not exist. */
  | { readonly kind: 'hidden'; readonly repository: RepositoryName }
  | { readonly kind: 'denied'; readonly message: string }
  /** Nobody may. */
  | { readonly kind: 'off'; readonly message: string }

/** Every decision whether somebody may do something. */
export interface Access {
  /** @returns why not; undefined when they may */
  refusalOf(
    identity: Identity,
    need: Need,
    repository: RepositoryName | undefined,
  ): Promise<Refusal | undefined>

  /** Whether they may do this to the repository, be it there or not, with what they have shown. */
  may(identity: Identity, action: Action, repository: RepositoryName): Promise<boolean>

  /** Whose eyes a list is for; undefined when they may see everything. */
  viewerOf(identity: Identity): Promise<Viewer | undefined>

  /** Whether they may say who may do what in all repositories that a pattern can have. */
  mayGrant(identity: Identity, pattern: string): Promise<boolean>

  /**
   * The patterns of which they may say so; those that these cover are theirs too. `**` alone for all, empty for
   * none.
   */
  managedPatterns(identity: Identity): Promise<readonly string[]>

  /** Whether they may be told what others are called. */
  mayKnowNames(identity: Identity): boolean

  /** Whether they may do what concerns the whole registry. */
  isAdmin(identity: Identity): boolean
}

/** What an action on a repository is called where a route needs it. */
export const ACTION_OF: Readonly<Partial<Record<Need, Action>>> = {
  pull: 'pull',
  push: 'create',
  overwrite: 'overwrite',
  delete: 'delete',
  admin: 'admin',
}

export const DELETES_OFF = {
  kind: 'off',
  message: 'deleting is switched off on this registry',
} as const satisfies Refusal
