/**
 * Measured: a mebibyte costs a third more CPU, because it has left the processor's cache by the time
 * it is written; half as much as this gains nothing.
 */
const bufferBytes = 256 * 1024

/** 64 MiB: enough for 128 uploads that have two each, however fast they come. */
const buffersMax = 256

/** Those that wait for their next use do not go back to the system in between. */
const idleMax = 16

/** Who fills buffers. */
export interface BufferUser {
  /** Gets the buffer it waited for. */
  use(buffer: Buffer): void

  /** Others wait: what is in its buffer is to be written now, though the buffer is not full. */
  flush(): void
}

/**
 * The memory that uploads pass through on their way to the disk. There is only so much for all of
 * them: who finds none left waits. While anybody waits nobody holds a buffer that is partly filled
 * for longer than it takes to write it, so that a thousand slow clients do not stop one fast.
 */
export class WriteBuffers {
  readonly #idle: Buffer[] = []
  /** The longest first. */
  readonly #waiting = new Set<BufferUser>()
  /** Who holds a buffer that is not being written yet, the longest first. */
  readonly #filling = new Set<BufferUser>()
  #lent = 0

  /** Somebody waits: buffers are to be written as soon as anything is in them. */
  get isWanted(): boolean {
    return this.#waiting.size > 0
  }

  /** A buffer to fill; or undefined, and then `user` gets one later. */
  take(user: BufferUser): Buffer | undefined {
    if (this.#lent === buffersMax) {
      this.#waiting.add(user)
      const [longest] = this.#filling
      longest?.flush()
      return undefined
    }
    this.#lent++
    this.#filling.add(user)
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  }

  /** `user` fills no buffer any more, because it is written now, and waits for none. */
  leave(user: BufferUser): void {
    this.#filling.delete(user)
    this.#waiting.delete(user)
  }

  /** A buffer that nothing reads or writes any more. */
  giveBack(buffer: Buffer): void {
    const [next] = this.#waiting
    if (next) {
      this.#waiting.delete(next)
      this.#filling.add(next)
      next.use(buffer)
      return
    }
    this.#lent--
    if (this.#idle.length < idleMax) this.#idle.push(buffer)
  }
}
