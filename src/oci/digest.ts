import { createHash, hash, type Hash } from 'node:crypto'
import { RegistryError } from '../errors.js'

declare const digestBrand: unique symbol

/**
 * `algorithm:encoded`, well formed. Berth can look up any digest and compute those of
 * {@link DigestAlgorithm}.
 *
 * @see image-spec, descriptor.md, "Digests"
 */
export type Digest = string & { readonly [digestBrand]: true }

/** The algorithms that Berth can compute, with the number of hexadecimal digits of each. */
const HEX_LENGTH = { sha256: 64, sha512: 128 } as const

export type DigestAlgorithm = keyof typeof HEX_LENGTH

const LOWER_HEX = /^[0-9a-f]+$/
const OF_ANY_ALGORITHM = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/

/** A bound for algorithms that we do not know; sha512 with its digest has 135 characters. */
const digestLengthMax = 512

/**
 * Parses a digest that a client sent. Its algorithm may be one that Berth cannot compute: such a
 * digest can be asked for, and is never found; {@link algorithmOf} refuses it where bytes come in.
 *
 * @throws {@link RegistryError} `DIGEST_INVALID` when it is malformed
 * @see image-spec, descriptor.md, "Digests"
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new RegistryError(
      'DIGEST_INVALID',
      'a digest is sha256: with 64 or sha512: with 128 lower-case hexadecimal digits',
      { details: [text.slice(0, 200)] },
    )
  }
  return text
}

export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(':')
  const algorithm = text.slice(0, Math.max(colon, 0))
  if (!isAlgorithm(algorithm)) {
    return text.length <= digestLengthMax && OF_ANY_ALGORITHM.test(text)
  }
  const hex = text.slice(colon + 1)
  return hex.length === HEX_LENGTH[algorithm] && LOWER_HEX.test(hex)
}

/** @throws {@link RegistryError} `DIGEST_INVALID` when Berth cannot compute it */
export function parseAlgorithm(text: string): DigestAlgorithm {
  if (isAlgorithm(text)) return text
  throw new RegistryError('DIGEST_INVALID', 'the digest algorithm is neither sha256 nor sha512', {
    details: [text.slice(0, 200)],
  })
}

function isAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(HEX_LENGTH, text)
}

/** @throws {@link RegistryError} `DIGEST_INVALID` when Berth cannot compute it */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return parseAlgorithm(digest.slice(0, digest.indexOf(':')))
}

/** The part of a digest after its algorithm. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** The digest of bytes that are in memory. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${hash(algorithm, bytes, 'hex')}` as Digest
}

/**
 * Bytes must have the digest that a client gave for them.
 *
 * @throws {@link RegistryError} `DIGEST_INVALID` with both
 */
export function requireSameDigest(received: Digest, expected: Digest): void {
  if (received === expected) return
  throw new RegistryError('DIGEST_INVALID', 'the bytes received do not have this digest', {
    details: [{ digest: expected, received }],
  })
}

/** The digest of bytes that pass by one piece after the other. */
export class RunningDigest {
  readonly algorithm: DigestAlgorithm
  #hash: Hash

  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  update(piece: Uint8Array): void {
    this.#hash.update(piece)
  }

  /** The digest of everything so far; more may follow. */
  current(): Digest {
    return `${this.algorithm}:${this.#hash.copy().digest('hex')}` as Digest
  }

  /** A second one with the same past, so that either can go on alone. */
  copy(): RunningDigest {
    const copy = new RunningDigest(this.algorithm)
    copy.#hash = this.#hash.copy()
    return copy
  }
}
