import { write } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { RunningDigest } from '../oci/digest.js'
import type { Appended } from './blob-store.js'
import type { ByteFlow, ByteSink, ByteSource } from './byte-source.js'
import type { BufferUser, WriteBuffers } from './write-buffers.js'

/** With two on their way the disk never waits for us; more would only wait for it. */
const underWayMax = 2

export interface FileReceiverOptions {
  readonly buffers: WriteBuffers
  /** Where in the file the first byte goes. */
  readonly atByte: number
  readonly digest?: RunningDigest
}

/**
 * Takes in a source and writes it to a file, buffer by buffer. Pieces are copied: they die young,
 * and the memory of an upload is that of its buffers, whatever the sizes of the pieces.
 *
 * A buffer is hashed when it is full and before it is written: in the order of arrival, in which
 * writes need not end.
 */
export class FileReceiver implements ByteSink, BufferUser {
  readonly #file: FileHandle
  readonly #buffers: WriteBuffers
  readonly #atByte: number
  readonly #digest: RunningDigest | undefined
  readonly #resolve: (appended: Appended) => void
  readonly #flow: ByteFlow
  /** What has come and is in no buffer yet. */
  #held: Uint8Array[] = []
  #buffer: Buffer | undefined
  #filledBytes = 0
  /** Where the next buffer goes; after a failure, up to where nothing is missing. */
  #position: number
  #underWay = 0
  #isWaiting = false
  #isPaused = false
  #hasEnded = false
  #failure: Error | undefined

  private constructor(
    file: FileHandle,
    source: ByteSource,
    { buffers, atByte, digest }: FileReceiverOptions,
    resolve: (appended: Appended) => void,
  ) {
    this.#file = file
    this.#buffers = buffers
    this.#atByte = atByte
    this.#position = atByte
    this.#digest = digest
    this.#resolve = resolve
    this.#flow = source.open(this)
  }

  /**
   * Receives a source to its end, or to the first failure of it or of the disk; resolves when no
   * write is under way any more. What has come before a failure of the source is written.
   */
  static receive(
    file: FileHandle,
    source: ByteSource,
    options: FileReceiverOptions,
  ): Promise<Appended> {
    return new Promise((resolve) => {
      new FileReceiver(file, source, options, resolve)
    })
  }

  receive(piece: Uint8Array): void {
    if (piece.byteLength === 0) return
    this.#held.push(piece)
    this.#goOn()
  }

  end(failure?: Error): void {
    this.#hasEnded = true
    this.#failure ??= failure
    this.#goOn()
  }

  use(buffer: Buffer): void {
    this.#isWaiting = false
    this.#buffer = buffer
    this.#goOn()
  }

  flush(): void {
    if (this.#filledBytes > 0) this.#write()
  }

  /** Does whatever can be done now: fill, write, end; and lets the source flow or wait. */
  #goOn(): void {
    this.#fill()
    const isDone = this.#hasEnded && this.#held.length === 0
    if (this.#filledBytes > 0 && (isDone || this.#buffers.isWanted)) this.#write()
    if (isDone && this.#underWay === 0) {
      this.#settle()
      return
    }
    const mustPause = this.#held.length > 0 || this.#underWay >= underWayMax
    if (mustPause === this.#isPaused || this.#hasEnded) return
    this.#isPaused = mustPause
    if (mustPause) this.#flow.pause()
    else this.#flow.resume()
  }

  #fill(): void {
    while (this.#underWay < underWayMax && !this.#isWaiting) {
      const piece = this.#held[0]
      if (piece === undefined) return
      this.#buffer ??= this.#buffers.take(this)
      if (this.#buffer === undefined) {
        this.#isWaiting = true
        return
      }
      const room = this.#buffer.byteLength - this.#filledBytes
      const fitting = piece.byteLength <= room ? piece : piece.subarray(0, room)
      this.#buffer.set(fitting, this.#filledBytes)
      this.#filledBytes += fitting.byteLength
      if (fitting === piece) this.#held.shift()
      else this.#held[0] = piece.subarray(room)
      if (this.#filledBytes === this.#buffer.byteLength) this.#write()
    }
  }

  #write(): void {
    const buffer = this.#buffer
    if (buffer === undefined) return
    const filled = buffer.subarray(0, this.#filledBytes)
    const position = this.#position
    this.#buffer = undefined
    this.#filledBytes = 0
    this.#position += filled.byteLength
    this.#underWay++
    this.#buffers.leave(this)
    this.#digest?.update(filled)
    this.#writeAt(filled, position, (failedAt, failure) => {
      this.#underWay--
      if (failure) this.#fail(failedAt, failure)
      this.#buffers.giveBack(buffer)
      this.#goOn()
    })
  }

  /** Writes all of it; a short write goes on where it ended. */
  #writeAt(
    bytes: Buffer,
    position: number,
    done: (failedAt: number, failure?: Error) => void,
  ): void {
    write(this.#file.fd, bytes, 0, bytes.byteLength, position, (failure, writtenBytes) => {
      const next = position + (writtenBytes ?? 0)
      if (failure) done(next, failure)
      else if (writtenBytes === bytes.byteLength) done(next)
      else this.#writeAt(bytes.subarray(writtenBytes), next, done)
    })
  }

  /** Takes nothing more. Bytes behind those that are missing do not count. */
  #fail(atByte: number, failure: Error): void {
    this.#position = Math.min(this.#position, atByte)
    this.#failure ??= failure
    if (!this.#hasEnded) this.#flow.stop()
    this.#hasEnded = true
    this.#held = []
    this.#buffers.leave(this)
    if (this.#buffer) this.#buffers.giveBack(this.#buffer)
    this.#buffer = undefined
    this.#filledBytes = 0
  }

  #settle(): void {
    const receivedBytes = this.#position - this.#atByte
    this.#resolve(
      this.#failure === undefined ? { receivedBytes } : { receivedBytes, failure: this.#failure },
    )
  }
}
