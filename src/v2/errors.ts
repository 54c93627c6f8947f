import type { FastifyReply } from 'fastify'
import type { RegistryError } from '../errors.js'
import { API_VERSION, API_VERSION_HEADER, sendJson } from './answers.js'

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
