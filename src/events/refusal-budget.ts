/** So many refusals of one address are events of their own in a minute; others are counted. */
const eachMinute = 120

const windowMs = 60_000

/** Addresses that are told apart; those beyond share one count. */
const addressesMax = 10_000

export interface Skipped {
  readonly address: string
  readonly count: number
}

/** Keeps whoever is refused again and again from filling the disk with it. */
export class RefusalBudget {
  #counts = new Map<string, number>()
  #beganAt = 0

  /** @returns whether this refusal is to be an event */
  admits(address: string): boolean {
    const key = this.#counts.has(address) || this.#counts.size < addressesMax ? address : ''
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    return count <= eachMinute
  }

  /** What was only counted in the minute that is over, if it is; then another one begins. */
  takeSkipped(at: number): Skipped[] {
    const elapsedMs = at - this.#beganAt
    // A clock that was set back must not make it a long minute.
    return elapsedMs >= 0 && elapsedMs < windowMs ? [] : this.takeAll(at)
  }

  takeAll(at: number): Skipped[] {
    const over = [...this.#counts].filter(([, count]) => count > eachMinute)
    this.#counts = new Map()
    this.#beganAt = at
    return over.map(([address, count]) => ({ address, count: count - eachMinute }))
  }
}
