import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Hides the type of a body from the framework, which would refuse one that it cannot parse; most
 * routes do not care, and those that do have {@link contentTypeOf}.
 */
export function hideContentType(request: FastifyRequest): void {
  delete request.raw.headers['content-type']
}

export function contentTypeOf({ raw }: FastifyRequest): string | undefined {
  const index = raw.rawHeaders.findIndex(
    (text, at) => at % 2 === 0 && text.toLowerCase() === 'content-type',
  )
  return index === -1 ? undefined : raw.rawHeaders[index + 1]
}

/** A client that asked first is told to go on only now that we really want its body. */
export function invite(request: FastifyRequest, reply: FastifyReply): void {
  if (request.headers.expect?.toLowerCase() === '100-continue' && !reply.raw.headersSent) {
    reply.raw.writeContinue()
  }
}
