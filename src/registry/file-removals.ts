import type { FastifyBaseLogger } from 'fastify'
import type { Digest } from '../oci/digest.js'
import type { FileRemoval, MetadataStore } from '../metadata/metadata-store.js'
import type { BlobStore } from '../storage/blob-store.js'

/** Removals that are read, and forgotten, at once. */
const batchSize = 100

/**
 * Removes bytes that no row speaks for any more. The transaction that took the last row of a blob
 * has written down that its bytes are to go; only when they have gone is that forgotten, and until
 * then no upload puts bytes in their place. So a removal and a push of one digest never meet,
 * whichever process does either, and what a crash has interrupted goes on with the next start.
 */
export class FileRemovals {
  readonly #metadata: MetadataStore
  readonly #blobs: BlobStore
  readonly #log: FastifyBaseLogger
  readonly #steps = new Set<Promise<unknown>>()
  #holds = 0
  #released: Promise<void> = Promise.resolve()
  #release: () => void = () => undefined
  #isWanted = false
  #underWay: Promise<void> | undefined

  constructor(
    stores: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
    log: FastifyBaseLogger,
  ) {
    this.#metadata = stores.metadata
    this.#blobs = stores.blobs
    this.#log = log
  }

  /**
   * Removes all that is to be removed by now; what is held back is left for later.
   *
   * @throws what the stores throw; the next call goes on
   */
  async finish(): Promise<void> {
    // Also for the one under way: it may just have looked for the last time.
    this.#isWanted = true
    await (this.#underWay ??= this.#finishAll())
  }

  /**
   * Does something that takes away rows, and removes the bytes they spoke for; not while removing is
   * held, or bytes would stay that nobody may replace.
   *
   * @param signal - ends the wait
   * @returns undefined when that has ended it
   */
  async step<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    while (this.#holds > 0 && !signal.aborted) {
      await this.#whenReleased(signal)
    }
    if (signal.aborted) return undefined
    const step = work()
    this.#steps.add(step)
    try {
      return await step
    } finally {
      this.#steps.delete(step)
    }
  }

  /**
   * Has nothing removed until it is released, but for what is put aside as it is damaged. When this
   * resolves, nothing is being removed. For a copy of the store, whose rows are from a moment at which
   * the bytes were still there.
   *
   * @returns what releases it
   */
  async hold(): Promise<() => void> {
    // What rows have let go of before this is in nobody's copy.
    await this.finish().catch(() => undefined)
    if (this.#holds++ === 0) {
      this.#released = new Promise((resolve) => {
        this.#release = resolve
      })
    }
    await Promise.allSettled([...this.#steps, this.#underWay])
    let isHeld = true
    return () => {
      if (isHeld && --this.#holds === 0) this.#release()
      isHeld = false
    }
  }

  async #whenReleased(signal: AbortSignal): Promise<void> {
    let stop: () => void = () => undefined
    const stopped = new Promise<void>((resolve) => {
      stop = resolve
    })
    signal.addEventListener('abort', stop, { once: true })
    try {
      await Promise.race([this.#released, stopped])
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #finishAll(): Promise<void> {
    try {
      while (this.#isWanted) {
        this.#isWanted = false
        while (await this.#finishSome());
      }
    } finally {
      // In the same turn as the last look, so that nobody who asks is taken for seen.
      this.#underWay = undefined
    }
  }

  /** @returns whether there may be more that can be removed now */
  async #finishSome(): Promise<boolean> {
    const removals = await this.#metadata.listFileRemovals(batchSize)
    const done: Digest[] = []
    try {
      for (const removal of removals) {
        // Damaged bytes are of use to nobody, and are in the way of those that heal them.
        if (this.#holds > 0 && removal.destination === 'nowhere') continue
        await this.#remove(removal)
        done.push(removal.digest)
      }
    } finally {
      if (done.length > 0) await this.#metadata.forgetFileRemovals(done)
    }
    return this.#holds === 0 && removals.length === batchSize
  }

  async #remove({ digest, destination }: FileRemoval): Promise<void> {
    if (destination === 'nowhere') {
      await this.#blobs.remove(digest)
      return
    }
    const name = await this.#blobs.quarantine(digest)
    if (name !== undefined) this.#log.warn({ digest, name }, 'damaged bytes were put aside')
  }
}
