const variable = 'BERTH_TEST_SEED'

/** Numbers that look random and are the same for the same seed. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number of at least 0 and less than 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number of at least 0 and less than `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  isTrue(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  /** Another source of numbers, for work that runs at the same time. */
  fork(): Random {
    return new Random(this.below(2 ** 32))
  }

  /** Bytes that do not repeat within any test. */
  bytes(sizeBytes: number): Buffer {
    const words = new Uint32Array(Math.ceil(sizeBytes / 4))
    for (let index = 0; index < words.length; index++) words[index] = this.below(2 ** 32)
    return Buffer.from(words.buffer, 0, sizeBytes)
  }

  /** `count` of the items, or all when there are fewer, in their order. */
  sample<T>(items: readonly T[], count: number): T[] {
    let wanted = count
    return items.filter((_item, index) => {
      const isTaken = this.next() * (items.length - index) < wanted
      if (isTaken) wanted--
      return isTaken
    })
  }
}

/** A new seed each time, which is printed; or the one of the environment, to see a failure again. */
export function printedSeed(test: string): number {
  const given = process.env[variable]
  const seed = given === undefined ? Date.now() % 2 ** 32 : Number(given)
  process.stdout.write(`${test}: ${variable}=${seed}\n`)
  return seed
}
