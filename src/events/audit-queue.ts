import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError } from '../errors.js'
import type { AuditEvent } from '../metadata/audit.js'

/** How late an event may be written down. */
const flushMs = 250

/** Written down at once when so many wait. */
const flushAt = 500

/** So few that a push behind them in the writer's thread waits a millisecond. */
const batchSize = 100

/** After a failure it is tried again so much later. */
const retryMs = 1000

/** Some megabytes; events beyond are lost. */
const waitingMax = 10_000

export interface AuditQueueOptions {
  /** Where events go, as a person calls it. */
  readonly name: string
  /** Writes a batch. One that fails is given again, as it was. */
  readonly write: (events: readonly AuditEvent[]) => Promise<void>
  /** The event that tells of those that were lost. */
  readonly lost: (count: number) => AuditEvent
  readonly log: FastifyBaseLogger
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/**
 * Events on their way to one place: collected in memory, so that nobody waits for it, and written a
 * moment later, in their order. What cannot be written stays, as far as there is room.
 */
export class AuditQueue {
  readonly #options: AuditQueueOptions
  #waiting: AuditEvent[] = []
  /** What is being written, or was tried. */
  #batch: readonly AuditEvent[] = []
  #lostCount = 0
  #isFailing = false
  #isClosed = false
  #flushing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: AuditQueueOptions) {
    this.#options = options
  }

  add(event: AuditEvent): void {
    if (this.#waiting.length >= waitingMax) {
      this.#lose()
      return
    }
    this.#waiting.push(event)
    if (this.#waiting.length === flushAt && !this.#isFailing) void this.flush()
    else this.#flushLater(flushMs)
  }

  /** Writes what has been added; throws nothing. */
  async flush(): Promise<void> {
    await (this.#flushing ??= this.#writeAll())
  }

  /** To be called when nobody adds any more: tries once, and says what is lost. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
    clearTimeout(this.#timer)
    const count = this.#batch.length + this.#waiting.length
    if (count > 0) {
      this.#options.log.error(
        { count },
        `audit events could not be written to ${this.#options.name}`,
      )
    }
  }

  async #writeAll(): Promise<void> {
    // Its end must not come before whoever began it has taken it down.
    await Promise.resolve()
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      while (this.#take()) {
        await this.#options.write(this.#batch)
        this.#batch = []
        this.#succeeded()
      }
    } catch (error) {
      this.#failed(error)
    }
    // In the same turn as the last look, so that nothing that is added is taken for seen.
    this.#flushing = undefined
  }

  /** @returns whether there is a batch to write */
  #take(): boolean {
    if (this.#batch.length === 0) this.#batch = this.#waiting.splice(0, batchSize)
    return this.#batch.length > 0
  }

  #succeeded(): void {
    this.#isFailing = false
    if (this.#lostCount === 0) return
    this.#waiting.push(this.#options.lost(this.#lostCount))
    this.#lostCount = 0
  }

  #failed(error: unknown): void {
    const { name, log, onDurabilityLost } = this.#options
    if (error instanceof DurabilityLostError) {
      onDurabilityLost(error)
      return
    }
    if (!this.#isFailing) {
      log.error({ err: error }, `the audit trail cannot be written to ${name}; it is tried again`)
    }
    this.#isFailing = true
    if (!this.#isClosed) this.#flushLater(retryMs)
  }

  #lose(): void {
    this.#lostCount++
    if (this.#lostCount > 1) return
    const { name, log } = this.#options
    log.error(`too many audit events wait for ${name}: some are lost, and will be counted there`)
  }

  #flushLater(ms: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), ms).unref()
  }
}
