import type { ByteRange, BlobSink, DirectConnection } from './blob-store.js'
import type { PiecePool } from './piece-pool.js'
import { usualPieceBytes } from './piece-pool.js'
import { sendPieces } from './piece-sender.js'
import type { Sendfile } from './sendfile.js'

/** A job holds a thread while it reads a cold disk. */
const jobBytesMax = 16 * 1024 * 1024

/** So often in a row there is no room for the kernel behind a piece: then something is wrong. */
const fruitlessMax = 64

/**
 * Sends a range of a file by the kernel: as much as the connection has room for, then a piece
 * through the sink, which waits for room and learns of a client that is gone; and so on.
 *
 * @returns the position up to which all is sent; before the end when the kernel does not help
 * @throws what {@link sendPieces} throws
 */
export async function sendByKernel(
  file: number,
  { firstByte, lastByte }: ByteRange,
  sink: BlobSink,
  direct: DirectConnection,
  { sendfile, pool }: { readonly sendfile: Sendfile; readonly pool: PiecePool },
): Promise<number> {
  const endByte = lastByte + 1
  const descriptor = () => descriptorOf(direct)
  let position = firstByte
  let fruitless = 0
  await direct.flush()
  while (position < endByte) {
    const asked = Math.min(jobBytesMax, endByte - position)
    const sent = await sendfile.send(descriptor, file, position, asked)
    position += sent
    direct.sent(sent)
    if (sent === asked) continue
    fruitless = sent === 0 ? fruitless + 1 : 0
    if (fruitless === fruitlessMax) return position
    const pieceEnd = Math.min(position + usualPieceBytes, endByte)
    await sendPieces(file, { firstByte: position, lastByte: pieceEnd - 1 }, sink, pool)
    position = pieceEnd
  }
  return position
}

/**
 * The number of a connection's descriptor, for this very moment; undefined when it is closed, is
 * encrypted, or Node.js does not tell, as this is not documented.
 */
export function descriptorOf({ socket }: DirectConnection): number | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: unknown } | null }
  if (socket.destroyed || !socket.writable || 'encrypted' in socket) return undefined
  const descriptor = handle?.fd
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined
}
