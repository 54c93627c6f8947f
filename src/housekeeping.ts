import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError } from './errors.js'
import type { Registry } from './registry/registry.js'

const intervalMs = 60_000

export interface HousekeepingOptions {
  readonly log: FastifyBaseLogger
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/**
 * What has to happen without a request: ending uploads that nobody goes on with, now and then; and
 * removing the tags of deleted manifests, as soon as there are any.
 */
export class Housekeeping {
  readonly #registry: Registry
  readonly #options: HousekeepingOptions
  readonly #timer: NodeJS.Timeout
  readonly #stop = new AbortController()
  #underWay: Promise<void> | undefined
  #untagging: Promise<void> | undefined
  #tagsAreLeft = false

  /** Starts with a first round. */
  constructor(registry: Registry, options: HousekeepingOptions) {
    this.#registry = registry
    this.#options = options
    registry.manifests.onTagsLeft(() => void this.#untag())
    this.#start()
    this.#timer = setInterval(() => this.#start(), intervalMs)
    this.#timer.unref()
  }

  /** Starts nothing any more, and waits for what is under way; tags that are left can wait. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stop.abort()
    await Promise.all([this.#underWay, this.#untagging])
  }

  /** A round that takes longer than the interval is not followed by those it has missed. */
  #start(): void {
    this.#underWay ??= this.round().finally(() => {
      this.#underWay = undefined
    })
  }

  /** What one round does; throws for nothing but defects. */
  async round(): Promise<void> {
    // At once: removing the files of many uploads takes its time.
    await Promise.all([this.#untag(), this.#attempt(() => this.#registry.uploads.expire())])
  }

  async #untag(): Promise<void> {
    // Also for the one under way: it may just have looked for the last time.
    this.#tagsAreLeft = true
    await (this.#untagging ??= this.#untagAll())
  }

  async #untagAll(): Promise<void> {
    while (this.#tagsAreLeft) {
      this.#tagsAreLeft = false
      await this.#attempt(() => this.#registry.manifests.untag(this.#stop.signal))
    }
    // In the same turn as the last look, so that nobody who asks is taken for seen.
    this.#untagging = undefined
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof DurabilityLostError) this.#options.onDurabilityLost(error)
      else this.#options.log.error({ err: error }, 'housekeeping failed; it is tried again')
    }
  }
}
