import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { DurabilityLostError, RegistryError, type ErrorCode } from '../errors.js'
import { API_VERSION, API_VERSION_HEADER, sendJson } from './answers.js'
import { methodsAt } from './names.js'

/** What the framework's own refusals are in our table, by their status. */
const FRAMEWORK_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'REQUEST_INVALID',
  404: 'ENDPOINT_UNKNOWN',
  405: 'UNSUPPORTED',
  408: 'REQUEST_TIMEOUT',
  413: 'MANIFEST_TOO_LARGE',
  414: 'URL_TOO_LONG',
  415: 'MEDIA_TYPE_INVALID',
  431: 'HEADERS_TOO_LARGE',
  503: 'UNAVAILABLE',
}

export interface ErrorAnswer {
  readonly errors: readonly { code: string; message: string; detail?: unknown }[]
}

/**
 * Anything thrown on the way to an answer, as what the client is told. Errors that are not
 * refusals say nothing of themselves: their texts may hold paths.
 *
 * @see distribution-spec, "Error Codes"
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

/** The body of a refusal; one entry for each of its details. */
export function answerOf(refusal: RegistryError): ErrorAnswer {
  const { wireCode: code, message } = refusal
  return {
    errors: refusal.details.map((detail) =>
      detail === null ? { code, message } : { code, message, detail },
    ),
  }
}

/**
 * In seconds, by status. Open uploads, the only thing there can be too many of, end by themselves or
 * expire; too many open files are fewer in a moment.
 */
const RETRY_AFTER: Readonly<Record<number, number>> = { 429: 60, 503: 5 }

export interface ErrorHandlerOptions {
  /** Told that the disk can no longer be trusted; no answer is sent. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/** The one place where an error becomes an answer. */
export function errorHandler({ onDurabilityLost }: ErrorHandlerOptions) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    if (error instanceof DurabilityLostError) {
      onDurabilityLost(error)
      reply.raw.destroy()
      return
    }
    const refusal = refusalOf(error)
    if (refusal.statusCode >= 500) request.log.error({ err: error }, 'request failed')
    // Without its 100 the client has not sent its body, and what it sends next is none either.
    if (request.headers.expect !== undefined && !request.raw.readableDidRead) {
      reply.header('Connection', 'close')
    }
    const retryAfter = RETRY_AFTER[refusal.statusCode]
    if (retryAfter !== undefined) reply.header('Retry-After', retryAfter)
    // What the route has said of a body that it then did not send.
    for (const name of ['content-length', 'etag', 'cache-control', 'accept-ranges']) {
      reply.removeHeader(name)
    }
    // Also where no hook has run, because the URL could not even be read.
    reply.header(API_VERSION_HEADER, API_VERSION)
    void sendJson(reply.code(refusal.statusCode), answerOf(refusal))
  }
}

/** A path that no route has: 405 when only the method is wrong, else 404. */
export function notFoundHandler(request: FastifyRequest, reply: FastifyReply): void {
  const methods = methodsAt(request.originalUrl)
  if (methods === undefined) {
    throw new RegistryError('ENDPOINT_UNKNOWN', 'there is nothing at this path')
  }
  reply.header('Allow', methods.join(', '))
  throw new RegistryError('UNSUPPORTED', `${request.method} is not possible here`)
}
