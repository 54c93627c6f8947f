import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose'
import type { Accounts, SigningKey } from '../metadata/accounts.js'
import { dayMs } from '../times.js'

/** ECDSA on P-256 (RFC 7518, section 3.4). */
export const ALGORITHM = 'ES256'

/** It stands in every token, and no two keys are to have the same. */
const idBytes = 9

/** An upload may have begun so long ago; what was shown for it is looked at again when it ends. */
const keptMs = dayMs

/** A signing key, ready to be used. */
export interface LoadedKey {
  readonly id: string
  /** Absent where it only verifies any more. */
  readonly signs?: CryptoKey
  readonly verifies: CryptoKey
  /** Until when what it has signed is believed; absent for the one that signs. */
  readonly validUntil?: number
}

/** What bearer tokens are signed with, as it is in the metadata store. */
export class SigningKeys {
  readonly #accounts: Accounts
  readonly #now: () => number
  #version = -1
  #loaded: Promise<readonly LoadedKey[]> = Promise.resolve([])

  constructor(accounts: Accounts, now: () => number) {
    this.#accounts = accounts
    this.#now = now
  }

  /** Makes the first key when there is none. */
  async ensure(): Promise<void> {
    const keys = await this.#accounts.listSigningKeys(this.#now())
    if (!keys.some(({ validUntil }) => validUntil === undefined)) await this.rotate()
  }

  /**
   * From now on a new key signs.
   *
   * @param overlapMs - how long what the one before has signed is still believed; absent: not even now
   * @returns its id
   */
  async rotate(overlapMs?: number): Promise<string> {
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
    const at = this.#now()
    const id = randomBytes(idBytes).toString('base64url')
    await this.#accounts.addSigningKey({
      id,
      privateKey: JSON.stringify(await exportJWK(privateKey)),
      at,
      ...(overlapMs !== undefined && { othersUntil: at + overlapMs }),
      forgottenUntil: at - keptMs,
    })
    return id
  }

  /** The one that signs, and those that were believed not long before they were read. */
  async load(version: number): Promise<readonly LoadedKey[]> {
    if (version !== this.#version) {
      const loading = this.#accounts
        .listSigningKeys(this.#now() - keptMs)
        .then((keys) => Promise.all(keys.map(loadKey)))
      // An error is for whoever asked; the next one tries again.
      loading.catch(() => (this.#version = -1))
      this.#loaded = loading
      this.#version = version
    }
    return this.#loaded
  }
}

async function loadKey({ id, privateKey, validUntil }: SigningKey): Promise<LoadedKey> {
  const jwk = JSON.parse(privateKey) as JWK
  const { kty = 'EC', crv = '', x = '', y = '' } = jwk
  const verifies = (await importJWK({ kty, crv, x, y }, ALGORITHM)) as CryptoKey
  if (validUntil !== undefined) return { id, verifies, validUntil }
  return { id, verifies, signs: (await importJWK(jwk, ALGORITHM)) as CryptoKey }
}
