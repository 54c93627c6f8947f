/**
 * What waits in line, with a line for each place: the places take turns, so that nobody waits longer for
 * how much others want from elsewhere.
 */
export class FairQueue<T> {
  readonly #lengthMax: number
  /** In the order of their turns. */
  readonly #lines = new Map<string, T[]>()
  #length = 0

  /** @param lengthMax - how many may wait in all */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax
  }

  /** @returns what has to give way: where there is no room, the newest of whichever place has most */
  push(place: string, item: T): T | undefined {
    const line = this.#lines.get(place) ?? []
    if (line.length === 0) this.#lines.set(place, line)
    line.push(item)
    this.#length++
    return this.#length > this.#lengthMax ? this.#giveWay(place) : undefined
  }

  /** The next in turn. */
  shift(): T | undefined {
    const [turn] = this.#lines
    if (turn === undefined) return undefined
    const [place, line] = turn
    const item = line.shift()
    this.#length--
    this.#lines.delete(place)
    if (line.length > 0) this.#lines.set(place, line)
    return item
  }

  #giveWay(newcomer: string): T | undefined {
    // Among equals whoever was there before stays.
    let longest = newcomer
    const lengthOf = (place: string) => this.#lines.get(place)?.length ?? 0
    for (const place of this.#lines.keys()) if (lengthOf(place) > lengthOf(longest)) longest = place
    const item = this.#lines.get(longest)?.pop()
    this.#length--
    if (lengthOf(longest) === 0) this.#lines.delete(longest)
    return item
  }
}
