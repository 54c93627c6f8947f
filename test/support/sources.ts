import type { ByteFlow, ByteSink, ByteSource } from '../../src/storage/byte-source.js'

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** Pieces as fast as they are taken; ends with the failure that they throw. */
export function sourceOf(pieces: Pieces): ByteSource {
  return { open: (sink) => new PiecesFlow(pieces, sink) }
}

/** These pieces, whole. */
export function piecesOf(...pieces: readonly (Uint8Array | string)[]): ByteSource {
  return sourceOf(pieces.map((piece) => Buffer.from(piece)))
}

/** Bytes in pieces of these sizes, the last size again for what is left. */
export function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = sizes[Math.min(pieces.length, sizes.length - 1)] ?? 1
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

/** The same pieces, and then a failure. */
export function* failingAfter(pieces: Iterable<Uint8Array>, failure: Error): Generator<Uint8Array> {
  yield* pieces
  throw failure
}

/** A source that a test plays. */
export class PlayedSource implements ByteSource, ByteFlow {
  #sink: ByteSink | undefined
  isPaused = false
  isStopped = false

  /** Somebody listens. */
  get isOpen(): boolean {
    return this.#sink !== undefined
  }

  open(sink: ByteSink): ByteFlow {
    this.#sink = sink
    return this
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  stop(): void {
    this.isStopped = true
  }

  give(piece: Uint8Array | string): void {
    if (this.isPaused || this.isStopped) throw new Error('nobody wants this piece now')
    this.#sink?.receive(Buffer.from(piece))
  }

  end(failure?: Error): void {
    if (!this.isStopped) this.#sink?.end(failure)
  }
}

class PiecesFlow implements ByteFlow {
  readonly #sink: ByteSink
  #isPaused = false
  #isStopped = false
  #wake: () => void = () => undefined

  constructor(pieces: Pieces, sink: ByteSink) {
    this.#sink = sink
    // The sink is not ready before it has this flow.
    queueMicrotask(() => void this.#give(pieces))
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#wake()
  }

  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  async #give(pieces: Pieces): Promise<void> {
    const iterator: Iterator<Uint8Array> | AsyncIterator<Uint8Array> =
      Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]()
    let failure: Error | undefined
    try {
      for (;;) {
        while (this.#isPaused && !this.#isStopped) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
        if (this.#isStopped) return
        const next = iterator.next()
        const result = next instanceof Promise ? await next : next
        if (result.done) break
        this.#sink.receive(result.value)
      }
    } catch (error) {
      failure = error as Error
    }
    if (!this.#isStopped) this.#sink.end(failure)
  }
}
