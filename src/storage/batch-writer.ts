import type { FileHandle } from 'node:fs/promises'

/** Measured: smaller batches cost a tenth more CPU, larger ones gain nothing. */
const batchBytes = 1024 * 1024

/** Tiny pieces are heavy in number before they are in bytes. */
const batchPieces = 512

/**
 * Writes a stream of pieces to a file, in batches, from a position on. One batch is on its way to
 * the disk while the next is gathered; a slower disk holds `add` up.
 */
export class BatchWriter {
  readonly #file: FileHandle
  #position: number
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #underWay: Promise<void> = Promise.resolve()

  /** How many bytes are written without a gap. */
  writtenBytes = 0

  constructor(file: FileHandle, position: number) {
    this.#file = file
    this.#position = position
  }

  /** Throws what an earlier write threw; then nothing more is written. */
  async add(piece: Uint8Array): Promise<void> {
    this.#gathered.push(piece)
    this.#gatheredBytes += piece.byteLength
    if (this.#gatheredBytes >= batchBytes || this.#gathered.length >= batchPieces) {
      await this.#flush()
    }
  }

  /** Writes what is left and waits for all. */
  async end(): Promise<void> {
    await this.#flush()
    await this.#underWay
  }

  async #flush(): Promise<void> {
    await this.#underWay
    if (this.#gatheredBytes === 0) return
    const batch = this.#gathered
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#underWay = this.#write(batch)
    // Its failure is thrown by whoever awaits it next; until then it is not unhandled.
    this.#underWay.catch(() => undefined)
  }

  async #write(batch: Uint8Array[]): Promise<void> {
    let rest = batch
    while (rest.length > 0) {
      const { bytesWritten } = await this.#file.writev(rest, this.#position)
      this.#position += bytesWritten
      this.writtenBytes += bytesWritten
      rest = withoutFirst(rest, bytesWritten)
    }
  }
}

/** What a short write has left over. */
function withoutFirst(pieces: Uint8Array[], byteCount: number): Uint8Array[] {
  let skip = byteCount
  const index = pieces.findIndex((piece) => {
    if (skip < piece.byteLength) return true
    skip -= piece.byteLength
    return false
  })
  if (index === -1) return []
  const [first, ...others] = pieces.slice(index)
  return first ? [first.subarray(skip), ...others] : others
}
