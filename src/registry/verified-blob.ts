import { RegistryError } from '../errors.js'
import type { StoredBlob } from '../metadata/blobs.js'
import { algorithmOf, RunningDigest } from '../oci/digest.js'
import {
  BlobDamagedError,
  type BlobSink,
  type ByteRange,
  type OpenBlob,
} from '../storage/blob-store.js'

/**
 * An open blob of which nobody gets all bytes before they were found to have its digest. The whole is
 * hashed while it is sent, and its last piece held back until the digest agrees; before a part of it is
 * sent, all of it is read.
 */
export class VerifiedBlob implements OpenBlob {
  readonly #opened: OpenBlob
  readonly #blob: StoredBlob
  #isVerified = false

  constructor(opened: OpenBlob, blob: StoredBlob) {
    this.#opened = opened
    this.#blob = blob
  }

  /**
   * Reads all of it, so that parts of it can be sent.
   *
   * @param isWanted - asked for each piece: a client need not wait for the end of it
   * @throws {@link BlobDamagedError}; {@link RegistryError} `REQUEST_TIMEOUT` when nobody wants it
   */
  async verify(isWanted: () => boolean = () => true): Promise<void> {
    const write = async () => {
      if (!isWanted()) throw new RegistryError('REQUEST_TIMEOUT', 'the client has gone')
    }
    await this.#sendWhole({ write })
    this.#isVerified = true
  }

  /** @throws {@link BlobDamagedError} also when the bytes have another digest; what the sink throws */
  async send(range: ByteRange, sink: BlobSink): Promise<void> {
    if (!this.#isVerified && isWhole(range, this.#blob)) {
      await this.#sendWhole(sink)
      return
    }
    if (!this.#isVerified) await this.verify()
    await this.#opened.send(range, sink)
  }

  async close(): Promise<void> {
    await this.#opened.close()
  }

  async #sendWhole(sink: BlobSink): Promise<void> {
    const { sizeBytes } = this.#blob
    const whole = { firstByte: 0, lastByte: sizeBytes - 1 }
    await this.#opened.send(whole, new HashingSink(this.#blob, sink))
  }
}

/** Whether these ranges are nothing but the whole blob. */
export function areWhole(ranges: readonly ByteRange[] | undefined, blob: StoredBlob): boolean {
  return ranges === undefined || ranges.every((range) => isWhole(range, blob))
}

function isWhole({ firstByte, lastByte }: ByteRange, { sizeBytes }: StoredBlob): boolean {
  return firstByte === 0 && lastByte === sizeBytes - 1
}

/** Offers no way past itself, as {@link BlobSink.direct} is one. */
class HashingSink implements BlobSink {
  readonly #blob: StoredBlob
  readonly #next: BlobSink
  readonly #running: RunningDigest
  #passedBytes = 0

  constructor(blob: StoredBlob, next: BlobSink) {
    this.#blob = blob
    this.#next = next
    this.#running = new RunningDigest(algorithmOf(blob.digest))
  }

  async write(piece: Uint8Array): Promise<void> {
    this.#running.update(piece)
    this.#passedBytes += piece.byteLength
    if (this.#passedBytes === this.#blob.sizeBytes) this.#requireDigest()
    await this.#next.write(piece)
  }

  #requireDigest(): void {
    const actual = this.#running.current()
    if (actual === this.#blob.digest) return
    throw new BlobDamagedError('content', `the bytes of the blob have the digest ${actual}`)
  }
}
