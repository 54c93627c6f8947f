import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { parseAuthorization } from './authorization.js'

const tokenBytes = 32

/** A secret for {@link OperatorToken}; as text that a header can hold. */
export function createOperatorToken(): string {
  return randomBytes(tokenBytes).toString('base64url')
}

/**
 * Whoever holds the token of this process is its operator: it is only ever written where nobody else
 * can read it.
 */
export class OperatorToken {
  readonly #digest: Buffer

  constructor(token: string) {
    this.#digest = digestOf(token)
  }

  /** Whether an `Authorization` header has it. */
  isIn(header: string | undefined): boolean {
    const shown = parseAuthorization(header)
    // Digests are equally long, whatever was sent, and take equally long to compare.
    return shown.kind === 'bearer' && timingSafeEqual(digestOf(shown.token), this.#digest)
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
