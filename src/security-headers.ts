import type { FastifyReply } from 'fastify'

/**
 * What a browser must not do with an answer, whatever is in it: guess its type, run or load anything,
 * show it inside of another page, tell others where it was, or give it to another site. Nothing says
 * that other sites may read it (CORS), and nothing that the address is only to be used with TLS.
 */
export const SECURITY_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['x-frame-options', 'DENY'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
]

const CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

/** On every answer. */
export function setSecurityHeaders(reply: FastifyReply): void {
  for (const [name, value] of SECURITY_HEADERS) reply.header(name, value)
}

/** On what somebody has pushed: opened in a browser, it has no origin, as if it came from elsewhere. */
export function setContentPolicy(reply: FastifyReply): void {
  reply.header('content-security-policy', CONTENT_POLICY)
}
