import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'
import type { OperatorAccess } from '../operator-file.js'

/** Whoever listens there has shown another certificate than the server has told us of. */
export class OtherServerError extends Error {
  override readonly name = 'OtherServerError'
}

/**
 * Connects to a server that speaks TLS. It is known by its very certificate, as its operator file has
 * it: that holds whatever names the certificate is for, and says more than any CA could.
 *
 * @throws {@link OtherServerError}, before anything was said; what connecting throws
 */
export async function connectPinned(
  { hostname, port }: URL,
  certificate: string,
  clientFiles: OperatorAccess['clientFiles'],
): Promise<TLSSocket> {
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    // It is verified below, and harder.
    rejectUnauthorized: false,
    ...(clientFiles && {
      cert: readFileSync(clientFiles.certificateFile),
      key: readFileSync(clientFiles.keyFile),
    }),
  })
  await once(socket, 'secureConnect')
  if (socket.getPeerX509Certificate()?.fingerprint256 === certificate) return socket
  socket.destroy()
  throw new OtherServerError('whoever listens there has another certificate')
}
