import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'
import type { Page, PageRequest } from './pages.js'

/** What somebody may do with a repository: `create` new tags, `overwrite` those that are there. */
export const ACTIONS = ['pull', 'create', 'overwrite', 'delete', 'admin'] as const

export type Action = (typeof ACTIONS)[number]

export type Visibility = 'private' | 'public'

export type AccountKind = 'user' | 'robot'

/**
 * Accounts, what lets them in, and what they may do. Each method is one unit of work, durable, as those
 * of `MetadataStore`; only `touchTokens` is not.
 *
 * Unless it says otherwise a method throws {@link RegistryError} `ACCOUNT_UNKNOWN`, `GROUP_UNKNOWN` for a
 * name that nothing has.
 */
export interface Accounts {
  /**
   * Grows with everything that may change what somebody may do, but for the visibility of repositories.
   */
  getAccessVersion(): Promise<number>

  /** By its name. */
  findAccount(name: string): Promise<Account | undefined>

  /** As people look at it. */
  findAccountRecord(name: string): Promise<AccountRecord | undefined>

  /** By its id, which no other account will ever have. */
  findAccountById(id: number): Promise<Account | undefined>

  /** Whether there is any user at all. */
  hasUsers(): Promise<boolean>

  /** Whether some admin has a password, or a personal token that makes an admin of who shows it, at this time. */
  canAdminLogIn(at: number): Promise<boolean>

  /**
   * The password of some user, always the same one for the same name while the users are the same;
   * undefined when none has one. Checking it in place of that of a user who is not there takes as long.
   */
  findDecoyHash(name: string): Promise<string | undefined>

  /** By name. */
  listAccounts(query: AccountsQuery): Promise<Page<AccountRecord>>

  /** @throws {@link RegistryError} `CONFLICT` when the name is taken */
  addAccount(account: NewAccount): Promise<void>

  /**
   * Adds users with their passwords, or none of them.
   *
   * @throws {@link RegistryError} `CONFLICT` with the names that are taken; some of them when they are many
   */
  importUsers(users: readonly ImportedUser[], change: Change): Promise<void>

  /** Changes what is given. A new password or a lock ends what was let in before: refresh tokens, and bearer tokens. */
  changeAccount(change: AccountChange): Promise<void>

  /**
   * With its tokens, grants and memberships; namespaces it owns have no owner then.
   *
   * @param kind - what it must be, if that matters
   */
  deleteAccount(name: string, kind?: AccountKind): Promise<void>

  /** @throws {@link RegistryError} `CONFLICT` when the name is taken */
  addGroup(name: string, change: Change): Promise<void>

  /** With its grants and memberships; namespaces it owns have no owner then. */
  deleteGroup(name: string): Promise<void>

  /** By name. */
  listGroups(page: PageRequest): Promise<Page<GroupRecord>>

  /** The names of its members. */
  listMembers(group: string, page: PageRequest): Promise<Page<string>>

  /** @returns false when it was one already */
  addMember(group: string, account: string): Promise<boolean>

  /** @returns false when it was none */
  removeMember(group: string, account: string): Promise<boolean>

  /**
   * Adds a token. Forgets refresh tokens that have expired, and personal ones that have for three months;
   * of refresh tokens an account keeps the last hundred.
   */
  addToken(token: NewToken): Promise<void>

  /** The token of which this is the hash, with its account; also when either is over. */
  findToken(secretHash: string): Promise<StoredToken | undefined>

  /** By its id. */
  findTokenById(id: string): Promise<StoredToken | undefined>

  /** Those of one kind, of an account or of all, by id. */
  listTokens(query: TokensQuery): Promise<Page<TokenRecord>>

  /** @returns false when there is none */
  revokeToken(id: string): Promise<boolean>

  /** Remembers when tokens were last used. Not durable. */
  touchTokens(uses: readonly TokenUse[]): Promise<void>

  /** Gives a subject exactly these actions on a pattern. */
  putGrant(grant: NewGrant): Promise<Grant>

  findGrant(id: number): Promise<Grant | undefined>

  /** @returns false when there is none */
  removeGrant(id: number): Promise<boolean>

  /** By id. */
  listGrants(query: GrantsQuery): Promise<Page<Grant>>

  /**
   * Everything that gives an account rights: its own grants, those of its groups, those of everybody,
   * and the namespaces that it or its groups own. Without an id, what anybody has who is not signed in.
   */
  listRightsOf(accountId: number | undefined): Promise<HeldRight[]>

  /** Makes the namespace, or changes it. */
  putNamespace(namespace: NewNamespace): Promise<void>

  /** @returns false when there is none */
  removeNamespace(name: string): Promise<boolean>

  findNamespace(name: string): Promise<Namespace | undefined>

  /** By name. */
  listNamespaces(page: PageRequest): Promise<Page<Namespace>>

  /** Undefined when there is no such repository. */
  findVisibility(repository: RepositoryName): Promise<Visibility | undefined>

  /** @throws {@link RegistryError} `NAME_UNKNOWN` */
  setVisibility(repository: RepositoryName, visibility: Visibility): Promise<void>

  /** Repositories that have a blob and are not deleted; in no order that means anything, but always the same. */
  listBlobHolders(digest: Digest, page: PageRequest): Promise<Page<RepositoryName>>

  /**
   * Of a pattern: up to `limit` repositories of the catalog that it has. Reads no more than a few thousand
   * names: also with none found there may be more.
   */
  listMatching(pattern: string, limit: number): Promise<Page<RepositoryName>>

  /** The one that signs, and those whose signatures are still believed. */
  listSigningKeys(at: number): Promise<SigningKey[]>

  /**
   * From now on this one signs; those before it are believed until `othersUntil`, or forgotten at once. Those that
   * were over at `forgottenUntil` are forgotten in any case.
   */
  addSigningKey(key: NewSigningKey): Promise<void>
}

/** Who changes something, and when. */
export interface Change {
  readonly identity: string
  readonly at: number
}

export interface Account {
  readonly id: number
  readonly kind: AccountKind
  readonly name: string
  readonly passwordHash?: string
  readonly isAdmin: boolean
  readonly isDisabled: boolean
  readonly epoch: number
}

export interface AccountRecord {
  readonly name: string
  readonly kind: AccountKind
  readonly isAdmin: boolean
  readonly hasPassword: boolean
  readonly disabledAt?: number
  readonly createdAt: number
  readonly createdBy: string
  readonly groups: readonly string[]
}

export interface AccountsQuery extends PageRequest {
  readonly kind?: AccountKind
}

export interface NewAccount extends Change {
  readonly kind: AccountKind
  readonly name: string
  readonly passwordHash?: string
  readonly isAdmin: boolean
}

export interface ImportedUser {
  readonly name: string
  readonly passwordHash: string
}

export interface AccountChange {
  readonly name: string
  /** What it must be, if that matters. */
  readonly kind?: AccountKind
  readonly passwordHash?: string
  readonly isAdmin?: boolean
  readonly isDisabled?: boolean
  readonly at: number
}

export interface GroupRecord {
  readonly name: string
  readonly memberCount: number
  readonly createdAt: number
  readonly createdBy: string
}

/** A part of its account's rights that a token has. */
export interface TokenScope {
  readonly pattern: string
  readonly actions: readonly Action[]
}

export type TokenKind = 'personal' | 'refresh'

export interface NewToken extends Change {
  readonly id: string
  readonly account: string
  /** Of the account when somebody has shown that they are it; of what has changed since it is refused. */
  readonly epoch?: number
  readonly kind: TokenKind
  /** SHA-256, as hexadecimal digits. */
  readonly secretHash: string
  readonly description: string
  /** All rights of the account when absent. */
  readonly scope?: readonly TokenScope[]
  readonly expiresAt?: number
}

export interface TokenRecord {
  readonly id: string
  readonly account: string
  readonly kind: TokenKind
  readonly description: string
  readonly scope?: readonly TokenScope[]
  readonly createdAt: number
  readonly createdBy: string
  readonly expiresAt?: number
  readonly lastUsedAt?: number
}

export interface StoredToken extends Omit<TokenRecord, 'account'> {
  readonly account: Account
}

export interface TokensQuery extends PageRequest {
  readonly account?: string
  readonly kind: TokenKind
}

export interface TokenUse {
  readonly id: string
  readonly at: number
  /** What its use has made of its end. */
  readonly expiresAt?: number
}

/** Whom a grant is for. Whoever names a robot as a user, or a user as a robot, is told `ACCOUNT_UNKNOWN`. */
export type GrantSubject =
  | { readonly kind: AccountKind | 'group'; readonly name: string }
  | { readonly kind: 'signed-in' | 'anonymous' }

/** Whose a namespace is. */
export interface NamespaceOwner {
  readonly kind: 'user' | 'group'
  readonly name: string
}

export interface NewGrant extends Change {
  readonly subject: GrantSubject
  readonly pattern: string
  readonly actions: readonly Action[]
}

export interface Grant {
  readonly id: number
  readonly subject: GrantSubject
  readonly pattern: string
  readonly actions: readonly Action[]
  readonly createdAt: number
  readonly createdBy: string
}

export interface GrantsQuery {
  readonly subject?: GrantSubject
  /** Only those with a larger id. */
  readonly after?: number
  readonly limit: number
}

/** Something that gives rights: a grant, or a namespace that is owned. */
export type HeldRight =
  | {
      readonly kind: 'grant'
      readonly id: number
      readonly subject: GrantSubject
      readonly pattern: string
      readonly actions: readonly Action[]
    }
  | { readonly kind: 'namespace'; readonly name: string; readonly owner: NamespaceOwner }

export interface NewNamespace extends Change {
  readonly name: string
  readonly owner?: NamespaceOwner
  readonly defaultVisibility: Visibility
}

export interface Namespace {
  readonly name: string
  readonly owner?: NamespaceOwner
  readonly defaultVisibility: Visibility
  readonly createdAt: number
  readonly createdBy: string
}

export interface SigningKey {
  readonly id: string
  /** A private key as JSON (JWK, RFC 7517). */
  readonly privateKey: string
  readonly createdAt: number
  /** Until when what it has signed is believed; absent for the one that signs. */
  readonly validUntil?: number
}

export interface NewSigningKey {
  readonly id: string
  readonly privateKey: string
  readonly at: number
  readonly othersUntil?: number
  readonly forgottenUntil: number
}
