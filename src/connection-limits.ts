import type { Server, Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { addressesIn, addressKey } from './addresses.js'

export interface ConnectionLimits {
  readonly connectionsPerAddressMax: number
  /** Whose connections are those of many. */
  readonly trustedProxies: readonly string[]
  readonly log: FastifyBaseLogger
}

/**
 * Closes what one address has open beyond its limit, so that it cannot take all connections there
 * are. An address that goes on is in the log once until it is below the limit again.
 */
export function limitConnections(
  server: Server,
  { connectionsPerAddressMax, trustedProxies, log }: ConnectionLimits,
): void {
  const isProxy = addressesIn(trustedProxies)
  const open = new Map<string, number>()
  const told = new Set<string>()

  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    // One that is closed already has none.
    if (remoteAddress === undefined || isProxy(remoteAddress)) return
    const address = addressKey(remoteAddress)
    const count = open.get(address) ?? 0
    if (count >= connectionsPerAddressMax) {
      socket.destroy()
      if (told.has(address)) return
      told.add(address)
      log.warn({ address, connectionsPerAddressMax }, 'an address has too many connections open')
      return
    }
    open.set(address, count + 1)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      told.delete(address)
      if (left > 0) open.set(address, left)
      else open.delete(address)
    })
  })
}
