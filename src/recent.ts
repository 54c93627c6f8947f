/** A map of bounded size, which keeps the entries that were used last. */
export class Recent<Value> {
  readonly #max: number
  readonly #entries = new Map<string, Value>()

  constructor(max: number) {
    this.#max = max
  }

  /** Counts as a use. */
  get(key: string): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#max) return
    const [eldest] = this.#entries.keys()
    if (eldest !== undefined) this.#entries.delete(eldest)
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}
