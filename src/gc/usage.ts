import type { StoredBytes } from '../metadata/collecting.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { BlobStore } from '../storage/blob-store.js'
import { dayMs, isFresh } from '../times.js'
import type { Collector } from './collector.js'

/** What takes up space, and when it gives it back. Sizes are bytes, each stored byte once. */
export interface UsageFigures {
  readonly at: number
  readonly stored: StoredBytes
  /** Of these, what nothing needs any more: the next run frees it. */
  readonly collectableBytes: number
  /** Of these, what is kept so that it can be brought back, or for a while longer. */
  readonly windowBytes: number
  /** How much will have gone by when, if nothing changes. */
  readonly goes: readonly { readonly by: number; readonly bytes: number }[]
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number }
}

export interface UsageOptions {
  readonly metadata: MetadataStore
  readonly blobs: BlobStore
  readonly now: () => number
  readonly undoMs: number
}

/** It takes a look at every review: whoever asks more often gets the answer of the one before. */
const freshMs = 60_000

/** Adds up what is stored, and what of it is on its way out. */
export class Usage {
  readonly #collector: Collector
  readonly #options: UsageOptions
  #latest: Promise<UsageFigures> | undefined
  #askedAt = -Infinity
  #underWay: Promise<UsageFigures> | undefined
  /** Begins when the one under way has ended. */
  #next: Promise<UsageFigures> | undefined

  constructor(collector: Collector, options: UsageOptions) {
    this.#collector = collector
    this.#options = options
  }

  /** @param fresh - not older than this very moment; else than a minute */
  measure({ fresh }: { readonly fresh: boolean }): Promise<UsageFigures> {
    const isRecent = isFresh(this.#askedAt, this.#options.now(), freshMs)
    if (!fresh && isRecent && this.#latest) return this.#latest
    if (this.#underWay === undefined) return this.#begin()
    if (!fresh) return this.#underWay
    // That one has begun before they asked; however many ask, one more will do.
    this.#next ??= this.#underWay
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#begin()
      })
    return this.#next
  }

  #begin(): Promise<UsageFigures> {
    const at = this.#options.now()
    this.#askedAt = at
    const figures = this.#measure(at)
    this.#latest = figures
    this.#underWay = figures
    const ended = () => {
      if (this.#underWay === figures) this.#underWay = undefined
    }
    figures.then(ended, () => {
      ended()
      if (this.#latest === figures) this.#latest = undefined
    })
    return figures
  }

  async #measure(at: number): Promise<UsageFigures> {
    const { metadata, blobs, undoMs } = this.#options
    const stored = await metadata.measureStored()
    const collectableBytes = await this.#collector.foreseen({}, at)
    const purgeable = await this.#collector.foreseen({ purge: true }, at)
    const goes: { by: number; bytes: number }[] = []
    for (const days of daysAhead(undoMs / dayMs)) {
      const by = at + days * dayMs
      goes.push({ by, bytes: await this.#collector.foreseen({}, by) })
    }
    const disk = await blobs.freeSpace()
    return {
      ...{ at, stored, collectableBytes, goes },
      windowBytes: Math.max(purgeable - collectableBytes, 0),
      ...(disk && { disk }),
    }
  }
}

/** Tomorrow, when the undo window of now is over, and when what is kept for a month is. */
function daysAhead(undoDays: number): number[] {
  return [...new Set([1, undoDays, undoDays + 30])].filter((days) => days > 0).sort((a, b) => a - b)
}
