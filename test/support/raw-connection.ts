import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { whenFinished } from './side-by-side.js'

/** One TCP connection to a server, for what an HTTP client would not let us send. */
export class RawConnection {
  readonly socket: Socket
  #received = ''
  #isClosed = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#wake()
    })
    // A reset is an end as well: what matters is what was read before.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1')
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject)
    })
    whenFinished(() => void socket.destroy())
    return new RawConnection(socket)
  }

  /** The same over TLS; fails like a client that does not trust the server. */
  static async openTls(port: number, options: ConnectionOptions): Promise<RawConnection> {
    const socket = connectTls({ port, host: '127.0.0.1', ...options })
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject)
    })
    whenFinished(() => void socket.destroy())
    return new RawConnection(socket)
  }

  /** The SHA-256 of the certificate that the server has shown. */
  get shownCertificate(): string | undefined {
    return (this.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256
  }

  write(text: string | Buffer): void {
    this.socket.write(text)
  }

  /** Everything received so far that nobody has taken. */
  get received(): string {
    return this.#received
  }

  /** Waits for one whole answer with a Content-Length (or without a body), and takes it. */
  async answer(): Promise<{ status: number; head: string; body: string }> {
    await this.#until(() => this.#received.includes('\r\n\r\n'))
    const headEnd = this.#received.indexOf('\r\n\r\n') + 4
    const head = this.#received.slice(0, headEnd)
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
    await this.#until(() => this.#received.length >= headEnd + length)
    const body = this.#received.slice(headEnd, headEnd + length)
    this.#received = this.#received.slice(headEnd + length)
    return { status: Number(head.split(' ')[1]), head, body }
  }

  /** Waits until the other side has closed. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#change()
  }

  async #until(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      if (this.#isClosed) throw new Error(`closed after: ${this.#received}`)
      await this.#change()
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
