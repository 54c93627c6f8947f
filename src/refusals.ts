import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { DurabilityLostError, RegistryError, type ErrorCode } from './errors.js'

/** What the framework's own refusals are in our table, by their status. */
const FRAMEWORK_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'REQUEST_INVALID',
  404: 'ENDPOINT_UNKNOWN',
  405: 'UNSUPPORTED',
  408: 'REQUEST_TIMEOUT',
  413: 'BODY_TOO_LARGE',
  414: 'URL_TOO_LONG',
  415: 'MEDIA_TYPE_INVALID',
  431: 'HEADERS_TOO_LARGE',
  503: 'UNAVAILABLE',
}

/**
 * In seconds, by status, for refusals that do not say it. Open uploads end by themselves or expire; too
 * many open files are fewer in a moment.
 */
const RETRY_AFTER: Readonly<Record<number, number>> = { 429: 60, 503: 5 }

/** Why requests were refused, for whoever writes that down. */
const refusals = new WeakMap<FastifyRequest, ErrorCode>()

/** The code that a request was refused with, if it was. */
export function refusalCodeOf(request: FastifyRequest): ErrorCode | undefined {
  return refusals.get(request)
}

export interface ErrorHandlerOptions {
  /** Told that the disk can no longer be trusted; no answer is sent. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
  /** Writes the refusal in the form that clients of this room read; its status is set. */
  readonly send: (reply: FastifyReply, refusal: RegistryError) => void
}

/** The one place where an error becomes an answer. */
export function errorHandler({ onDurabilityLost, send }: ErrorHandlerOptions) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    if (error instanceof DurabilityLostError) {
      onDurabilityLost(error)
      reply.raw.destroy()
      return
    }
    const refusal = refusalOf(error)
    refusals.set(request, refusal.code)
    if (refusal.statusCode >= 500) request.log.error({ err: error }, 'request failed')
    // Without its 100 the client has not sent its body, and what it sends next is none either.
    if (request.headers.expect !== undefined && !request.raw.readableDidRead) {
      reply.header('Connection', 'close')
    }
    const retryAfter = refusal.retryAfterSeconds ?? RETRY_AFTER[refusal.statusCode]
    if (retryAfter !== undefined) reply.header('Retry-After', retryAfter)
    // What the route has said of a body that it then did not send.
    for (const name of ['content-length', 'etag', 'cache-control', 'accept-ranges']) {
      reply.removeHeader(name)
    }
    send(reply.code(refusal.statusCode), refusal)
  }
}

/**
 * Anything thrown on the way to an answer, as what the client is told. Errors that are not
 * refusals say nothing of themselves: their texts may hold paths.
 */
function refusalOf(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  const status = (error as Partial<FastifyError>).statusCode
  const code = status === undefined ? undefined : FRAMEWORK_CODES[status]
  if (code === undefined) {
    return new RegistryError('UNKNOWN', 'the registry failed to do this; its log says why', {
      cause: error,
    })
  }
  return new RegistryError(code, (error as FastifyError).message, { cause: error })
}
