import { read } from 'node:fs'
import { BlobDamagedError, type ByteRange, type BlobSink } from './blob-store.js'
import { readFailure } from './fs-errors.js'
import { largePieceBytes, usualPieceBytes, type PiecePool } from './piece-pool.js'

/** A sink that takes its piece within so many milliseconds gets the next one twice as large. */
const quickMs = 25

/** One that takes longer than this gets the next one half as large. */
const slowMs = 100

interface Filled {
  readonly piece: Buffer
  readonly byteCount: number
}

/**
 * Sends a range of a file piece by piece: the next is read while one is on its way. Pieces grow
 * while the sink is quick, as each costs the same whatever its size; one that is slow holds a small
 * one alone.
 *
 * @throws {@link BlobDamagedError} when the file ends too early or cannot be read; what the sink throws
 */
export async function sendPieces(
  file: number,
  range: ByteRange,
  sink: BlobSink,
  pool: PiecePool,
): Promise<void> {
  const endByte = range.lastByte + 1
  let position = range.firstByte
  let sizeBytes = usualPieceBytes
  const readNext = async (): Promise<Filled> => {
    const filled = await fill(file, pool, Math.min(sizeBytes, endByte - position), position)
    position += filled.byteCount
    return filled
  }

  let current: Filled | undefined = position < endByte ? await readNext() : undefined
  while (current !== undefined) {
    const startedAt = performance.now()
    const ahead = position < endByte && sizeBytes > usualPieceBytes ? readNext() : undefined
    // It is thrown where it is awaited; until then it is not unhandled.
    ahead?.catch(() => undefined)
    try {
      await sink.write(current.piece.subarray(0, current.byteCount))
    } catch (error) {
      pool.forget(current.piece)
      // The file must not be closed under a read.
      await ahead?.then(
        ({ piece }) => pool.giveBack(piece),
        () => undefined,
      )
      throw error
    }
    pool.giveBack(current.piece)
    sizeBytes = nextSize(sizeBytes, performance.now() - startedAt)
    current = ahead ? await ahead : position < endByte ? await readNext() : undefined
  }
}

/** @returns a piece with bytes in it, as many as wanted or fewer */
async function fill(
  file: number,
  pool: PiecePool,
  wantedBytes: number,
  position: number,
): Promise<Filled> {
  const piece = pool.take(sizeFor(wantedBytes))
  try {
    const byteCount = await readAt(file, piece, Math.min(wantedBytes, piece.byteLength), position)
    if (byteCount === 0) throw new BlobDamagedError('size', 'the blob ended before its size')
    return { piece, byteCount }
  } catch (error) {
    pool.giveBack(piece)
    throw readFailure(error)
  }
}

/** With a callback: the promises of `node:fs` cost a tenth more. */
function readAt(file: number, into: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(file, into, 0, length, position, (error, byteCount) => {
      if (error) reject(error)
      else resolve(byteCount)
    })
  })
}

function sizeFor(byteCount: number): number {
  let sizeBytes = usualPieceBytes
  while (sizeBytes < byteCount) sizeBytes *= 2
  return sizeBytes
}

function nextSize(sizeBytes: number, tookMs: number): number {
  if (tookMs < quickMs) return Math.min(sizeBytes * 2, largePieceBytes)
  return tookMs > slowMs ? Math.max(sizeBytes / 2, usualPieceBytes) : sizeBytes
}
