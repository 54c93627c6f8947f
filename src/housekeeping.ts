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
  #underWay: Promise<void>

  /** Starts with a first round. */
  constructor(registry: Registry, options: HousekeepingOptions) {
    this.#registry = registry
    this.#options = options
    this.#underWay = this.round()
    this.#timer = setInterval(() => {
      this.#underWay = this.#underWay.then(() => this.round())
    }, intervalMs)
    this.#timer.unref()
  }

  /** Starts no further round, and waits for the one under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#underWay
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
