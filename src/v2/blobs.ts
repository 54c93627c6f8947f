import { Readable } from 'node:stream'
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { requires } from '../auth/guard.js'
import { RegistryError } from '../errors.js'
import type { StoredBlob } from '../metadata/metadata-store.js'
import { parseDigest } from '../oci/digest.js'
import { parseRepositoryName } from '../oci/reference.js'
import type { Blobs } from '../registry/blobs.js'
import type { ByteRange } from '../storage/blob-store.js'
import { FOREVER, isKnownToClient, sendEmpty } from './answers.js'
import { lengthOf, parseRange } from './ranges.js'

interface BlobRoute {
  Params: { name: string; digest: string }
}

const OCTETS = 'application/octet-stream'

/** Spec: "Pulling blobs" (end-2), "Deleting Blobs" (end-10). */
export async function blobRoutes(
  app: FastifyInstance,
  { blobs }: { readonly blobs: Blobs },
): Promise<void> {
  app.head<BlobRoute>('/:name/blobs/:digest(.+)', requires('pull'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const digest = parseDigest(request.params.digest)

    const blob = await blobs.confirm(name, digest)

    setBlobHeaders(reply, blob)
    if (isKnownToClient(request.headers['if-none-match'], digest)) return reply.code(304).send()
    return reply.type(OCTETS).header('Content-Length', blob.sizeBytes).send()
  })

  app.get<BlobRoute>('/:name/blobs/:digest(.+)', requires('pull'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const digest = parseDigest(request.params.digest)

    const blob = await blobs.get(name, digest)

    if (isKnownToClient(request.headers['if-none-match'], digest)) {
      setBlobHeaders(reply, blob)
      return reply.code(304).send()
    }
    const ranges = wantedRanges(request, reply, blob)
    if (ranges === undefined) return sendWhole(reply, blobs, blob)
    const [range, ...others] = ranges
    if (range && others.length === 0) return sendRange(reply, blobs, blob, range)
    return sendRanges(reply, blobs, blob, ranges)
  })

  app.delete<BlobRoute>('/:name/blobs/:digest(.+)', requires('delete'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const digest = parseDigest(request.params.digest)

    await blobs.delete(name, digest, request.identity)

    return sendEmpty(reply, 202)
  })
}

function setBlobHeaders(reply: FastifyReply, { digest }: StoredBlob): void {
  reply.header('Docker-Content-Digest', digest)
  reply.header('Accept-Ranges', 'bytes')
  reply.header('ETag', `"${digest}"`)
  reply.header('Cache-Control', FOREVER)
}

/** Sets `Content-Range` for the refusal, which has to tell the size. */
function wantedRanges(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { digest, sizeBytes }: StoredBlob,
): readonly ByteRange[] | undefined {
  const ifRange = headers['if-range']
  // Only our own strong tag: a date says nothing about content that never changes.
  if (ifRange !== undefined && ifRange !== `"${digest}"`) return undefined
  try {
    return parseRange(headers.range, sizeBytes)
  } catch (error) {
    if (error instanceof RegistryError) reply.header('Content-Range', `bytes */${sizeBytes}`)
    throw error
  }
}

async function sendWhole(
  reply: FastifyReply,
  blobs: Blobs,
  blob: StoredBlob,
): Promise<FastifyReply> {
  const bytes = await blobs.read(blob)
  setBlobHeaders(reply, blob)
  return reply.type(OCTETS).header('Content-Length', blob.sizeBytes).send(bytes)
}

async function sendRange(
  reply: FastifyReply,
  blobs: Blobs,
  blob: StoredBlob,
  range: ByteRange,
): Promise<FastifyReply> {
  const bytes = await blobs.read(blob, range)
  setBlobHeaders(reply, blob)
  return reply
    .code(206)
    .type(OCTETS)
    .header('Content-Range', contentRange(range, blob))
    .header('Content-Length', lengthOf(range))
    .send(bytes)
}

/** Several parts in one answer: RFC 9110, section 14.6. podman's partial pulls ask for them. */
async function sendRanges(
  reply: FastifyReply,
  blobs: Blobs,
  blob: StoredBlob,
  ranges: readonly ByteRange[],
): Promise<FastifyReply> {
  const boundary = randomUUID()
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${OCTETS}\r\nContent-Range: ${contentRange(range, blob)}\r\n\r\n`,
    ),
  )
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const lengthBytes = ranges.reduce(
    (sum, range, index) => sum + (heads[index]?.byteLength ?? 0) + lengthOf(range),
    end.byteLength,
  )
  // The first part is opened before the answer begins: a damaged blob must not become a 206.
  const first = await blobs.read(blob, ranges[0])

  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const [index, range] of ranges.entries()) {
      yield heads[index] as Buffer
      yield* index === 0 ? first : await blobs.read(blob, range)
    }
    yield end
  }

  const answer = Readable.from(parts(), { objectMode: false })
  // A client that is gone before the first part would otherwise leave it open.
  answer.once('close', () => first.destroy())
  setBlobHeaders(reply, blob)
  return reply
    .code(206)
    .type(`multipart/byteranges; boundary=${boundary}`)
    .header('Content-Length', lengthBytes)
    .send(answer)
}

function contentRange({ firstByte, lastByte }: ByteRange, { sizeBytes }: StoredBlob): string {
  return `bytes ${firstByte}-${lastByte}/${sizeBytes}`
}
