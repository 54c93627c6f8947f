import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'
import { API_VERSION, API_VERSION_HEADER, sendJson } from './answers.js'
import { methodsAt } from './names.js'

export interface ErrorAnswer {
  readonly errors: readonly { code: string; message: string; detail?: unknown }[]
}

/**
 * The body of a refusal; one entry for each of its details.
 *
 * @see distribution-spec, "Error Codes"
 */
export function answerOf(refusal: RegistryError): ErrorAnswer {
  const { wireCode: code, message } = refusal
  return {
    errors: refusal.details.map((detail) =>
      detail === null ? { code, message } : { code, message, detail },
    ),
  }
}

export function sendRefusal(reply: FastifyReply, refusal: RegistryError): void {
  // Also where no hook has run, because the URL could not even be read.
  reply.header(API_VERSION_HEADER, API_VERSION)
  void sendJson(reply, answerOf(refusal))
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
