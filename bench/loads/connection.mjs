import { Buffer } from 'node:buffer'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { AnswerReader } from './answer-reader.mjs'

const silentMsMax = 120_000

/**
 * All connections read into the same memory, one after the other: what comes in is dropped before
 * the next one reads, and memory that stays in the processor's cache is cheap to copy to.
 */
const inbox = Buffer.allocUnsafeSlow(256 * 1024)

/** How much of a body waits in this process for the server to take it. */
const outboxBytes = 64 * 1024

/**
 * @typedef {object} Server
 * @property {string} host
 * @property {number} port
 * @property {string} [ca] - of a server that speaks TLS, in PEM form
 */

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {string} head
 * @property {number} bytes - of its body
 */

/**
 * One HTTP connection that is kept alive, with one request under way at a time. It knows just
 * enough of HTTP to talk to a registry, and so costs a fraction of what `node:http` does: on two
 * cores the client must not be what is measured.
 */
export class Connection {
  #socket
  #hostHeader
  #reader
  #waiting
  #drained
  /** The present answer ends here, in bytes of its body, and the connection with it. */
  #bytesMax = Infinity

  /** @param {Server} server */
  static async open(server) {
    const connection = new Connection(server)
    await connection.#connected
    return connection
  }

  #connected

  constructor({ host, port, ca }) {
    this.#hostHeader = `Host: ${host}:${port}\r\n`
    this.#reader = new AnswerReader((answer) => this.#settle('resolve', answer))
    const onread = { buffer: inbox, callback: (length) => this.#receive(length) }
    const options = { host, port, onread, noDelay: true, writableHighWaterMark: outboxBytes }
    const socket = ca === undefined ? connect(options) : connectTls({ ...options, ca })
    this.#socket = socket
    socket.setTimeout(silentMsMax, () => socket.destroy(new Error('no answer')))
    socket.on('drain', () => this.#drained?.())
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server has closed the connection')))
    this.#connected = new Promise((resolve, reject) => {
      socket.once(ca === undefined ? 'connect' : 'secureConnect', resolve)
      this.#waiting = { resolve, reject }
    })
  }

  /** The text of a request without a body, for {@link ask}: made once, sent often. */
  requestText({ method = 'GET', path, headers = '' }) {
    const length = method === 'GET' || method === 'HEAD' ? '' : 'Content-Length: 0\r\n'
    return `${method} ${path} HTTP/1.1\r\n${this.#hostHeader}${length}${headers}\r\n`
  }

  /**
   * @param {string} method
   * @param {string} text - of the whole request
   * @param {number} [bytesMax] - closes the connection once so much of the body has come
   * @returns {Promise<Answer>}
   */
  ask(method, text, bytesMax = Infinity) {
    this.#reader.expect(method)
    this.#bytesMax = bytesMax
    const answered = this.#answer()
    this.#socket.write(text, 'latin1')
    return answered
  }

  /** A request without a body. */
  send(request) {
    return this.ask(request.method ?? 'GET', this.requestText(request))
  }

  /**
   * A request with a body.
   *
   * @param {object} request
   * @param {string} request.method
   * @param {string} request.path
   * @param {string} request.headers - each with its line end; what frames the body among them
   * @param {Iterable<Buffer>} request.body - as it goes over the wire, so with its chunks' frames
   * @returns {Promise<Answer>}
   */
  async sendBody({ method, path, headers, body }) {
    this.#reader.expect(method)
    this.#bytesMax = Infinity
    const answered = this.#answer()
    // While the body is being sent nobody waits for the answer, and it may be a refusal.
    answered.catch(() => undefined)
    const isAnswered = () => this.#waiting === undefined
    let head = `${method} ${path} HTTP/1.1\r\n${this.#hostHeader}${headers}\r\n`
    this.#socket.cork()
    for (const piece of body) {
      if (isAnswered()) break
      if (head !== undefined) this.#socket.write(head, 'latin1')
      const hasRoom = this.#socket.write(piece)
      if (head !== undefined) this.#socket.uncork()
      head = undefined
      if (!hasRoom && !isAnswered()) await this.#room()
    }
    return answered
  }

  close() {
    this.#waiting = undefined
    this.#socket.destroy()
  }

  #answer() {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  #room() {
    return new Promise((resolve) => {
      this.#drained = resolve
    })
  }

  #receive(length) {
    try {
      this.#reader.read(inbox.subarray(0, length))
    } catch (error) {
      this.#fail(error)
      this.#socket.destroy()
      return false
    }
    if (this.#reader.bytes >= this.#bytesMax && this.#waiting !== undefined) {
      this.#settle('resolve', { status: 200, head: '', bytes: this.#reader.bytes })
      this.#socket.destroy()
      return false
    }
    return true
  }

  #fail(error) {
    this.#settle('reject', error)
    this.#drained?.()
  }

  #settle(how, value) {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.[how](value)
  }
}

/**
 * @param {Promise<Answer>} answering
 * @throws {Error} when the answer has another status
 */
export async function expecting(status, answering, what) {
  const answer = await answering
  if (answer.status === status) return answer
  throw new Error(`${what} is answered with ${answer.status}: ${answer.head}`)
}
