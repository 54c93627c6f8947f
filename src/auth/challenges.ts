import type { FastifyRequest } from 'fastify'
import { SERVICE } from './bearer-tokens.js'

/** What a `Host` header may have in it: anything else is no address that a client has. */
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/

/**
 * Where a client finds the token endpoint, and what it has to ask for there. Exactly one scheme: of two, clients
 * choose each in their own way, some of them wrongly.
 *
 * @see distribution, "Token Authentication Specification"
 */
export class Challenges {
  readonly #publicUrl: string | undefined

  /**
   * @param publicUrl - `http.publicUrl`; empty where the address counts that the client has used; undefined
   *   where there is no token endpoint
   */
  constructor(publicUrl?: string) {
    this.#publicUrl = publicUrl?.replace(/\/$/, '')
  }

  /** The value of `WWW-Authenticate`. */
  bearer(
    request: FastifyRequest,
    { scope, error }: { readonly scope?: string; readonly error?: string } = {},
  ): string {
    const parts: string[] = []
    if (this.#publicUrl !== undefined) {
      parts.push(`realm="${this.#publicUrl || addressOf(request)}/token"`, `service="${SERVICE}"`)
    }
    if (scope !== undefined) parts.push(`scope="${scope}"`)
    if (error !== undefined) parts.push(`error="${error}"`)
    return `Bearer ${parts.join(',')}`
  }
}

/** As the client has it. A proxy that is trusted may still pass on what its own clients have said. */
function addressOf({ host, protocol: said, raw }: FastifyRequest): string {
  const own = 'encrypted' in raw.socket ? 'https' : 'http'
  // Schemes are written in either case (RFC 3986, section 3.1).
  const protocol = /^https?$/i.test(said) ? said.toLowerCase() : own
  if (HOST.test(host)) return `${protocol}://${host}`
  const { localAddress = '127.0.0.1', localFamily, localPort } = raw.socket
  const address = localFamily === 'IPv6' ? `[${localAddress}]` : localAddress
  return `${protocol}://${address}:${localPort ?? 0}`
}
