import type { WriteRequest } from './writer-protocol.js'

/** A client that takes longer over its next request is not waited for. */
const liveMs = 10

/**
 * Upload sessions that were heard of a moment ago and have little in them. Their clients are about to
 * come back and make them blobs: with writes that need a sync, and may share one.
 */
export class LiveSessions {
  /** When each was heard of, in milliseconds of the process; the latest last. */
  readonly #heardAt = new Map<string, number>()

  hearOf(request: WriteRequest): void {
    const { name, args } = request
    if (name === 'openUpload' || name === 'advanceUpload') this.#heard(args[0].id)
    else if (name === 'storeUpload') this.#heardAt.delete(args[0].id)
    else if (name === 'abortUpload') this.#heardAt.delete(args[1])
    else if (name === 'putBlob' && args[0].uploadId) this.#heardAt.delete(args[0].uploadId)
  }

  /** Whether any may be waited for. */
  areThere(): boolean {
    this.#forgetOld()
    return this.#heardAt.size > 0
  }

  #heard(id: string): void {
    // Here too, so that they do not pile up while nobody asks.
    this.#forgetOld()
    // To the end of the map, where the latest are.
    this.#heardAt.delete(id)
    this.#heardAt.set(id, performance.now())
  }

  #forgetOld(): void {
    const since = performance.now() - liveMs
    for (const [id, heardAt] of this.#heardAt) {
      if (heardAt > since) return
      this.#heardAt.delete(id)
    }
  }
}
