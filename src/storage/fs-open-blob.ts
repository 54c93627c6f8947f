import type { FileHandle } from 'node:fs/promises'
import type { ByteRange, BlobSink, OpenBlob } from './blob-store.js'
import { descriptorOf, sendByKernel } from './kernel-sender.js'
import { PiecePool } from './piece-pool.js'
import { sendPieces } from './piece-sender.js'
import type { Sendfile } from './sendfile.js'

/** Below this the way past Node.js costs more than it saves. */
const kernelBytesMin = 256 * 1024

/** One for the process: what is spare after one blob serves the next. */
const pool = new PiecePool()

/** A blob in a file that is open. */
export class FsOpenBlob implements OpenBlob {
  readonly #file: FileHandle
  readonly #sendfile: Sendfile | undefined

  constructor(file: FileHandle, sendfile: Sendfile | undefined) {
    this.#file = file
    this.#sendfile = sendfile
  }

  async send(range: ByteRange, sink: BlobSink): Promise<void> {
    const firstByte = (await this.#sendByKernel(range, sink)) ?? range.firstByte
    if (firstByte > range.lastByte) return
    await sendPieces(this.#file.fd, { firstByte, lastByte: range.lastByte }, sink, pool)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** @returns where to go on; undefined when nothing was sent */
  async #sendByKernel(range: ByteRange, sink: BlobSink): Promise<number | undefined> {
    const { direct } = sink
    const sendfile = this.#sendfile
    if (range.lastByte - range.firstByte + 1 < kernelBytesMin) return undefined
    if (direct === undefined || sendfile === undefined) return undefined
    if (!(await sendfile.isPossible()) || descriptorOf(direct) === undefined) return undefined
    return sendByKernel(this.#file.fd, range, sink, direct, { sendfile, pool })
  }
}
