import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { BlobDamagedError, type ByteRange } from './blob-store.js'

/** Cost falls with the size of the pieces; memory is pieces times slow readers. */
const pieceBytes = 256 * 1024

/**
 * Exactly the bytes of a range of a file; owns the file and closes it. Where the file ends too
 * early the stream fails instead of ending: the reader was promised a length.
 */
export class FileRangeStream extends Readable {
  readonly #file: FileHandle
  readonly #endByte: number
  #position: number
  #reading: Promise<void> = Promise.resolve()

  constructor(file: FileHandle, { firstByte, lastByte }: ByteRange) {
    super({ highWaterMark: pieceBytes })
    this.#file = file
    this.#position = firstByte
    this.#endByte = lastByte + 1
  }

  override _read(): void {
    this.#reading = this.#readPiece()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // Not before the read under way has ended: its descriptor's number may be somebody else's then.
    void this.#reading
      .then(() => this.#file.close())
      .then(
        () => callback(error),
        (closeError: Error) => callback(error ?? closeError),
      )
  }

  async #readPiece(): Promise<void> {
    const wanted = Math.min(pieceBytes, this.#endByte - this.#position)
    if (wanted <= 0) {
      this.push(null)
      return
    }
    try {
      const piece = Buffer.allocUnsafeSlow(wanted)
      const { bytesRead } = await this.#file.read(piece, 0, wanted, this.#position)
      if (bytesRead === 0) throw new BlobDamagedError('the blob ended before its size')
      this.#position += bytesRead
      this.push(bytesRead === wanted ? piece : piece.subarray(0, bytesRead))
    } catch (error) {
      // Later, so that _destroy does not wait for the promise it is called from.
      setImmediate(() => this.destroy(error as Error))
    }
  }
}
