import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ASK_AGAIN, FOREVER } from '../caching.js'
import type { Access } from '../auth/access.js'
import { requires, type Confirm } from '../auth/guard.js'
import { RegistryError } from '../errors.js'
import { addAuditDetails, someNames } from '../events/audit-details.js'
import type { StoredManifest } from '../metadata/manifests.js'
import { parseReference, parseRepositoryName, parseTag, type Tag } from '../oci/reference.js'
import type { Manifests } from '../registry/manifests.js'
import { contentTypeOf } from '../request-bodies.js'
import { setContentPolicy } from '../security-headers.js'
import { isKnownToClient, sendEmpty, warn } from './answers.js'
import { readBody } from './bodies.js'

interface ManifestRoute {
  Params: { name: string; reference: string }
  Querystring: { tag?: string | string[] }
}

/** The specification asks for ten at least; a hundred of the longest fit a URL. */
const tagParametersMax = 100

export interface ManifestRoutesOptions {
  readonly manifests: Manifests
  readonly access: Access
  readonly confirm: Confirm
  readonly bytesMax: number
}

/** Spec: "Pulling manifests" (end-3), "Pushing Manifests" (end-7), deleting them (end-9). */
export async function manifestRoutes(
  app: FastifyInstance,
  { manifests, access, confirm, bytesMax }: ManifestRoutesOptions,
): Promise<void> {
  app.head<ManifestRoute>(
    '/:name/manifests/:reference(.+)',
    requires('pull'),
    async (request, reply) => {
      const name = parseRepositoryName(request.params.name)
      const reference = parseReference(request.params.reference)

      const manifest = await manifests.confirm(name, reference)

      if (isAnsweredByHeaders(request, reply, manifest)) return reply
      return reply.header('Content-Length', manifest.bytes.byteLength).send()
    },
  )

  app.get<ManifestRoute>(
    '/:name/manifests/:reference(.+)',
    requires('pull'),
    async (request, reply) => {
      const name = parseRepositoryName(request.params.name)
      const reference = parseReference(request.params.reference)

      const manifest = await manifests.get(name, reference)

      if (isAnsweredByHeaders(request, reply, manifest)) return reply
      return reply.send(manifest.bytes)
    },
  )

  app.put<ManifestRoute>(
    '/:name/manifests/:reference(.+)',
    requires('push'),
    async (request, reply) => {
      const name = parseRepositoryName(request.params.name)
      const reference = parseReference(request.params.reference)
      // With a tag in the path the parameter has no meaning.
      const tags = reference.digest === undefined ? [] : parseTags(request.query.tag)
      const bytes = await readBody(request, reply, bytesMax)
      await confirm(request, reply)
      const { identity } = request

      const { digest, manifest } = await manifests.put(name, reference, {
        bytes,
        contentType: contentTypeOf(request),
        tags,
        identity: identity.name,
        mayOverwrite: await access.may(identity, 'overwrite', name),
      })

      reply.header('Location', `/v2/${name}/manifests/${digest}`)
      reply.header('Docker-Content-Digest', digest)
      if (manifest.subject) reply.header('OCI-Subject', manifest.subject.digest)
      if (tags.length > 0) reply.header('OCI-Tag', tags.join(', '))
      if (manifest.kind === 'artifact') {
        warn(
          reply,
          `${manifest.mediaType} was dropped from the specification; push an image manifest with an artifactType instead`,
        )
      }
      return sendEmpty(reply, 201)
    },
  )

  app.delete<ManifestRoute>(
    '/:name/manifests/:reference(.+)',
    requires('delete'),
    async (request, reply) => {
      const name = parseRepositoryName(request.params.name)
      const reference = parseReference(request.params.reference)

      const deleted = await manifests.delete(name, reference, request.identity.name)

      if (reference.digest !== undefined) {
        const { tags, hasMoreTags: moreTags } = deleted
        addAuditDetails(request, { tags: someNames(tags), moreTags })
      }

      return sendEmpty(reply, 202)
    },
  )
}

/**
 * Sets what GET and HEAD say of a manifest, and answers 304 when the client has it. What is stored
 * is what is served: `Accept` chooses nothing.
 */
function isAnsweredByHeaders(
  request: FastifyRequest<ManifestRoute>,
  reply: FastifyReply,
  { digest, mediaType }: StoredManifest,
): boolean {
  const isTag = !request.params.reference.includes(':')
  setContentPolicy(reply)
  reply.header('Docker-Content-Digest', digest)
  reply.header('ETag', `"${digest}"`)
  reply.header('Cache-Control', isTag ? ASK_AGAIN : FOREVER)
  if (isKnownToClient(request.headers['if-none-match'], digest)) {
    reply.code(304).send()
    return true
  }
  reply.type(mediaType)
  return false
}

function parseTags(parameter: string | string[] | undefined): Tag[] {
  const texts = parameter === undefined ? [] : [parameter].flat()
  if (texts.length > tagParametersMax) {
    throw new RegistryError('TOO_MANY_TAGS', `a request sets at most ${tagParametersMax} tags`)
  }
  return [...new Set(texts.map(parseTag))]
}
