import { Buffer } from 'node:buffer'
import { createHash, randomBytes, randomFillSync } from 'node:crypto'

/** What Go clients write at once, and so the size of a chunk of theirs. */
const chunkBytes = 32 * 1024

const pieceBytes = 256 * 1024

/** At the end of each content, and different in each. */
const tailBytes = 32

/** All contents are these bytes over and over, but for their last ones. */
const base = randomBytes(pieceBytes)

const framedChunks = Array.from({ length: pieceBytes / chunkBytes }, (_, index) =>
  framed(base.subarray(index * chunkBytes, (index + 1) * chunkBytes)),
)

/** By size: the hash of everything but the tail. */
const hashes = new Map()

/**
 * The bytes of a blob that no registry has. What differs comes last, so that its digest costs
 * next to nothing: all before is hashed once for each size.
 */
export class Content {
  #tail

  /** @param {number} sizeBytes - at least 32 */
  constructor(sizeBytes) {
    this.sizeBytes = sizeBytes
    this.#tail = randomFillSync(Buffer.allocUnsafe(tailBytes))
    this.digest = `sha256:${hashBeforeTail(sizeBytes).copy().update(this.#tail).digest('hex')}`
  }

  /**
   * Pieces of it, none of which may be changed.
   *
   * @param {number} [from]
   * @param {number} [end] - behind the last byte
   */
  *pieces(from = 0, end = this.sizeBytes) {
    const bodyEnd = this.sizeBytes - tailBytes
    yield* basePieces(from, Math.min(end, bodyEnd))
    if (end > bodyEnd) yield this.#tail.subarray(Math.max(0, from - bodyEnd), end - bodyEnd)
  }

  /** All of it in HTTP chunks, as Go clients make them. */
  *chunks() {
    const bodyEnd = this.sizeBytes - tailBytes
    let at = 0
    for (; at + chunkBytes <= bodyEnd; at += chunkBytes) {
      yield framedChunks[(at / chunkBytes) % framedChunks.length]
    }
    yield framed(Buffer.concat([...this.pieces(at)]))
    yield lastChunk
  }
}

const lastChunk = Buffer.from('0\r\n\r\n')

/** Hashes what all contents of a size have in common, before anything is measured. */
export function hashBeforeTail(sizeBytes) {
  let hash = hashes.get(sizeBytes)
  if (hash === undefined) {
    hash = createHash('sha256')
    for (const piece of basePieces(0, sizeBytes - tailBytes)) hash.update(piece)
    hashes.set(sizeBytes, hash)
  }
  return hash
}

function* basePieces(from, end) {
  for (let at = from; at < end;) {
    const offset = at % pieceBytes
    const piece = base.subarray(offset, Math.min(pieceBytes, offset + end - at))
    yield piece
    at += piece.byteLength
  }
}

function framed(bytes) {
  const size = Buffer.from(`${bytes.byteLength.toString(16)}\r\n`)
  return Buffer.concat([size, bytes, Buffer.from('\r\n')])
}
