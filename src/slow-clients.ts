import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { RegistryError } from './errors.js'
import { bytesSentPastNode } from './request-log.js'

export interface SlowClientLimits {
  /** 0: no client is too slow. */
  readonly minBytesPerSecond: number
  readonly slowSeconds: number
}

/** So often in that time is looked what every client does. */
const looksPerWindow = 20
const looksEveryMsMin = 50
const looksEveryMsMax = 5_000

/** What the registry waits for, of a client that it waits for. */
type Awaited = 'body' | 'answer'

/** A stretch of a request, in which a client has to be as fast as it should be on the average. */
interface Window {
  readonly awaited: Awaited
  /** How long the registry has done nothing but wait. */
  waitedMs: number
  /** What had been moved over the connection when it began. */
  readonly movedBefore: number
  lookedAt: number
}

/**
 * Cuts clients that send a body or read an answer so slowly that they mean to keep their connection:
 * a rate that clients reach easily is taken over a time that pauses of theirs do not fill. Only the time
 * counts in which the registry waits for the client, not that in which it has paused it to write, or
 * has nothing for it. What is looked at is what the connections are doing now and then: requests that
 * are done in between cost nothing.
 */
export function cutSlowClients(app: FastifyInstance, limits: SlowClientLimits): void {
  if (limits.minBytesPerSecond === 0) return
  const slowMs = limits.slowSeconds * 1000
  const everyMs = Math.min(looksEveryMsMax, Math.max(looksEveryMsMin, slowMs / looksPerWindow))
  const responses = new Set<ServerResponse>()
  const windows = new WeakMap<ServerResponse, Window>()

  app.addHook('onRequest', async (_request, { raw }) => {
    responses.add(raw)
    raw.once('close', () => responses.delete(raw))
  })
  const looks = setInterval(() => responses.forEach(look), everyMs)
  looks.unref()
  app.addHook('onClose', async () => clearInterval(looks))

  function look(response: ServerResponse): void {
    const awaited = awaitedOf(response)
    if (awaited === undefined) {
      // What came before a pause of ours counts for what comes after it.
      const window = windows.get(response)
      if (window) window.lookedAt = NaN
      return
    }
    const now = performance.now()
    const moved = movedBytes(response.req.socket, awaited)
    const window = windows.get(response)
    if (window?.awaited !== awaited) {
      windows.set(response, { awaited, waitedMs: 0, movedBefore: moved, lookedAt: now })
      return
    }
    if (!Number.isNaN(window.lookedAt)) window.waitedMs += now - window.lookedAt
    window.lookedAt = now
    if (window.waitedMs < slowMs) return
    const bytesPerSecond = ((moved - window.movedBefore) * 1000) / window.waitedMs
    windows.set(response, { awaited, waitedMs: 0, movedBefore: moved, lookedAt: now })
    if (bytesPerSecond < limits.minBytesPerSecond) cut(response, awaited, limits)
  }
}

function awaitedOf(response: ServerResponse): Awaited | undefined {
  const { req: request } = response
  if (response.headersSent) return request.socket.writableLength > 0 ? 'answer' : undefined
  // Neither before somebody wants it, nor while we cannot take more of it.
  return request.readableFlowing === true && !request.complete ? 'body' : undefined
}

/** What the client has sent, or taken, on a connection so far; the difference of two of these counts. */
function movedBytes(socket: Socket, awaited: Awaited): number {
  if (awaited === 'body') return socket.bytesRead
  const { bytesWritten, writableLength } = socket
  return bytesWritten - writableLength - queuedBytes(socket) + bytesSentPastNode(socket)
}

/**
 * What of a piece has not been taken yet. Without it, as Node.js does not document it, a piece counts
 * when all of it has been taken.
 */
function queuedBytes(socket: Socket): number {
  const { _handle: handle } = socket as unknown as {
    _handle?: { writeQueueSize?: unknown } | null
  }
  return typeof handle?.writeQueueSize === 'number' ? handle.writeQueueSize : 0
}

function cut(response: ServerResponse, awaited: Awaited, limits: SlowClientLimits): void {
  const { req: request } = response
  // A second time: whoever was told of it has not ended the request.
  if (awaited === 'answer' || response.hasHeader('Connection') || !isRead(request)) {
    request.socket.destroy()
    return
  }
  response.setHeader('Connection', 'close')
  // Destroying the request would close the connection before the client could be told why.
  request.emit(
    'error',
    new RegistryError(
      'REQUEST_TIMEOUT',
      `the body came too slowly: at less than ${limits.minBytesPerSecond} bytes a second for ${limits.slowSeconds} s`,
    ),
  )
}

/** Without anybody who listens an error would be one of the process. */
function isRead(request: IncomingMessage): boolean {
  return request.listenerCount('error') > 0
}
