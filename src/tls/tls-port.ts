import {
  createServer,
  type RequestListener,
  type Server,
  type ServerOptions as HttpOptions,
} from 'node:http'
import type { Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import type { TlsConfig } from '../config-schema.js'
import { RegistryError } from '../errors.js'
import { CertificateWatch } from './certificate-watch.js'
import {
  checkedCertificates,
  fingerprintOf,
  readCertificateFiles,
  type Certificates,
} from './certificates.js'
import { tcpSocketOf } from './tcp-socket.js'

/** The first byte of everything that speaks TLS: a record with a part of the handshake. */
const TLS_HANDSHAKE = 0x16

/** What a client is still sending after its refusal is read and dropped for so long. */
const drainMs = 10_000

export interface TlsPortOptions {
  readonly log: FastifyBaseLogger
}

/** What the framework says of the server that it wants. */
export interface ServerSettings {
  readonly http?: HttpOptions
  readonly keepAliveTimeout?: number
  readonly requestTimeout?: number
}

/** Writes an answer to a request that nobody has read, and ends the connection. */
export type RefuseConnection = (socket: Socket, refusal: RegistryError) => void

/**
 * What lets a port speak TLS, alone or beside plain HTTP. All connections belong to one HTTP server,
 * whose limits hold for either kind; it gets each once the client has shown what it speaks.
 */
export class TlsPort {
  readonly #config: TlsConfig
  readonly #log: FastifyBaseLogger
  readonly #handshakes: TlsServer
  readonly #watch: CertificateWatch
  /** What cuts those whose handshake takes too long. */
  readonly #late = new WeakMap<Socket, NodeJS.Timeout>()
  #certificates: Certificates
  #onSecure: (socket: TLSSocket) => void = (socket) => void socket.destroy()
  #onRenewed: () => void = () => undefined

  private constructor(
    config: TlsConfig,
    certificates: Certificates,
    known: string,
    log: FastifyBaseLogger,
  ) {
    this.#config = config
    this.#log = log
    this.#certificates = certificates
    const asksClients = config.clientCertificates !== 'none'
    // It never listens: what was accepted elsewhere is handed to it, and comes back encrypted.
    this.#handshakes = createTlsServer({
      ...contextOf(certificates),
      requestCert: asksClients,
      // Who has none is told so in an answer that people can read.
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    })
    this.#handshakes.on('secureConnection', (socket) => {
      clearTimeout(this.#late.get(tcpSocketOf(socket)))
      this.#onSecure(socket)
    })
    this.#handshakes.on('tlsClientError', (error, socket) => {
      log.debug({ err: error, remoteAddress: socket.remoteAddress }, 'a TLS handshake has failed')
      socket.destroy()
    })
    this.#watch = new CertificateWatch(config, known, {
      log,
      onRenewed: (renewed) => this.#renew(renewed),
    })
    this.#tellExpiry('TLS is on')
  }

  /**
   * Reads the certificate, and goes on looking at its files until {@link close}.
   *
   * @throws {@link CertificateError}
   */
  static async open(config: TlsConfig, { log }: TlsPortOptions): Promise<TlsPort> {
    const bytes = await readCertificateFiles(config)
    return new TlsPort(config, checkedCertificates(bytes, config), fingerprintOf(bytes), log)
  }

  /** The SHA-256 of the certificate that new connections are shown. */
  get fingerprint(): string {
    return this.#certificates.leaf.fingerprint256
  }

  /** Told when new connections are shown another certificate. */
  onRenewed(listener: () => void): void {
    this.#onRenewed = listener
  }

  /** Looks at the files now; what is wrong with them is logged. */
  reload(): Promise<void> {
    return this.#watch.look()
  }

  close(): void {
    this.#watch.stop()
  }

  /**
   * The HTTP server, for the framework.
   *
   * @param refuse - answers clients that speak HTTP where TLS is needed, and those that have no certificate
   */
  createServer(
    listener: RequestListener,
    { http, keepAliveTimeout, requestTimeout }: ServerSettings,
    refuse: RefuseConnection,
  ): Server {
    const server = createServer(http ?? {}, listener)
    // What the framework sets on a server of its own.
    if (keepAliveTimeout !== undefined) server.keepAliveTimeout = keepAliveTimeout
    if (requestTimeout !== undefined) server.requestTimeout = requestTimeout

    const [serve] = server.listeners('connection') as ((socket: Socket) => void)[]
    if (serve === undefined) throw new Error('a server of Node.js has no use for its connections')
    server.removeAllListeners('connection')
    const speakHttp = (socket: Socket) => {
      serve.call(server, socket)
      socket.resume()
    }
    const refuseSpoken = (socket: Socket, refusal: RegistryError) => {
      refuse(socket, refusal)
      // Closed with something unread the connection would be reset, and the answer lost.
      const cut = setTimeout(() => socket.destroy(), drainMs)
      socket.once('close', () => clearTimeout(cut)).resume()
    }

    server.on('connection', (socket: Socket) => {
      whenSpoken(socket, server.headersTimeout, (firstByte) => {
        if (firstByte === TLS_HANDSHAKE) this.#beginHandshake(socket, server.headersTimeout)
        else if (this.#config.mode === 'only') refuseSpoken(socket, needsTls())
        else speakHttp(socket)
      })
    })
    this.#onSecure = (socket) => {
      if (this.#mayEnter(socket)) speakHttp(socket)
      // Clients take an answer that comes before their request for a defect.
      else whenSpoken(socket, server.headersTimeout, () => refuseSpoken(socket, needsCertificate()))
    }
    return server
  }

  #beginHandshake(socket: Socket, handshakeMsMax: number): void {
    if (handshakeMsMax > 0) {
      const cut = setTimeout(() => socket.destroy(), handshakeMsMax)
      this.#late.set(socket, cut)
      socket.once('close', () => clearTimeout(cut))
    }
    this.#handshakes.emit('connection', socket)
  }

  #renew(certificates: Certificates): void {
    // What is under way keeps the context that it began with.
    this.#handshakes.setSecureContext(contextOf(certificates))
    this.#certificates = certificates
    this.#tellExpiry('new connections get a new certificate')
    this.#onRenewed()
  }

  #tellExpiry(message: string): void {
    const { subject, subjectAltName, validTo } = this.#certificates.leaf
    const expiresAt = Date.parse(validTo)
    const fields = { subject, subjectAltName, expires: new Date(expiresAt).toISOString() }
    if (expiresAt < Date.now()) this.#log.warn(fields, `${message}; it has expired`)
    else this.#log.info(fields, message)
  }

  #mayEnter(socket: TLSSocket): boolean {
    const { clientCertificates } = this.#config
    if (clientCertificates === 'none' || socket.authorized) return true
    const shown = socket.getPeerX509Certificate()
    if (shown === undefined) return clientCertificates === 'optional'
    // Whoever has our own key may do what we do: that is how our commands come in.
    return shown.fingerprint256 === this.fingerprint
  }
}

function contextOf({ context }: Certificates) {
  return { ...context, minVersion: 'TLSv1.2' as const, sessionIdContext: 'berth' }
}

/**
 * Waits for the first byte of a connection, which is paused then, with nothing read.
 *
 * @param silentMsMax - a connection on which nothing has come by then is cut; 0 waits for ever
 */
function whenSpoken(
  socket: Socket,
  silentMsMax: number,
  go: (firstByte: number | undefined) => void,
): void {
  const cut = silentMsMax > 0 ? setTimeout(() => socket.destroy(), silentMsMax) : undefined
  const leave = () => {
    clearTimeout(cut)
    socket.off('data', onData).off('end', onEnd).off('close', leave)
  }
  const onEnd = () => void socket.destroy()
  const onData = (bytes: Buffer) => {
    leave()
    socket.pause()
    socket.unshift(bytes)
    go(bytes[0])
  }
  // A client that resets its connection is no defect, whoever has it then.
  socket.on('error', () => undefined)
  socket.on('data', onData).once('end', onEnd).once('close', leave)
}

function needsTls(): RegistryError {
  return new RegistryError('REQUEST_INVALID', 'this port speaks HTTPS, and was spoken to in HTTP')
}

function needsCertificate(): RegistryError {
  return new RegistryError(
    'REQUEST_INVALID',
    'this registry asks for a certificate of the client, and has got none that it trusts',
  )
}
