import type { RunningDigest } from '../oci/digest.js'

/** Each holds about 2 KiB. Whoever loses its place is read once more at its commit. */
const sessionsMax = 1000

/**
 * The hash states of sessions that go on in another request, the least recently used forgotten
 * first. A state cannot be stored, so it lives here and is missing after a restart.
 */
export class RunningDigests {
  readonly #entries = new Map<string, { digest: RunningDigest; offsetBytes: number }>()

  keep(uploadId: string, digest: RunningDigest, offsetBytes: number): void {
    this.#entries.set(uploadId, { digest, offsetBytes })
    if (this.#entries.size <= sessionsMax) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  /** Hands out the state at an offset, to one caller. */
  take(uploadId: string, offsetBytes: number): RunningDigest | undefined {
    const entry = this.#entries.get(uploadId)
    this.#entries.delete(uploadId)
    return entry?.offsetBytes === offsetBytes ? entry.digest : undefined
  }

  forget(uploadId: string): void {
    this.#entries.delete(uploadId)
  }
}
