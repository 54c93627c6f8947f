import { addressKey } from '../addresses.js'
import { isFresh } from '../times.js'

/** So many refusals of one address are events of their own in a minute; others are counted. */
const eachMinute = 120

const windowMs = 60_000

/** Addresses that are told apart; those beyond share one count. */
const addressesMax = 10_000

/** So many refusals are events in a minute, wherever they come from. */
const allMax = 2000

export interface Skipped {
  readonly address: string
  readonly count: number
}

/** Keeps whoever is refused again and again from filling the disk with it. */
export class RefusalBudget {
  #counts = new Map<string, number>()
  #beganAt = 0
  #admitted = 0

  /** @returns whether this refusal is to be an event */
  admits(from: string): boolean {
    const address = addressKey(from)
    const isOwn = this.#counts.has(address) || this.#counts.size < addressesMax
    const key = isOwn && this.#admitted < allMax ? address : ''
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    const isAdmitted = count <= eachMinute
    if (isAdmitted) this.#admitted++
    return isAdmitted
  }

  /** What was only counted in the minute that is over, if it is; then another one begins. */
  takeSkipped(at: number): Skipped[] {
    return isFresh(this.#beganAt, at, windowMs) ? [] : this.takeAll(at)
  }

  takeAll(at: number): Skipped[] {
    const over = [...this.#counts].filter(([, count]) => count > eachMinute)
    this.#counts = new Map()
    this.#beganAt = at
    this.#admitted = 0
    return over.map(([address, count]) => ({ address, count: count - eachMinute }))
  }
}
