import type { Accounts, Action } from '../metadata/accounts.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Viewer } from '../metadata/viewers.js'
import type { RepositoryName } from '../oci/reference.js'
import { ACTION_OF, DELETES_OFF, type Access, type Need, type Refusal } from './access.js'
import { ANONYMOUS, isSignedIn, type Identity, type SignedIn } from './identity.js'
import { covers, Rights, rightsWithin } from './rights.js'
import { CATALOG_SCOPE, isFor, isForCatalog, scopeOf } from './scopes.js'

export interface AccountAccessOptions {
  readonly deletesEnabled: boolean
}

/** Accounts whose rights are kept ready. */
const rightsMax = 10_000

/** What is refused of an action, in a sentence. */
const PHRASES: Readonly<Record<Action, string>> = {
  pull: 'pull from',
  create: 'push to',
  overwrite: 'overwrite tags of',
  delete: 'delete from',
  admin: 'manage',
}

/** Bearer tokens are made for repositories and their lists, and are good for nothing beyond that. */
const NOT_FOR_BEARERS: Refusal = {
  kind: 'denied',
  message: 'a bearer token of the registry is not for this: send a password or a personal token',
}

/**
 * Where there are accounts: grants, the owners of namespaces, and what is public decide; nothing else gives
 * anything. Each decision is made by what is true when it is made.
 */
export class AccountAccess implements Access {
  readonly #metadata: MetadataStore
  readonly #accounts: Accounts
  readonly #options: AccountAccessOptions
  /** By account; 0 for whoever is not signed in. Of one version of all that decides. */
  readonly #rights = new Map<number, Rights>()
  #version = -1

  constructor(metadata: MetadataStore, options: AccountAccessOptions) {
    this.#metadata = metadata
    this.#accounts = metadata.accounts
    this.#options = options
  }

  async refusalOf(
    identity: Identity,
    need: Need,
    repository: RepositoryName | undefined,
  ): Promise<Refusal | undefined> {
    if (identity.kind === 'operator' || need === 'nothing') return undefined
    const { bearer } = identity
    switch (need) {
      case 'ping':
        return isSignedIn(identity) || bearer ? undefined : { kind: 'challenge' }
      case 'signedIn':
        return refusalOfAccount(identity)
      case 'list':
        return bearer && this.#refusalOfCatalog(identity)
      case 'search':
        if (!isSignedIn(identity) && !bearer && (await this.#seesAnything(identity))) {
          return undefined
        }
        return this.#refusalOfCatalog(identity)
      case 'catalog':
        return this.#refusalOfCatalog(identity)
      default:
        return repository === undefined
          ? this.#refusalOfRegistry(identity, need)
          : this.#refusalOfRepository(identity, ACTION_OF[need] ?? 'admin', repository)
    }
  }

  async may(identity: Identity, action: Action, repository: RepositoryName): Promise<boolean> {
    if (identity.kind === 'operator') return true
    const { bearer } = identity
    if (bearer && !isFor(bearer, repository, action)) return false
    return this.#hasRight(identity, action, repository)
  }

  async viewerOf(identity: Identity): Promise<Viewer | undefined> {
    if (identity.kind === 'operator') return undefined
    if (isSignedIn(identity)) {
      // What a token leaves of the rights is no list of patterns; its own patterns see no more.
      if (identity.limits) return this.#viewerWithin(identity)
      if (identity.isAdmin) return undefined
    }
    const patterns = (await this.#rightsOf(identity)).patternsWith('pull')
    return patterns.includes('**') ? undefined : { patterns }
  }

  async mayGrant(identity: Identity, pattern: string): Promise<boolean> {
    const managed = await this.managedPatterns(identity)
    return managed.some((outer) => covers(outer, pattern))
  }

  async managedPatterns(identity: Identity): Promise<readonly string[]> {
    if (this.isAdmin(identity)) return ['**']
    // A part of the rights is not enough to hand on any.
    if (!isSignedIn(identity) || identity.limits || identity.bearer) return []
    const patterns = new Set((await this.#rightsOf(identity)).patternsWith('admin'))
    return patterns.has('**') ? ['**'] : [...patterns]
  }

  mayKnowNames(identity: Identity): boolean {
    return identity.kind === 'operator' || isSignedIn(identity)
  }

  isAdmin(identity: Identity): boolean {
    if (identity.kind === 'operator') return true
    return (
      isSignedIn(identity) &&
      identity.isAdmin &&
      identity.limits === undefined &&
      identity.bearer === undefined
    )
  }

  async #refusalOfRepository(
    identity: Exclude<Identity, { kind: 'operator' }>,
    action: Action,
    repository: RepositoryName,
  ): Promise<Refusal | undefined> {
    const { bearer } = identity
    const scope = scopeOf(repository, action)
    if (await this.#hasRight(identity, action, repository)) {
      if (bearer && !isFor(bearer, repository, action)) {
        return { kind: 'challenge', scope, error: 'insufficient_scope' }
      }
      return action === 'delete' && !this.#options.deletesEnabled ? DELETES_OFF : undefined
    }
    if (!isSignedIn(identity)) {
      return { kind: 'challenge', scope, ...(bearer && { error: 'insufficient_scope' }) }
    }
    if (action === 'pull') return { kind: 'hidden', repository }
    return {
      kind: 'denied',
      message: `${identity.name} may not ${PHRASES[action]} ${repository}`,
    }
  }

  #refusalOfCatalog(identity: Exclude<Identity, { kind: 'operator' }>): Refusal | undefined {
    const { bearer } = identity
    if (bearer && !isForCatalog(bearer)) {
      return { kind: 'challenge', scope: CATALOG_SCOPE, error: 'insufficient_scope' }
    }
    return isSignedIn(identity) || bearer ? undefined : { kind: 'challenge', scope: CATALOG_SCOPE }
  }

  async #refusalOfRegistry(identity: Identity, need: Need): Promise<Refusal | undefined> {
    if (this.isAdmin(identity)) return undefined
    const isNarrow = identity.kind !== 'operator' && identity.bearer !== undefined
    if (need === 'pull' && !isNarrow && (await this.viewerOf(identity)) === undefined) {
      return undefined
    }
    if (!isSignedIn(identity)) return { kind: 'challenge' }
    if (isNarrow) return NOT_FOR_BEARERS
    return { kind: 'denied', message: `${identity.name} may not do this: it is for admins` }
  }

  async #hasRight(
    identity: Exclude<Identity, { kind: 'operator' }>,
    action: Action,
    repository: RepositoryName,
  ): Promise<boolean> {
    if (await this.#isGranted(identity, action, repository)) return true
    return action === 'pull' && (await this.#accounts.findVisibility(repository)) === 'public'
  }

  async #isGranted(
    identity: Exclude<Identity, { kind: 'operator' }>,
    action: Action,
    repository: RepositoryName,
  ): Promise<boolean> {
    if (isSignedIn(identity)) {
      if (identity.limits && !rightsWithin(identity.limits).may(repository, action)) {
        // What everybody may who shows nothing, whoever shows a token may too.
        return (await this.#rightsOf(ANONYMOUS)).may(repository, action)
      }
      if (identity.isAdmin) return true
    }
    return (await this.#rightsOf(identity)).may(repository, action)
  }

  async #viewerWithin(identity: SignedIn): Promise<Viewer> {
    return {
      patterns: rightsWithin(identity.limits ?? []).patternsWith('pull'),
      ...(!identity.isAdmin && { within: await this.#patternsOf(identity) }),
    }
  }

  async #patternsOf(identity: Identity): Promise<string[]> {
    return (await this.#rightsOf(identity)).patternsWith('pull')
  }

  async #seesAnything(identity: Identity): Promise<boolean> {
    const { entries } = await this.#metadata.listRepositories(
      { limit: 1 },
      await this.viewerOf(identity),
    )
    return entries.length > 0
  }

  async #rightsOf(identity: Identity): Promise<Rights> {
    const version = await this.#accounts.getAccessVersion()
    if (version !== this.#version || this.#rights.size > rightsMax) {
      this.#rights.clear()
      this.#version = version
    }
    const accountId = isSignedIn(identity) ? identity.accountId : undefined
    const key = accountId ?? 0
    const known = this.#rights.get(key)
    if (known) return known
    const rights = new Rights(await this.#accounts.listRightsOf(accountId))
    // What was read while something changed may be of before; it must not stay.
    if (version === this.#version) this.#rights.set(key, rights)
    return rights
  }
}

function refusalOfAccount(identity: Identity): Refusal | undefined {
  if (!isSignedIn(identity)) return { kind: 'challenge' }
  return identity.bearer && NOT_FOR_BEARERS
}
