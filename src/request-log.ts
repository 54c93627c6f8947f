import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ANONYMOUS, type Identity } from './auth/identity.js'
import { repositoryIn } from './request-repository.js'

interface Traffic {
  readonly received: number
  readonly sent: number
}

const nothing: Traffic = { received: 0, sent: 0 }

/** What had gone over a connection when its last request ended. */
const trafficBefore = new WeakMap<Socket, Traffic>()

/**
 * One line a request, when its connection is done with it: also for a client that went away.
 * Neither headers nor the query are in it, as either may hold a secret.
 */
export function logRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => logWhenDone(request, reply))
}

/** For a request that no hook sees, because its URL could not be read. */
export function logWhenDone(request: FastifyRequest, reply: FastifyReply): void {
  const startedAt = performance.now()
  const { socket } = request.raw
  reply.header('X-Request-Id', request.id)
  reply.raw.once('close', () => {
    const traffic = trafficSinceLast(socket)
    const repository = repositoryIn(request)
    request.server.log.info(
      {
        requestId: request.id,
        method: request.method,
        // Without the expression that a parameter has to match.
        route: request.routeOptions.url?.replace('(.+)', '') ?? 'none',
        ...(repository !== undefined && { repository }),
        // Node presumes 200 of an answer that never began.
        ...(reply.raw.headersSent && { status: reply.raw.statusCode }),
        // As they went over the connection, with their headers.
        bytes: traffic.sent,
        bytesReceived: traffic.received,
        durationMs: Math.round((performance.now() - startedAt) * 1000) / 1000,
        identity: nameOf(request),
        remoteAddress: request.ip,
        ...(!reply.raw.writableFinished && { aborted: true }),
      },
      'request',
    )
  })
}

/**
 * What a request logs with: a child of the log that carries its id. Making one costs a tenth of a
 * small request, and hardly any request needs it, so it is made when something is logged.
 */
export function logOfRequest(log: FastifyBaseLogger, bindings: object): FastifyBaseLogger {
  return new LazyChild(log, bindings)
}

class LazyChild implements FastifyBaseLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: object
  #child: FastifyBaseLogger | undefined

  constructor(parent: FastifyBaseLogger, bindings: object) {
    this.#parent = parent
    this.#bindings = bindings
  }

  get level(): string {
    return this.#parent.level
  }

  fatal(...args: unknown[]): void {
    this.#log('fatal', args)
  }

  error(...args: unknown[]): void {
    this.#log('error', args)
  }

  warn(...args: unknown[]): void {
    this.#log('warn', args)
  }

  info(...args: unknown[]): void {
    this.#log('info', args)
  }

  debug(...args: unknown[]): void {
    this.#log('debug', args)
  }

  trace(...args: unknown[]): void {
    this.#log('trace', args)
  }

  silent(): void {
    // Nothing is ever logged at this level.
  }

  child(bindings: object): FastifyBaseLogger {
    return this.#parent.child({ ...this.#bindings, ...bindings })
  }

  #log(level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace', args: unknown[]): void {
    this.#child ??= this.#parent.child(this.#bindings)
    const [first, ...others] = args
    this.#child[level](first, ...(others as []))
  }
}

/** What {@link countSent} was told of each connection. */
const sentPastNode = new WeakMap<Socket, number>()

/** Bytes that went over a connection without Node.js, which therefore does not count them. */
export function countSent(socket: Socket, byteCount: number): void {
  const { received, sent } = trafficBefore.get(socket) ?? nothing
  trafficBefore.set(socket, { received, sent: sent - byteCount })
  sentPastNode.set(socket, bytesSentPastNode(socket) + byteCount)
}

/** All bytes that went over a connection without Node.js. */
export function bytesSentPastNode(socket: Socket): number {
  return sentPastNode.get(socket) ?? 0
}

function trafficSinceLast(socket: Socket): Traffic {
  const before = trafficBefore.get(socket) ?? nothing
  const now = { received: socket.bytesRead, sent: socket.bytesWritten }
  trafficBefore.set(socket, now)
  return { received: now.received - before.received, sent: now.sent - before.sent }
}

/** Where no room has asked who it is, it is nobody in particular. */
function nameOf({ identity }: { readonly identity?: Identity }): string {
  return identity?.name ?? ANONYMOUS.name
}
