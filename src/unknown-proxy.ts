import type { IncomingMessage, Server } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'

/**
 * Says in the log, once, that requests come through a proxy which nobody has told us of: all its clients are
 * one address for us, which waits for what any of them has guessed, and the log shows nobody else.
 */
export function warnOfUnknownProxy(server: Server, log: FastifyBaseLogger): void {
  const look = ({ headers, socket: { remoteAddress } }: IncomingMessage) => {
    if (headers['x-forwarded-for'] === undefined) return
    server.off('request', look)
    log.warn(
      { remoteAddress },
      'requests come with X-Forwarded-For, and http.trustedProxies is empty: it is not believed, and all clients behind that address count as one',
    )
  }
  server.on('request', look)
}
