import type { ByteFlow, ByteSink, ByteSource } from '../storage/byte-source.js'

export interface Watch {
  /** More bytes than these end the source with {@link SpanExceeded}. */
  readonly spanBytes: number
  readonly now: () => number
  readonly touchMs: number
  /** Called when bytes come, no more often than every `touchMs`; what it throws ends the source. */
  readonly touch: () => Promise<void>
  readonly lookEveryBytes: number
  /** Called each time so many bytes have come; what it throws ends the source. */
  readonly look: () => Promise<void>
}

/** More bytes came than the request's range has room for. */
export class SpanExceeded extends Error {}

/** Passes a source on, and looks at what passes. */
export function watched(source: ByteSource, watch: Watch): ByteSource {
  return { open: (sink) => new WatchedFlow(source, sink, watch) }
}

class WatchedFlow implements ByteSink, ByteFlow {
  readonly #sink: ByteSink
  readonly #watch: Watch
  readonly #flow: ByteFlow
  #passedBytes = 0
  #touchedAt: number
  #lookedAtByte = 0
  #isOver = false

  constructor(source: ByteSource, sink: ByteSink, watch: Watch) {
    this.#sink = sink
    this.#watch = watch
    this.#touchedAt = watch.now()
    this.#flow = source.open(this)
  }

  receive(piece: Uint8Array): void {
    const { spanBytes, now, touchMs, touch, lookEveryBytes, look } = this.#watch
    this.#passedBytes += piece.byteLength
    if (this.#passedBytes > spanBytes) {
      this.#cut(new SpanExceeded())
      return
    }
    if (now() - this.#touchedAt >= touchMs) {
      this.#touchedAt = now()
      touch().catch((error: unknown) => this.#cut(error as Error))
    }
    if (this.#passedBytes - this.#lookedAtByte >= lookEveryBytes) {
      this.#lookedAtByte = this.#passedBytes
      look().catch((error: unknown) => this.#cut(error as Error))
    }
    this.#sink.receive(piece)
  }

  end(failure?: Error): void {
    this.#isOver = true
    this.#sink.end(failure)
  }

  pause(): void {
    this.#flow.pause()
  }

  resume(): void {
    this.#flow.resume()
  }

  stop(): void {
    this.#isOver = true
    this.#flow.stop()
  }

  #cut(failure: Error): void {
    if (this.#isOver) return
    this.stop()
    this.#sink.end(failure)
  }
}
