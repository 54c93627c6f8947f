/** What a series of requests took, as its client saw it. */
export class Timings {
  #startedAt = performance.now()
  #milliseconds = []
  #bytes = 0

  /** @param {number} [bytes] - moved by it */
  add(milliseconds, bytes = 0) {
    this.#milliseconds.push(milliseconds)
    this.#bytes += bytes
  }

  /**
   * @returns {{ count: number, bytes: number, seconds: number, p50Ms: number, p99Ms: number,
   *   longestMs: number }}
   */
  summary() {
    const seconds = (performance.now() - this.#startedAt) / 1000
    const sorted = Float64Array.from(this.#milliseconds).sort()
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
    const [p50Ms, p99Ms, longestMs] = [at(0.5), at(0.99), sorted.at(-1)]
    return { count: sorted.length, bytes: this.#bytes, seconds, p50Ms, p99Ms, longestMs }
  }
}
