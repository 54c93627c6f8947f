import type { BlobSink, ByteRange, OpenBlob } from '../storage/blob-store.js'

/** An open blob whose damage is noted when it is found, however late that is. */
export class GuardedBlob implements OpenBlob {
  readonly #blob: OpenBlob
  readonly #noteDamage: (error: unknown) => Promise<unknown>

  /** @param noteDamage - gets what reading has thrown, and gives what to throw in its place */
  constructor(blob: OpenBlob, noteDamage: (error: unknown) => Promise<unknown>) {
    this.#blob = blob
    this.#noteDamage = noteDamage
  }

  async send(range: ByteRange, sink: BlobSink): Promise<void> {
    try {
      await this.#blob.send(range, sink)
    } catch (error) {
      throw await this.#noteDamage(error)
    }
  }

  async close(): Promise<void> {
    await this.#blob.close()
  }
}
