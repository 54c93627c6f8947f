/** What a series of requests took, as its client saw it. */
export class Timings {
  #startedAt = performance.now()
  #milliseconds = []

  add(milliseconds) {
    this.#milliseconds.push(milliseconds)
  }

  /** @returns {{ count: number, seconds: number, p50Ms: number, p99Ms: number }} */
  summary() {
    const seconds = (performance.now() - this.#startedAt) / 1000
    const sorted = Float64Array.from(this.#milliseconds).sort()
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
    return { count: sorted.length, seconds, p50Ms: at(0.5), p99Ms: at(0.99) }
  }
}
