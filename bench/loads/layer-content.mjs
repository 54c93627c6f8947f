import { Buffer } from 'node:buffer'
import { createCipheriv } from 'node:crypto'

/** What Go clients write at once, and so the size of a chunk of theirs. */
const pieceBytes = 32 * 1024

/**
 * A layer too large to be held in memory, the same each time: pieces of bytes that look random,
 * each with its place written at its start.
 *
 * @param {number} sizeBytes
 * @returns {Generator<Buffer>}
 */
export function* layerContent(sizeBytes) {
  const key = Buffer.alloc(16)
  const pattern = createCipheriv('aes-128-ctr', key, key).update(Buffer.alloc(pieceBytes))
  for (let at = 0; at < sizeBytes; at += pieceBytes) {
    const piece = Buffer.from(pattern)
    piece.writeDoubleBE(at)
    yield piece.subarray(0, Math.min(pieceBytes, sizeBytes - at))
  }
}
