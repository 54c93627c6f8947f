import type { Digest } from '../../oci/digest.js'
import type { RepositoryName } from '../../oci/reference.js'
import type {
  Account,
  AccountChange,
  AccountKind,
  AccountRecord,
  Accounts,
  AccountsQuery,
  Change,
  Grant,
  GrantsQuery,
  GroupRecord,
  HeldRight,
  ImportedUser,
  Namespace,
  NewAccount,
  NewGrant,
  NewNamespace,
  NewSigningKey,
  NewToken,
  SigningKey,
  StoredToken,
  TokenRecord,
  TokenUse,
  TokensQuery,
  Visibility,
} from '../accounts.js'
import type { Page, PageRequest } from '../pages.js'
import { AccountReads } from './account-reads.js'
import { reading, type Connection } from './connection.js'
import { GrantReads } from './grant-reads.js'
import { TokenReads } from './token-reads.js'
import type { Writer } from './writer.js'

/** Accounts in the database of the registry. */
export class SqliteAccounts implements Accounts {
  readonly #accounts: AccountReads
  readonly #tokens: TokenReads
  readonly #grants: GrantReads
  readonly #writer: Writer
  /**
   * Only this process writes to the database, and all that changes the version goes through here: between two
   * changes nobody need look.
   */
  #version: number | undefined

  constructor(connection: Connection, writer: Writer) {
    this.#accounts = new AccountReads(connection)
    this.#tokens = new TokenReads(connection)
    this.#grants = new GrantReads(connection)
    this.#writer = writer
  }

  async getAccessVersion(): Promise<number> {
    this.#version ??= await reading(() => this.#grants.getVersion())
    return this.#version
  }

  findAccount(name: string): Promise<Account | undefined> {
    return reading(() => this.#accounts.find(name))
  }

  findAccountRecord(name: string): Promise<AccountRecord | undefined> {
    return reading(() => this.#accounts.findRecord(name))
  }

  findAccountById(id: number): Promise<Account | undefined> {
    return reading(() => this.#accounts.findById(id))
  }

  hasUsers(): Promise<boolean> {
    return reading(() => this.#accounts.hasUsers())
  }

  canAdminLogIn(at: number): Promise<boolean> {
    return reading(() => this.#accounts.canAdminLogIn(at))
  }

  findDecoyHash(name: string): Promise<string | undefined> {
    return reading(() => this.#accounts.findDecoyHash(name))
  }

  listAccounts(query: AccountsQuery): Promise<Page<AccountRecord>> {
    return reading(() => this.#accounts.list(query))
  }

  listGroups(page: PageRequest): Promise<Page<GroupRecord>> {
    return reading(() => this.#accounts.listGroups(page))
  }

  listMembers(group: string, page: PageRequest): Promise<Page<string>> {
    return reading(() => this.#accounts.listMembers(group, page))
  }

  findToken(secretHash: string): Promise<StoredToken | undefined> {
    return reading(() => this.#tokens.find(secretHash))
  }

  findTokenById(id: string): Promise<StoredToken | undefined> {
    return reading(() => this.#tokens.findById(id))
  }

  listTokens(query: TokensQuery): Promise<Page<TokenRecord>> {
    return reading(() => this.#tokens.list(query))
  }

  findGrant(id: number): Promise<Grant | undefined> {
    return reading(() => this.#grants.find(id))
  }

  listGrants(query: GrantsQuery): Promise<Page<Grant>> {
    return reading(() => this.#grants.list(query))
  }

  listRightsOf(accountId: number | undefined): Promise<HeldRight[]> {
    return reading(() => this.#grants.listRightsOf(accountId))
  }

  findNamespace(name: string): Promise<Namespace | undefined> {
    return reading(() => this.#grants.findNamespace(name))
  }

  listNamespaces(page: PageRequest): Promise<Page<Namespace>> {
    return reading(() => this.#grants.listNamespaces(page))
  }

  findVisibility(repository: RepositoryName): Promise<Visibility | undefined> {
    return reading(() => this.#grants.findVisibility(repository))
  }

  listBlobHolders(digest: Digest, page: PageRequest): Promise<Page<RepositoryName>> {
    return reading(() => this.#grants.listBlobHolders(digest, page))
  }

  listMatching(pattern: string, limit: number): Promise<Page<RepositoryName>> {
    return reading(() => this.#grants.listMatching(pattern, limit))
  }

  listSigningKeys(at: number): Promise<SigningKey[]> {
    return reading(() => this.#grants.listSigningKeys(at))
  }

  addAccount(account: NewAccount): Promise<void> {
    return this.#changed(this.#writer.write('addAccount', account))
  }

  importUsers(users: readonly ImportedUser[], change: Change): Promise<void> {
    return this.#changed(this.#writer.write('importUsers', users, change))
  }

  changeAccount(change: AccountChange): Promise<void> {
    return this.#changed(this.#writer.write('changeAccount', change))
  }

  deleteAccount(name: string, kind?: AccountKind): Promise<void> {
    return this.#changed(this.#writer.write('deleteAccount', name, kind))
  }

  addGroup(name: string, change: Change): Promise<void> {
    return this.#changed(this.#writer.write('addGroup', name, change))
  }

  deleteGroup(name: string): Promise<void> {
    return this.#changed(this.#writer.write('deleteGroup', name))
  }

  addMember(group: string, account: string): Promise<boolean> {
    return this.#changed(this.#writer.write('addMember', group, account))
  }

  removeMember(group: string, account: string): Promise<boolean> {
    return this.#changed(this.#writer.write('removeMember', group, account))
  }

  addToken(token: NewToken): Promise<void> {
    return this.#changed(this.#writer.write('addToken', token))
  }

  revokeToken(id: string): Promise<boolean> {
    return this.#changed(this.#writer.write('revokeToken', id))
  }

  touchTokens(uses: readonly TokenUse[]): Promise<void> {
    return this.#writer.write('touchTokens', uses)
  }

  putGrant(grant: NewGrant): Promise<Grant> {
    return this.#changed(this.#writer.write('putGrant', grant))
  }

  removeGrant(id: number): Promise<boolean> {
    return this.#changed(this.#writer.write('removeGrant', id))
  }

  putNamespace(namespace: NewNamespace): Promise<void> {
    return this.#changed(this.#writer.write('putNamespace', namespace))
  }

  removeNamespace(name: string): Promise<boolean> {
    return this.#changed(this.#writer.write('removeNamespace', name))
  }

  setVisibility(repository: RepositoryName, visibility: Visibility): Promise<void> {
    return this.#changed(this.#writer.write('setVisibility', repository, visibility))
  }

  addSigningKey(key: NewSigningKey): Promise<void> {
    return this.#changed(this.#writer.write('addSigningKey', key))
  }

  async #changed<T>(write: Promise<T>): Promise<T> {
    try {
      return await write
    } finally {
      this.#version = undefined
    }
  }
}
