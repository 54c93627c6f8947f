import { LiveSessions } from './live-sessions.js'
import type { WriteRequest } from './writer-protocol.js'

/** A long transaction delays everybody in it; beyond this the next one takes over. */
export const groupSizeMax = 256

/**
 * The longest that a write waits for those that are about to come. With 8 clients that push small
 * images: 0.9 syncs an image instead of 2.7, at nine tenths of the rate on a disk that syncs in
 * 0.2 ms.
 */
const holdMs = 5

/**
 * Holds back writes that need a sync for a moment, when others are about to come that can share it.
 * A client alone waits for nobody.
 */
export class SharedSync {
  readonly #commit: (requests: readonly WriteRequest[]) => void
  readonly #sessions = new LiveSessions()
  #held: WriteRequest[] = []
  #due: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined

  constructor(commit: (requests: readonly WriteRequest[]) => void) {
    this.#commit = commit
  }

  /**
   * Takes what arrived last, be it nothing, and commits all that is held unless there is company to
   * wait for.
   *
   * @param quick - what came with it and needs no sync: from it is known who else is about to come
   */
  add(requests: readonly WriteRequest[], quick: readonly WriteRequest[]): void {
    for (const request of [...quick, ...requests]) this.#sessions.hearOf(request)
    this.#held.push(...requests)
    if (this.#held.length === 0) return
    // The timer alone would not do: it does not fire while one write follows the other.
    const isDue = this.#due !== undefined && performance.now() >= this.#due.at
    if (isDue || this.#held.length >= groupSizeMax || !this.#sessions.areThere()) this.release()
    else
      this.#due ??= {
        at: performance.now() + holdMs,
        timer: setTimeout(() => this.release(), holdMs),
      }
  }

  release(): void {
    clearTimeout(this.#due?.timer)
    this.#due = undefined
    const requests = this.#held
    this.#held = []
    this.#commit(requests)
  }
}
