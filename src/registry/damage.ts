import type { FastifyBaseLogger } from 'fastify'
import type { DamagedBlob } from '../metadata/blobs.js'
import type { MetadataStore } from '../metadata/metadata-store.js'

export interface DamageOptions {
  readonly now: () => number
  /** Puts aside, among others, the bytes that were found damaged. */
  readonly finishRemovals: () => void
}

/**
 * What becomes of a blob that somebody has found damaged, be it a reader or verification: it counts as
 * absent from now on, so that the next push stores it again, and its bytes are put aside.
 */
export class Damage {
  readonly #metadata: MetadataStore
  readonly #log: FastifyBaseLogger
  readonly #options: DamageOptions

  constructor(metadata: MetadataStore, log: FastifyBaseLogger, options: DamageOptions) {
    this.#metadata = metadata
    this.#log = log
    this.#options = options
  }

  /**
   * Notes that these bytes of a blob are damaged. They are put aside some time after it returns.
   *
   * @returns false when the blob is not there any more, or has been pushed again: then it is not
   *   damaged
   */
  async note(blob: DamagedBlob, cause: Error): Promise<boolean> {
    const { digest } = blob
    const isThere = await this.#metadata.markBlobDamaged(blob, this.#options.now())
    if (!isThere) return false
    this.#log.error({ err: cause, digest }, 'a stored blob is damaged')
    this.#options.finishRemovals()
    return true
  }

  /**
   * Takes that back: somebody has hashed the bytes that are there, and they are right.
   *
   * @returns false when that is not so any more
   */
  async takeBack(blob: DamagedBlob): Promise<boolean> {
    const isSound = await this.#metadata.markBlobSound(blob, this.#options.now())
    if (isSound) this.#log.info({ digest: blob.digest }, 'a damaged blob has its bytes again')
    return isSound
  }
}
