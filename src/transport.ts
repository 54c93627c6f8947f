import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { RegistryError, type ErrorCode } from './errors.js'
import { SECURITY_HEADERS } from './security-headers.js'
import { tcpSocketOf } from './tls/tcp-socket.js'
import { API_VERSION, API_VERSION_HEADER } from './v2/answers.js'
import { answerOf } from './v2/errors.js'

const urlLengthMax = 32 * 1024

/** What a client is still sending after its refusal is read and dropped for so long. */
const drainMs = 10_000

/** How long a request's headers may take is looked at so often in this time, at least. */
const looksPerHeaders = 4
const looksEveryMsMax = 10_000

/** What Node.js wants to know of our limits when a server is made, of whichever kind. */
export function serverOptions(limits: {
  readonly headerBytesMax: number
  readonly headersSeconds: number
}): {
  readonly maxHeaderSize: number
  readonly headersTimeout: number
  readonly connectionsCheckingInterval: number
} {
  const headersTimeout = limits.headersSeconds * 1000
  return {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout,
    // By itself it looks every half minute.
    connectionsCheckingInterval: Math.min(looksEveryMsMax, headersTimeout / looksPerHeaders),
  }
}

/** Limits and courtesies below the routes: what happens to connections rather than requests. */
export function setUpTransport(
  app: FastifyInstance,
  limits: { readonly idleSeconds: number; readonly connectionsMax: number },
): void {
  const server = app.server
  server.maxConnections = limits.connectionsMax
  // Their bytes are bounded; of a number of them Node.js would drop the others without a word, and what a
  // proxy says comes last.
  server.maxHeadersCount = 0
  server.timeout = limits.idleSeconds * 1000

  // Routes invite the body themselves, when they want it; a refusal comes instead of the 100.
  const serve = (request: IncomingMessage, response: ServerResponse) =>
    app.routing(request, response)
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)

  app.addHook('onRequest', async (request, reply) => {
    reply.header(API_VERSION_HEADER, API_VERSION)
    if (request.originalUrl.length > urlLengthMax) {
      throw new RegistryError('URL_TOO_LONG', `a URL has at most ${urlLengthMax} characters`)
    }
  })
  app.addHook('onResponse', async (request) => drain(request.raw))
  cutUnusedConnections(app)
  rememberAnswers(app)
}

/**
 * When the server closes, Node.js ends connections between two requests, and waits for those on
 * which none has come yet: a browser's spare one, a probe of the port.
 */
function cutUnusedConnections(app: FastifyInstance): void {
  const unused = new Set<Socket>()
  let isClosing = false
  app.server.on('connection', (socket: Socket) => {
    if (isClosing) {
      socket.destroy()
      return
    }
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  app.addHook('onRequest', async ({ raw }) => {
    unused.delete(tcpSocketOf(raw.socket))
  })
  app.addHook('preClose', async () => {
    isClosing = true
    for (const socket of unused) socket.destroy()
  })
}

/** The answers that a connection still owes. */
const answersOwed = new WeakMap<Socket, Set<ServerResponse>>()

function rememberAnswers(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw: { socket } }, { raw: response }) => {
    const owed = answersOwed.get(socket)
    if (owed) owed.add(response)
    else answersOwed.set(socket, new Set([response]))
    response.once('close', () => answersOwed.get(socket)?.delete(response))
  })
}

/** Whether a client would take what is written now for a part of an answer that has begun. */
function isInsideAnswer(socket: Socket): boolean {
  const owed = [...(answersOwed.get(socket) ?? [])]
  return owed.some(({ headersSent, writableFinished }) => headersSent && !writableFinished)
}

/**
 * A client that was refused early goes on sending, and reads the answer only afterwards; closing
 * on it would show there as a broken pipe.
 */
function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  const cut = setTimeout(() => request.destroy(), drainMs)
  cut.unref()
  request.once('close', () => clearTimeout(cut)).once('end', () => clearTimeout(cut))
  request.resume()
}

const CODE_OF_PARSER: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
}

/** What never became a request: garbage, oversized headers, headers that took too long. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || isInsideAnswer(socket)) {
    socket.destroy()
    return
  }
  const code = CODE_OF_PARSER[error.code ?? ''] ?? 'REQUEST_INVALID'
  refuseConnection(
    socket,
    new RegistryError(code, 'this is not an HTTP request that the registry accepts'),
  )
}

/** Answers where there is no request to answer, and ends the connection. */
export function refuseConnection(socket: Socket, refusal: RegistryError): void {
  const body = JSON.stringify(answerOf(refusal))
  socket.end(
    [
      `HTTP/1.1 ${refusal.statusCode} ${refusal.code}`,
      `${API_VERSION_HEADER}: ${API_VERSION}`,
      ...SECURITY_HEADERS.map(([name, value]) => `${name}: ${value}`),
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
