import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError } from '../errors.js'
import type { Digest } from '../oci/digest.js'
import type { FileRemoval } from '../metadata/collecting.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { BlobStore } from '../storage/blob-store.js'

export interface FileRemovalsOptions {
  readonly log: FastifyBaseLogger
  /** Of what nobody waits for. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

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
  readonly #onDurabilityLost: FileRemovalsOptions['onDurabilityLost']
  readonly #steps = new Set<Promise<unknown>>()
  #holds = 0
  #isHeld = false
  #held: Promise<void> = Promise.resolve()
  #released: Promise<void> = Promise.resolve()
  #release: () => void = () => undefined
  #isWanted = false
  #underWay: Promise<void> | undefined

  constructor(
    stores: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
    { log, onDurabilityLost }: FileRemovalsOptions,
  ) {
    this.#metadata = stores.metadata
    this.#blobs = stores.blobs
    this.#log = log
    this.#onDurabilityLost = onDurabilityLost
  }

  /**
   * Removes all that is to be removed by now. What is held back is left for later, and so is what cannot
   * be removed, which is logged.
   *
   * @throws what the metadata store throws, and {@link DurabilityLostError}; the next call goes on
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
   * As {@link finish}, for those who do not wait: it is tried again by whoever collects.
   */
  finishSoon(): void {
    void this.finish().catch((error: unknown) => {
      if (error instanceof DurabilityLostError) this.#onDurabilityLost(error)
      else this.#log.warn({ err: error }, 'bytes that are not needed could not be removed yet')
    })
  }

  /**
   * Has no bytes removed until it is released that a row spoke for when this resolved. For a copy of the
   * store, whose rows are from a later moment.
   *
   * @returns what releases it
   * @throws {@link DurabilityLostError}
   */
  async hold(): Promise<() => void> {
    if (this.#holds++ === 0) {
      this.#released = new Promise((resolve) => {
        this.#release = resolve
      })
      this.#held = this.#settle()
    }
    await this.#held
    let holds = true
    return () => {
      if (!holds) return
      holds = false
      if (--this.#holds > 0) return
      this.#isHeld = false
      this.#release()
    }
  }

  /** Ends what is under way, so that no push has to wait for it as long as removing is held. */
  async #settle(): Promise<void> {
    await Promise.allSettled(this.#steps)
    await this.finish().catch((error: unknown) => {
      if (error instanceof DurabilityLostError) throw error
    })
    while (this.#underWay) await this.#underWay.catch(() => undefined)
    this.#isHeld = true
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
        for (let after: Digest | undefined, isFirst = true; after ?? isFirst; isFirst = false) {
          after = await this.#finishSome(after)
        }
      }
    } finally {
      // In the same turn as the last look, so that nobody who asks is taken for seen.
      this.#underWay = undefined
    }
  }

  /** @returns behind what to go on; undefined when that was all */
  async #finishSome(after: Digest | undefined): Promise<Digest | undefined> {
    const removals = await this.#metadata.listFileRemovals(batchSize, after)
    const done: Digest[] = []
    const failures: { readonly digest: Digest; readonly error: unknown }[] = []
    try {
      for (const removal of removals) {
        if (this.#isHeld && mayBeInCopy(removal)) continue
        const { digest } = removal
        try {
          await this.#remove(removal)
          done.push(digest)
        } catch (error) {
          if (error instanceof DurabilityLostError) throw error
          failures.push({ digest, error })
        }
      }
    } finally {
      if (done.length > 0) await this.#metadata.forgetFileRemovals(done)
    }
    const [first] = failures
    if (first) {
      const { digest, error } = first
      const failed = { err: error, digest, count: failures.length }
      this.#log.error(failed, 'bytes that are not needed cannot be removed; it is tried again')
    }
    return removals.length === batchSize ? removals.at(-1)?.digest : undefined
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

/**
 * Whether a copy of the store may have a row that these bytes are for. Rows of blobs are not removed while
 * removing is held, so what has none now had none when the copy was made. Damaged bytes are of use to
 * nobody, and are in the way of those that heal them.
 */
function mayBeInCopy({ destination, hasRow }: FileRemoval): boolean {
  return destination === 'nowhere' && hasRow
}
