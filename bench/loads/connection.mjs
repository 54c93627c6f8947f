import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect } from 'node:net'

const silentMsMax = 30_000

const headEnd = Buffer.from('\r\n\r\n')

/**
 * One HTTP connection that is kept alive, with one request under way at a time. It knows just
 * enough of HTTP to talk to Berth, and so costs a fraction of what `node:http` does: on two cores
 * the client must not be what is measured.
 */
export class Connection {
  #socket
  #buffered = Buffer.alloc(0)
  #answer = { resolve: undefined, reject: undefined }

  constructor(socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setTimeout(silentMsMax, () => socket.destroy(new Error('the server does not answer')))
    socket.on('data', (piece) => this.#receive(piece))
    socket.on('error', (error) => this.#answer.reject?.(error))
    socket.on('close', () => this.#answer.reject?.(new Error('the server closed the connection')))
  }

  static async open(port) {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /**
   * @param {object} request
   * @param {string} [request.method]
   * @param {string} request.path
   * @param {Readonly<Record<string, string>>} [request.headers]
   * @param {Buffer} [request.body]
   * @param {boolean} [request.chunked] - sends the body without saying how long it is
   * @returns {Promise<{ status: number, head: string, bytes: number }>} `bytes` of the body
   */
  send({ method = 'GET', path, headers = {}, body, chunked = false }) {
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject }
      const framing = chunked
        ? 'Transfer-Encoding: chunked\r\n'
        : method === 'GET'
          ? ''
          : `Content-Length: ${body?.byteLength ?? 0}\r\n`
      const own = Object.entries(headers).map(([name, text]) => `${name}: ${text}\r\n`)
      const head = `${method} ${path} HTTP/1.1\r\nHost: bench\r\n${framing}${own.join('')}\r\n`
      if (body === undefined) {
        this.#socket.write(head, 'latin1')
        return
      }
      const before = chunked ? `${head}${body.byteLength.toString(16)}\r\n` : head
      const after = chunked ? '\r\n0\r\n\r\n' : ''
      this.#socket.write(Buffer.concat([Buffer.from(before), body, Buffer.from(after)]))
    })
  }

  close() {
    this.#answer.reject = undefined
    this.#socket.destroy()
  }

  #receive(piece) {
    this.#buffered =
      this.#buffered.byteLength === 0 ? piece : Buffer.concat([this.#buffered, piece])
    const end = this.#buffered.indexOf(headEnd)
    if (end === -1) return
    const head = this.#buffered.latin1Slice(0, end)
    const length = headerIn(head, 'content-length')
    if (length === undefined) {
      this.#socket.destroy(new Error(`an answer without a length: ${head}`))
      return
    }
    const bytes = Number(length)
    if (this.#buffered.byteLength < end + headEnd.byteLength + bytes) return
    this.#buffered = this.#buffered.subarray(end + headEnd.byteLength + bytes)
    this.#answer.resolve({ status: Number(head.slice(9, 12)), head, bytes })
  }
}

/** The value of a header in the head of an answer; undefined when it is not there. */
export function headerIn(head, name) {
  const at = head.toLowerCase().indexOf(`\r\n${name}: `)
  if (at === -1) return undefined
  const start = at + name.length + 4
  const end = head.indexOf('\r\n', start)
  return head.slice(start, end === -1 ? undefined : end)
}
