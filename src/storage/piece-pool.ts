/** What a reader begins with, and what a slow one keeps. */
export const usualPieceBytes = 64 * 1024

/**
 * Larger pieces save nothing where many read, and 64 of these fit into a processor's cache better; one
 * reader alone would cost a seventh less with twice as much.
 */
export const largePieceBytes = 512 * 1024

/** When memory is short, readers get along with this. */
const smallPieceBytes = 16 * 1024

/** Pieces that are lent out have about so many bytes in all; beyond it they are no larger than usual. */
const lentBytesMax = 24 * 1024 * 1024

/** What is kept for the next reader when there is none at the moment. */
const idleBytesMax = 8 * 1024 * 1024

/**
 * The memory through which files are sent, whoever reads them: used again and again, and bounded,
 * as it is multiplied by the number of slow readers.
 */
export class PiecePool {
  readonly #spare = new Map<number, Buffer[]>()
  #spareBytes = 0
  #lentBytes = 0

  /** A piece of the wanted size, a power of two, or smaller when much is lent out already. */
  take(wantedBytes: number): Buffer {
    const sizeBytes = Math.min(wantedBytes, this.#largestNow(wantedBytes))
    this.#lentBytes += sizeBytes
    const spare = this.#spare.get(sizeBytes)?.pop()
    if (spare === undefined) return Buffer.allocUnsafeSlow(sizeBytes)
    this.#spareBytes -= sizeBytes
    return spare
  }

  /** Takes a piece back that nobody reads or writes any more. */
  giveBack(piece: Buffer): void {
    this.forget(piece)
    this.#spareBytes += piece.byteLength
    const spare = this.#spare.get(piece.byteLength)
    if (spare) spare.push(piece)
    else this.#spare.set(piece.byteLength, [piece])
    this.#shrinkTo(this.#lentBytes === 0 ? idleBytesMax : lentBytesMax - this.#lentBytes)
  }

  /** For a piece that the kernel may still be using: it is left to the garbage collector. */
  forget(piece: Buffer): void {
    this.#lentBytes -= piece.byteLength
  }

  /** The small ones go first: they are left over from when the readers were young. */
  #shrinkTo(bytesMax: number): void {
    for (
      let sizeBytes = smallPieceBytes;
      this.#spareBytes > bytesMax && sizeBytes <= largePieceBytes;
    ) {
      if (this.#spare.get(sizeBytes)?.pop()) this.#spareBytes -= sizeBytes
      else sizeBytes *= 2
    }
  }

  #largestNow(wantedBytes: number): number {
    if (this.#lentBytes + wantedBytes <= lentBytesMax) return largePieceBytes
    return this.#lentBytes <= lentBytesMax ? usualPieceBytes : smallPieceBytes
  }
}
