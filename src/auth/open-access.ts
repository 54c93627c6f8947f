import type { Action } from '../metadata/accounts.js'
import type { Viewer } from '../metadata/viewers.js'
import { ACTION_OF, DELETES_OFF, type Access, type Need, type Refusal } from './access.js'
import type { Identity } from './identity.js'

export interface OpenAccessOptions {
  /** open: everybody may pull, push and delete. readOnly: nothing but pull. */
  readonly mode: 'open' | 'readOnly'
  readonly deletesEnabled: boolean
}

/**
 * Without accounts everybody may do the same. What concerns the whole registry, or files of the server, is the
 * operator's.
 */
export class OpenAccess implements Access {
  readonly #options: OpenAccessOptions

  constructor(options: OpenAccessOptions) {
    this.#options = options
  }

  async refusalOf(identity: Identity, need: Need): Promise<Refusal | undefined> {
    if (identity.kind === 'operator') return undefined
    if (need === 'signedIn') {
      return { kind: 'denied', message: 'there are no accounts here (access.mode)' }
    }
    if (need === 'admin') {
      return {
        kind: 'denied',
        message: 'only the operator may do this: whoever sends the token in berth.operator.json',
      }
    }
    const action = ACTION_OF[need]
    if (action === undefined || action === 'pull') return undefined
    if (this.#options.mode === 'readOnly') {
      return { kind: 'off', message: 'the registry is read-only' }
    }
    if (action === 'delete' && !this.#options.deletesEnabled) return DELETES_OFF
    return undefined
  }

  async may(identity: Identity, action: Action): Promise<boolean> {
    return identity.kind === 'operator' || action === 'pull' || this.#options.mode === 'open'
  }

  async viewerOf(): Promise<Viewer | undefined> {
    return undefined
  }

  async mayGrant(identity: Identity): Promise<boolean> {
    return this.isAdmin(identity)
  }

  async managedPatterns(identity: Identity): Promise<readonly string[]> {
    return this.isAdmin(identity) ? ['**'] : []
  }

  mayKnowNames(): boolean {
    return true
  }

  isAdmin(identity: Identity): boolean {
    return identity.kind === 'operator'
  }
}
