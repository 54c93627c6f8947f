import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'
import type { UploadBody } from '../registry/upload-body.js'
import { invite } from '../request-bodies.js'
import { collect, type ByteFlow, type ByteSink, type ByteSource } from '../storage/byte-source.js'
import { parseContentRange } from './ranges.js'

/**
 * The bytes of a request's body as they come. Whoever stops early leaves the connection usable: the
 * client can still be told why. An early end is a {@link RegistryError} `SIZE_INVALID`, or what has cut
 * it short.
 */
function bodyOf(request: FastifyRequest, reply: FastifyReply): ByteSource {
  return {
    open(sink) {
      invite(request, reply)
      return new BodyFlow(request.raw, sink)
    },
  }
}

/** Listens to a request for as long as its body is wanted. */
class BodyFlow implements ByteFlow {
  readonly #request: IncomingMessage
  readonly #sink: ByteSink
  #isOver = false

  constructor(request: IncomingMessage, sink: ByteSink) {
    this.#request = request
    this.#sink = sink
    request.on('data', this.#receive).on('end', this.#end)
    request.on('error', this.#cut).on('close', this.#cut)
    // A client that went away before anybody listened is not told again.
    if (request.destroyed) process.nextTick(this.#cut)
  }

  pause(): void {
    this.#request.pause()
  }

  resume(): void {
    if (!this.#isOver) this.#request.resume()
  }

  stop(): void {
    this.#isOver = true
    const request = this.#request
    request.off('data', this.#receive).off('end', this.#end)
    request.off('error', this.#cut).off('close', this.#cut)
    // What still comes is for whoever drains the connection.
    request.pause()
  }

  readonly #receive = (piece: Uint8Array): void => this.#sink.receive(piece)

  readonly #end = (): void => {
    this.stop()
    this.#sink.end()
  }

  readonly #cut = (cause?: unknown): void => {
    if (this.#isOver) return
    this.stop()
    this.#sink.end(cause instanceof RegistryError ? cause : tornBody(cause))
  }
}

function tornBody(cause: unknown): RegistryError {
  return new RegistryError(
    'SIZE_INVALID',
    'the connection ended before the whole body had arrived',
    { cause },
  )
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
  const bytes = await collect(bodyOf(request, reply), bytesMax)
  if (bytes === undefined) throw tooLarge()
  return bytes
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

/** Undefined for a body in chunks, whose end shows only when it is there. */
function announcedBytes({ headers }: FastifyRequest): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}
