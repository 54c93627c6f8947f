import { randomUUID } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { DurabilityLostError, RegistryError } from '../errors.js'
import type { StoredBlob } from '../metadata/blobs.js'
import type { ByteRange, OpenBlob } from '../storage/blob-store.js'
import { lengthOf } from './ranges.js'
import { ClientGoneError, ResponseSink } from './response-sink.js'

export const OCTETS = 'application/octet-stream'

/** What an answer about a blob has behind its headers: parts of the blob, and what stands between. */
export interface BlobBody {
  readonly status: 200 | 206
  readonly type: string
  readonly contentRange?: string
  readonly lengthBytes: number
  readonly parts: readonly (Buffer | ByteRange)[]
}

/**
 * The body that a client has asked for.
 *
 * @param ranges - undefined for the whole blob
 * @see RFC 9110, section 14.6, for several of them; podman's partial pulls ask for that
 */
export function bodyOf(blob: StoredBlob, ranges: readonly ByteRange[] | undefined): BlobBody {
  if (ranges === undefined) return wholeOf(blob)
  const [range, ...others] = ranges
  if (range === undefined || others.length > 0) return partsOf(blob, ranges)
  return {
    status: 206,
    type: OCTETS,
    contentRange: contentRange(range, blob),
    lengthBytes: lengthOf(range),
    parts: [range],
  }
}

/** Sends a body; from its first byte on a failure can only end the connection. */
export async function sendBody(
  request: FastifyRequest,
  reply: FastifyReply,
  blob: Buffer | OpenBlob,
  body: BlobBody,
): Promise<FastifyReply> {
  reply.code(body.status).type(body.type).header('Content-Length', body.lengthBytes)
  if (body.contentRange !== undefined) reply.header('Content-Range', body.contentRange)
  if (Buffer.isBuffer(blob)) return reply.send(inMemory(blob, body))
  reply.hijack()
  try {
    await stream(request, reply, blob, body)
  } catch (error) {
    noteFailure(request, reply, error)
  } finally {
    await blob.close()
  }
  return reply
}

/** What has cut an answer short; nobody can be told any more. */
function noteFailure(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
  if (error instanceof DurabilityLostError) request.server.errorHandler(error, request, reply)
  else if (!(error instanceof ClientGoneError || isDamage(error))) {
    request.log.error({ err: error }, 'a blob could not be sent to its end')
  }
}

/** It is in the log already. */
function isDamage(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'BLOB_UNKNOWN'
}

async function stream(
  request: FastifyRequest,
  reply: FastifyReply,
  blob: OpenBlob,
  { parts }: BlobBody,
): Promise<void> {
  const head = { status: reply.statusCode, headers: reply.getHeaders() as OutgoingHttpHeaders }
  const sink = await ResponseSink.begin(request.raw, reply.raw, head)
  try {
    for (const part of parts) {
      if (Buffer.isBuffer(part)) await sink.write(part)
      else await blob.send(part, sink)
    }
    sink.end()
  } catch (error) {
    sink.abort()
    throw error
  }
}

function inMemory(bytes: Buffer, { parts }: BlobBody): Buffer {
  const pieces = parts.map((part) =>
    Buffer.isBuffer(part) ? part : bytes.subarray(part.firstByte, part.lastByte + 1),
  )
  const [piece, ...others] = pieces
  return piece && others.length === 0 ? piece : Buffer.concat(pieces)
}

function wholeOf({ sizeBytes }: StoredBlob): BlobBody {
  return {
    status: 200,
    type: OCTETS,
    lengthBytes: sizeBytes,
    parts: sizeBytes === 0 ? [] : [{ firstByte: 0, lastByte: sizeBytes - 1 }],
  }
}

function partsOf(blob: StoredBlob, ranges: readonly ByteRange[]): BlobBody {
  const boundary = randomUUID()
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${OCTETS}\r\nContent-Range: ${contentRange(range, blob)}\r\n\r\n`,
    ),
  )
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const parts = [...ranges.flatMap((range, index) => [heads[index] as Buffer, range]), end]
  return {
    status: 206,
    type: `multipart/byteranges; boundary=${boundary}`,
    lengthBytes: parts.reduce(
      (sum, part) => sum + (Buffer.isBuffer(part) ? part.byteLength : lengthOf(part)),
      0,
    ),
    parts,
  }
}

function contentRange({ firstByte, lastByte }: ByteRange, { sizeBytes }: StoredBlob): string {
  return `bytes ${firstByte}-${lastByte}/${sizeBytes}`
}
