import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError } from '../errors.js'

export interface RepeatingOptions {
  /** What it is called in the log. */
  readonly name: string
  readonly everyMs: number
  readonly log: FastifyBaseLogger
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/** Does something now and then, one time after the other; what fails is tried again the next time. */
export class Repeating {
  readonly #work: (signal: AbortSignal) => Promise<void>
  readonly #options: RepeatingOptions
  readonly #timer: NodeJS.Timeout
  readonly #stop = new AbortController()
  #underWay: Promise<void> | undefined

  /**
   * Starts with a first time.
   *
   * @param work - is to end soon after its signal
   */
  constructor(work: (signal: AbortSignal) => Promise<void>, options: RepeatingOptions) {
    this.#work = work
    this.#options = options
    this.#start()
    this.#timer = setInterval(() => this.#start(), options.everyMs)
    this.#timer.unref()
  }

  /** Starts nothing any more, and waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stop.abort()
    await this.#underWay
  }

  /** What takes longer than the interval is not followed by the times it has missed. */
  #start(): void {
    this.#underWay ??= this.#attempt().finally(() => {
      this.#underWay = undefined
    })
  }

  async #attempt(): Promise<void> {
    const { name, log, onDurabilityLost } = this.#options
    try {
      await this.#work(this.#stop.signal)
    } catch (error) {
      if (error instanceof DurabilityLostError) onDurabilityLost(error)
      else if (!this.#stop.signal.aborted) {
        log.error({ err: error }, `${name} failed; it is tried again`)
      }
    }
  }
}
