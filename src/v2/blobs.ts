import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { FOREVER } from '../caching.js'
import { requires } from '../auth/guard.js'
import { RegistryError } from '../errors.js'
import type { StoredBlob } from '../metadata/blobs.js'
import { parseDigest } from '../oci/digest.js'
import { parseRepositoryName } from '../oci/reference.js'
import type { Blobs } from '../registry/blobs.js'
import { setContentPolicy } from '../security-headers.js'
import type { ByteRange } from '../storage/blob-store.js'
import { accelRedirect } from './accel-redirect.js'
import { isKnownToClient, sendEmpty } from './answers.js'
import { bodyOf, OCTETS, sendBody } from './blob-bodies.js'
import { parseRange } from './ranges.js'

export interface BlobRoutesOptions {
  readonly blobs: Blobs
  /** `storage.accelRedirect` */
  readonly accelPrefix: string
}

interface BlobRoute {
  Params: { name: string; digest: string }
}

/** Spec: "Pulling blobs" (end-2), "Deleting Blobs" (end-10). */
export async function blobRoutes(
  app: FastifyInstance,
  { blobs, accelPrefix }: BlobRoutesOptions,
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
    const redirect = await accelRedirect(accelPrefix, request.headers, blobs, blob)
    if (redirect !== undefined) {
      setBlobHeaders(reply, blob)
      // nginx would pass it on beside its own.
      reply.removeHeader('Accept-Ranges')
      return reply.type(OCTETS).header('X-Accel-Redirect', redirect).send()
    }
    const isWanted = () => !request.raw.socket.destroyed
    const content = await blobs.open(blob, { ranges, isWanted })

    setBlobHeaders(reply, blob)
    return sendBody(request, reply, content, bodyOf(blob, ranges))
  })

  app.delete<BlobRoute>('/:name/blobs/:digest(.+)', requires('delete'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const digest = parseDigest(request.params.digest)

    await blobs.delete(name, digest, request.identity.name)

    return sendEmpty(reply, 202)
  })
}

function setBlobHeaders(reply: FastifyReply, { digest }: StoredBlob): void {
  setContentPolicy(reply)
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
