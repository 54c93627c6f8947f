import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError } from './errors.js'
import type { Registry } from './registry/registry.js'

const intervalMs = 60_000

export interface HousekeepingOptions {
  readonly log: FastifyBaseLogger
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/** What has to happen now and then without a request: ending uploads that nobody goes on with. */
export class Housekeeping {
  readonly #registry: Registry
  readonly #options: HousekeepingOptions
  readonly #timer: NodeJS.Timeout
  #underWay: Promise<void> | undefined

  /** Starts with a first round. */
  constructor(registry: Registry, options: HousekeepingOptions) {
    this.#registry = registry
    this.#options = options
    this.#start()
    this.#timer = setInterval(() => this.#start(), intervalMs)
    this.#timer.unref()
  }

  /** Starts no further round, and waits for the one under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#underWay
  }

  /** A round that takes longer than the interval is not followed by those it has missed. */
  #start(): void {
    this.#underWay ??= this.round().finally(() => {
      this.#underWay = undefined
    })
  }

  /** What one round does; throws for nothing but defects. */
  async round(): Promise<void> {
    try {
      await this.#registry.uploads.expire()
    } catch (error) {
      if (error instanceof DurabilityLostError) this.#options.onDurabilityLost(error)
      else this.#options.log.error({ err: error }, 'housekeeping failed; it is tried again')
    }
  }
}
