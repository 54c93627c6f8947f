import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'
import type { UploadBody } from '../registry/upload-body.js'
import { parseContentRange } from './ranges.js'

/**
 * The bytes of a request's body as they come, with back-pressure. Whoever stops early leaves the
 * connection usable: the client can still be told why.
 *
 * @throws {@link RegistryError} (while iterating) `SIZE_INVALID` when the client goes away
 */
async function* bodyOf(request: FastifyRequest, reply: FastifyReply): AsyncGenerator<Uint8Array> {
  invite(request, reply)
  try {
    yield* request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
  } catch (error) {
    throw new RegistryError(
      'SIZE_INVALID',
      'the connection ended before the whole body had arrived',
      { cause: error },
    )
  }
}

/**
 * A whole body in memory.
 *
 * @throws {@link RegistryError} `MANIFEST_TOO_LARGE` above `bytesMax`, before more of it is read
 */
export async function readBody(
  request: FastifyRequest,
  reply: FastifyReply,
  bytesMax: number,
): Promise<Buffer> {
  const tooLarge = () =>
    new RegistryError('MANIFEST_TOO_LARGE', `a manifest has at most ${bytesMax} bytes`)
  if ((announcedBytes(request) ?? 0) > bytesMax) throw tooLarge()
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of bodyOf(request, reply)) {
    length += piece.byteLength
    if (length > bytesMax) throw tooLarge()
    pieces.push(piece)
  }
  return Buffer.concat(pieces, length)
}

/** @throws {@link RegistryError} `BLOB_UPLOAD_INVALID` for a malformed Content-Range */
export function uploadBodyOf(request: FastifyRequest, reply: FastifyReply): UploadBody {
  const announced = announcedBytes(request)
  const range = parseContentRange(request.headers['content-range'])
  return {
    source: bodyOf(request, reply),
    ...(announced !== undefined && { announcedBytes: announced }),
    ...(range && { range }),
  }
}

/**
 * Hides the type of a body from the framework, which would refuse one that it cannot parse; most
 * routes do not care, and the one that does has {@link contentTypeOf}.
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

/** Undefined for a body in chunks, whose end shows only when it is there. */
function announcedBytes({ headers }: FastifyRequest): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}

/** A client that asked first is told to go on only now that we really want its body. */
function invite(request: FastifyRequest, reply: FastifyReply): void {
  if (request.headers.expect?.toLowerCase() === '100-continue' && !reply.raw.headersSent) {
    reply.raw.writeContinue()
  }
}
