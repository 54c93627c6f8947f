import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { countSent } from '../request-log.js'
import type { BlobSink, DirectConnection } from '../storage/blob-store.js'

/** Nobody is there any more to take the bytes. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError'
}

/**
 * The body of an answer as a place for bytes, written past the framework. Its length must have
 * been announced.
 */
export class ResponseSink implements BlobSink {
  readonly #response: ServerResponse
  readonly #socket: Socket
  readonly #onClose = () => this.#giveUp?.(new ClientGoneError('the connection was closed'))
  #giveUp: ((error: Error) => void) | undefined
  readonly direct: DirectConnection | undefined

  private constructor(request: IncomingMessage, response: ServerResponse) {
    this.#response = response
    // Not the response's: that is none yet while an earlier answer is still on its way.
    this.#socket = request.socket
    // Each of the requests that a client has sent ahead waits here.
    this.#socket.setMaxListeners(0).once('close', this.#onClose)
    this.direct =
      this.#socket instanceof Socket
        ? {
            socket: this.#socket,
            flush: () => this.#flush(),
            sent: (byteCount) => this.#sent(byteCount),
          }
        : undefined
  }

  /**
   * Begins an answer when it is its turn on its connection.
   *
   * @throws {@link ClientGoneError}
   */
  static async begin(
    request: IncomingMessage,
    response: ServerResponse,
    head: { readonly status: number; readonly headers: OutgoingHttpHeaders },
  ): Promise<ResponseSink> {
    const sink = new ResponseSink(request, response)
    try {
      if (response.socket === null) {
        await sink.#wait((done) => response.once('socket', () => done()))
      }
      response.writeHead(head.status, head.headers)
      return sink
    } catch (error) {
      sink.abort()
      throw error
    }
  }

  /** @throws {@link ClientGoneError} */
  write(piece: Uint8Array): Promise<void> {
    return this.#wait((done) => this.#response.write(piece, done))
  }

  /** All has been written: the connection is free for the next request. */
  end(): void {
    this.#socket.off('close', this.#onClose)
    this.#response.end()
  }

  /** The rest will not come: only the end of the connection tells a client who counts on it. */
  abort(): void {
    this.#socket.off('close', this.#onClose)
    this.#socket.destroy()
  }

  async #flush(): Promise<void> {
    this.#response.flushHeaders()
    await this.#wait((done) => this.#socket.write('', done))
  }

  #sent(byteCount: number): void {
    if (byteCount === 0 || this.#socket.destroyed) return
    countSent(this.#socket, byteCount)
    // Something moves: begins the time for which nothing may move anew.
    this.#socket.setTimeout(this.#socket.timeout ?? 0)
  }

  /** Waits for a callback, or for the end of the connection. */
  #wait(begin: (done: (error?: Error | null) => void) => unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new ClientGoneError('the connection is closed'))
        return
      }
      this.#giveUp = reject
      begin((error) => {
        this.#giveUp = undefined
        if (error) reject(new ClientGoneError('the connection broke', { cause: error }))
        else resolve()
      })
    })
  }
}
