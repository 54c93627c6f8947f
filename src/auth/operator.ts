import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'
import type { Identity } from './access.js'

const tokenBytes = 32

/** A secret for {@link Operator}; as text that a header can hold. */
export function createOperatorToken(): string {
  return randomBytes(tokenBytes).toString('base64url')
}

/**
 * Whoever holds the token of this process is its operator: it is only ever written where nobody else
 * can read it.
 */
export class Operator {
  readonly #digest: Buffer

  constructor(token: string) {
    this.#digest = digestOf(token)
  }

  /** @throws {@link RegistryError} `UNAUTHORIZED` for another token */
  identify(request: FastifyRequest, reply: FastifyReply): Identity {
    const token = bearerOf(request.headers.authorization)
    if (token === undefined) return 'anonymous'
    // Digests are equally long, whatever was sent, and take equally long to compare.
    if (timingSafeEqual(digestOf(token), this.#digest)) return 'operator'
    reply.header('WWW-Authenticate', 'Bearer error="invalid_token"')
    throw new RegistryError('UNAUTHORIZED', 'this is not the token of the running server')
  }
}

/** @see RFC 6750, section 2.1 */
function bearerOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(.*)$/i.exec(header)?.[1]
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
