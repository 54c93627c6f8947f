import { AsyncLocalStorage } from 'node:async_hooks'

/** A place at which a piece of work waits for a store: it has yet to ask, or has yet to hear. */
export interface StopPoint {
  /** Which of its calls. */
  readonly index: number
  readonly side: 'before' | 'after'
}

/** Something that a piece of work has asked of a store. */
export interface Call {
  /** `port.method` */
  readonly name: string
  /** It has found nothing, and so has changed nothing either. */
  isIdle: boolean
  /** It was answered no. */
  isToldToWait: boolean
}

const current = new AsyncLocalStorage<Track>()

/**
 * What one piece of work asks of the stores, in its order; it can be stopped at one of these calls,
 * and everything else goes on meanwhile.
 */
export class Track {
  /** Those that have begun so far. */
  readonly calls: Call[] = []
  /** Resolves when the work stands still where it was to stop. */
  readonly stopped: Promise<void>
  readonly #stop: StopPoint | undefined
  readonly #released: Promise<void>
  #announce: () => void = () => undefined
  #release: () => void = () => undefined

  constructor(stop?: StopPoint) {
    this.#stop = stop
    this.stopped = new Promise((resolve) => (this.#announce = resolve))
    this.#released = new Promise((resolve) => (this.#release = resolve))
  }

  /** Does the work, and follows it wherever it goes. */
  follow<T>(work: () => Promise<T>): Promise<T> {
    return current.run(this, work)
  }

  /** Lets it go on, or not stop at all. */
  goOn(): void {
    this.#release()
  }

  async pass<T>(name: string, call: () => Promise<T>): Promise<T> {
    const last = this.calls.at(-1)
    // Whoever is told to wait asks again, nobody knows how often: that is one call.
    const isAgain = last?.name === name && last.isToldToWait
    const asked: Call = isAgain ? last : { name, isIdle: false, isToldToWait: false }
    const index = (isAgain ? this.calls.length : this.calls.push(asked)) - 1
    await this.#reach(index, 'before')
    try {
      const answer = await call()
      asked.isToldToWait = answer === false
      asked.isIdle = answer === false || (Array.isArray(answer) && answer.length === 0)
      return answer
    } finally {
      await this.#reach(index, 'after')
    }
  }

  async #reach(index: number, side: StopPoint['side']): Promise<void> {
    if (this.#stop?.index !== index || this.#stop.side !== side) return
    this.#announce()
    await this.#released
  }
}

/** How far a run has come is noted every other second: nobody could number what comes after that. */
const BY_THE_CLOCK = 'recordRun'

/**
 * A store whose calls are on the track of whoever makes them.
 *
 * @param heard - is told what each call has answered
 */
export function tracked<Port extends object>(
  port: string,
  store: Port,
  heard: (method: string, answer: unknown) => void = () => undefined,
): Port {
  return new Proxy(store, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        const call = async (): Promise<unknown> => {
          const answer: unknown = await Reflect.apply(member, target, args)
          heard(String(property), answer)
          return answer
        }
        const track = current.getStore()
        return track && property !== BY_THE_CLOCK
          ? track.pass(`${port}.${String(property)}`, call)
          : call()
      }
    },
  })
}
