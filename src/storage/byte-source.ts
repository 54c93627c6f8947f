/**
 * Bytes that are pushed to whoever takes them: at the rates of an upload, a promise for every piece
 * costs more than the copy of it. Nothing here knows where bytes come from or go to.
 */
export interface ByteSource {
  /** Lets the bytes flow, once. The sink hears nothing before this has returned. */
  open(sink: ByteSink): ByteFlow
}

export interface ByteSink {
  /** Takes the next piece, which is the sink's own from now on. */
  receive(piece: Uint8Array): void

  /** Nothing more comes: that was all, or `failure` has cut it short. Comes once, and last. */
  end(failure?: Error): void
}

/** What a sink can ask of its source. */
export interface ByteFlow {
  /** No piece comes until `resume`; an early end may. */
  pause(): void

  resume(): void

  /** The sink has had enough: nothing more comes, no end either. */
  stop(): void
}

/** Bytes that are there already, as a source. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    open(sink) {
      let isStopped = false
      queueMicrotask(() => {
        if (!isStopped) sink.receive(bytes)
        if (!isStopped) sink.end()
      })
      const stop = () => {
        isStopped = true
      }
      // One piece is all there is: after it there is nothing to pause.
      return { pause: () => undefined, resume: () => undefined, stop }
    },
  }
}

/**
 * Takes in what a source gives until it ends or has given more than `bytesMax`; in that case the
 * source waits, and {@link Head.whole} goes on with it.
 */
export function headOf(source: ByteSource, bytesMax: number): Promise<Head> {
  return new Promise((resolve) => {
    new HeadSink(source, bytesMax, resolve)
  })
}

/** What a source has begun with. */
export type Head =
  | {
      /** All there is, in memory. */
      readonly bytes: Buffer
      /** What has cut the source short; what came before is in `bytes`. */
      readonly failure?: Error
      readonly whole?: undefined
    }
  | {
      /** The source from its first byte on, as it has more than was asked for: to be opened, or stopped. */
      readonly whole: ByteSource & Pick<ByteFlow, 'stop'>
    }

/**
 * A whole source in memory.
 *
 * @returns undefined when it has more than `bytesMax`; the rest of it is left where it is
 * @throws what has cut the source short
 */
export async function collect(source: ByteSource, bytesMax: number): Promise<Buffer | undefined> {
  const head = await headOf(source, bytesMax)
  if (head.whole) {
    head.whole.stop()
    return undefined
  }
  if (head.failure) throw head.failure
  return head.bytes
}

/** Takes in the head of a source; then, for whoever opens it, gives that and all that follows. */
class HeadSink implements ByteSink, ByteSource, ByteFlow {
  readonly #bytesMax: number
  readonly #resolve: (head: Head) => void
  readonly #flow: ByteFlow
  #pieces: Uint8Array[] = []
  #sizeBytes = 0
  /** Where everything goes once somebody wants the whole. */
  #next: ByteSink | undefined
  #end: { readonly failure: Error | undefined } | undefined
  #isWaiting = false
  #isPaused = false
  #isStopped = false

  constructor(source: ByteSource, bytesMax: number, resolve: (head: Head) => void) {
    this.#bytesMax = bytesMax
    this.#resolve = resolve
    this.#flow = source.open(this)
  }

  receive(piece: Uint8Array): void {
    if (this.#next && !this.#isWaiting) {
      this.#next.receive(piece)
      return
    }
    this.#pieces.push(piece)
    this.#sizeBytes += piece.byteLength
    if (this.#sizeBytes <= this.#bytesMax) return
    this.#isWaiting = true
    this.#flow.pause()
    this.#resolve({ whole: this })
  }

  end(failure?: Error): void {
    this.#end = { failure }
    if (this.#isWaiting) return
    if (this.#next) this.#next.end(failure)
    else {
      const bytes = Buffer.concat(this.#pieces, this.#sizeBytes)
      this.#resolve({ bytes, ...(failure && { failure }) })
    }
  }

  open(next: ByteSink): ByteFlow {
    this.#next = next
    queueMicrotask(() => this.#goOn())
    return this
  }

  pause(): void {
    this.#isPaused = true
    this.#flow.pause()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#isWaiting) queueMicrotask(() => this.#goOn())
    else this.#flow.resume()
  }

  stop(): void {
    this.#isStopped = true
    this.#flow.stop()
  }

  #goOn(): void {
    for (;;) {
      if (!this.#isWaiting || this.#isPaused || this.#isStopped) return
      const piece = this.#pieces.shift()
      if (piece === undefined) break
      this.#next?.receive(piece)
    }
    this.#isWaiting = false
    if (this.#end) this.#next?.end(this.#end.failure)
    else this.#flow.resume()
  }
}
