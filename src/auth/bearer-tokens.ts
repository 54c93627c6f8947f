import { decodeProtectedHeader, errors, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import type { BearerAccess } from './scopes.js'
import { ALGORITHM, type SigningKeys } from './signing-keys.js'

/** Whom tokens are from and for: us. */
export const SERVICE = 'berth'

/** A clock may be set back a little between two requests. */
const clockToleranceSeconds = 5

/** What a bearer token says; all of it is looked at again when it is used. */
export interface BearerClaims {
  /** The id of the account; absent for whoever is nobody in particular. */
  readonly accountId?: number
  readonly epoch?: number
  /** The personal token with which it was got. */
  readonly tokenId?: string
  readonly access: readonly BearerAccess[]
  /** Or when its key is over, if that is sooner. Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface NewBearerToken extends Omit<BearerClaims, 'expiresAt'> {
  readonly name: string
}

export interface SignedToken {
  readonly text: string
  readonly issuedAt: number
  readonly expiresInSeconds: number
}

interface Payload extends JWTPayload {
  readonly uid?: number
  readonly epoch?: number
  readonly tid?: string
  readonly access?: readonly BearerAccess[]
}

export interface BearerTokensOptions {
  readonly now: () => number
  /** How long a token is good for. */
  readonly seconds: number
}

/** Signs what clients carry between the token endpoint and the registry, and tells whether it is ours. */
export class BearerTokens {
  readonly #keys: SigningKeys
  readonly #options: BearerTokensOptions

  constructor(keys: SigningKeys, options: BearerTokensOptions) {
    this.#keys = keys
    this.#options = options
  }

  /** @param version - of all that decides about access: keys are read again when it has changed */
  async sign(token: NewBearerToken, version: number): Promise<SignedToken> {
    const { now, seconds } = this.#options
    const key = (await this.#keys.load(version)).find(({ signs }) => signs !== undefined)
    if (key?.signs === undefined) throw new Error('there is no key to sign tokens with')
    const issuedAt = Math.floor(now() / 1000)
    const text = await new SignJWT({
      ...(token.accountId !== undefined && { uid: token.accountId }),
      ...(token.epoch !== undefined && { epoch: token.epoch }),
      ...(token.tokenId !== undefined && { tid: token.tokenId }),
      access: token.access,
    })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: key.id })
      .setIssuer(SERVICE)
      .setAudience(SERVICE)
      .setSubject(token.accountId === undefined ? '' : token.name)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + seconds)
      .sign(key.signs)
    return { text, issuedAt: issuedAt * 1000, expiresInSeconds: seconds }
  }

  /**
   * @param at - when it was shown
   * @returns undefined for what is not one of ours, or was not then; or whose key was revoked since
   */
  async verify(text: string, version: number, at: number): Promise<BearerClaims | undefined> {
    try {
      const { kid } = decodeProtectedHeader(text)
      const key = (await this.#keys.load(version)).find(({ id }) => id === kid)
      if (key === undefined) return undefined
      const { validUntil = Infinity } = key
      if (at >= validUntil) return undefined
      const { payload } = await jwtVerify<Payload>(text, key.verifies, {
        algorithms: [ALGORITHM],
        issuer: SERVICE,
        audience: SERVICE,
        typ: 'JWT',
        requiredClaims: ['exp', 'nbf', 'iat', 'sub'],
        currentDate: new Date(at),
        clockTolerance: clockToleranceSeconds,
      })
      const claims = claimsOf(payload)
      return { ...claims, expiresAt: Math.min(claims.expiresAt, validUntil) }
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined
      throw error
    }
  }
}

/** What we have signed ourselves has this form. */
function claimsOf({ exp, uid, epoch, tid, access = [] }: Payload): BearerClaims {
  return {
    access,
    expiresAt: (exp ?? 0) * 1000,
    ...(uid !== undefined && { accountId: uid }),
    ...(epoch !== undefined && { epoch }),
    ...(tid !== undefined && { tokenId: tid }),
  }
}
