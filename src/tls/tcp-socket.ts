import { Socket } from 'node:net'

/**
 * The TCP connection below a socket: the one that the server has accepted. Of one that is not
 * encrypted it is the socket itself.
 */
export function tcpSocketOf(socket: Socket): Socket {
  // Not documented, but what Node.js itself finds the timers of the connection by.
  const { _parent: below } = socket as unknown as { _parent?: unknown }
  return 'encrypted' in socket && below instanceof Socket ? below : socket
}
