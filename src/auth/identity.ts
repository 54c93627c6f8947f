import type { TokenScope } from '../metadata/accounts.js'
import type { BearerAccess } from './scopes.js'

/** Who asks, with the limits of what they have shown. */
export type Identity = Anonymous | Operator | SignedIn

/** Nobody in particular. */
export interface Anonymous {
  readonly kind: 'anonymous'
  readonly name: 'anonymous'
  /** What their bearer token was made for; absent without one. */
  readonly bearer?: readonly BearerAccess[]
}

/** Whoever can read the data directory of the running server. */
export interface Operator {
  readonly kind: 'operator'
  readonly name: 'operator'
}

/** A user or a robot. */
export interface SignedIn {
  readonly kind: 'user' | 'robot'
  /** As history, logs and the audit trail show it. */
  readonly name: string
  readonly accountId: number
  readonly epoch: number
  readonly isAdmin: boolean
  /** The part of their rights that a personal token has; all of them when absent. */
  readonly limits?: readonly TokenScope[]
  /** The personal token by which they came. */
  readonly tokenId?: string
  /** What their bearer token was made for; absent without one. */
  readonly bearer?: readonly BearerAccess[]
}

/** Whom a request was found to come from when it came. */
export interface Known {
  readonly identity: Identity
  readonly at: number
}

export const ANONYMOUS: Anonymous = { kind: 'anonymous', name: 'anonymous' }
export const OPERATOR: Operator = { kind: 'operator', name: 'operator' }

export function isSignedIn(identity: Identity): identity is SignedIn {
  return identity.kind === 'user' || identity.kind === 'robot'
}
