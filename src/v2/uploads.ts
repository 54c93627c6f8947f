import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Access } from '../auth/access.js'
import { requires, type Confirm } from '../auth/guard.js'
import type { Identity } from '../auth/identity.js'
import { RegistryError } from '../errors.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Upload } from '../metadata/uploads.js'
import { parseAlgorithm, parseDigest, type Digest } from '../oci/digest.js'
import { parseRepositoryName, type RepositoryName } from '../oci/reference.js'
import type { Registry } from '../registry/registry.js'
import type { UploadBody } from '../registry/upload-body.js'
import { sendEmpty } from './answers.js'
import { uploadBodyOf } from './bodies.js'
import { MountSources } from './mount-sources.js'

interface OpenRoute {
  Params: { name: string }
  Querystring: {
    digest?: string | string[]
    'digest-algorithm'?: string | string[]
    mount?: string | string[]
    from?: string | string[]
  }
}

interface SessionRoute {
  Params: { name: string; id: string }
  Querystring: { digest?: string | string[] }
}

/** Without the expression an empty id would be one, and hide that only POST is possible there. */
const SESSION_PATH = '/:name/blobs/uploads/:id(.+)'

export interface UploadRoutesOptions extends Pick<Registry, 'blobs' | 'uploads'> {
  readonly metadata: MetadataStore
  readonly access: Access
  readonly confirm: Confirm
}

/** Spec: "Pushing blobs" (end-4, 5, 6, 13, 14), "Mounting a blob" (end-11). */
export async function uploadRoutes(
  app: FastifyInstance,
  { blobs, uploads, metadata, access, confirm }: UploadRoutesOptions,
): Promise<void> {
  const sources = new MountSources(metadata.accounts, access)

  app.post<OpenRoute>('/:name/blobs/uploads/', requires('push'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const { query, identity } = request
    const by = identity.name
    const algorithm = parseAlgorithm(String(query['digest-algorithm'] ?? 'sha256'))

    if (query.mount !== undefined) {
      const digest = parseSingleDigest(query.mount)
      if (await mount(identity, name, digest, query.from)) return sendCreated(reply, name, digest)
    } else if (query.digest !== undefined) {
      const digest = parseSingleDigest(query.digest)
      await uploads.putWhole(name, digest, lastBodyOf(request, reply), by)
      return sendCreated(reply, name, digest)
    }
    const upload = await uploads.open(name, algorithm, by)

    setSessionHeaders(reply, upload)
    return sendEmpty(reply, 202)
  })

  app.route<SessionRoute>({
    method: ['GET', 'HEAD'],
    url: SESSION_PATH,
    ...requires('push'),
    handler: async (request, reply) => {
      const name = parseRepositoryName(request.params.name)

      const upload = await uploads.get(name, request.params.id)

      setSessionHeaders(reply, upload)
      return reply.code(204).send()
    },
  })

  app.patch<SessionRoute>(SESSION_PATH, requires('push'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const { id } = request.params
    const body = uploadBodyOf(request, reply)

    const upload = await tellingOffset(reply, name, id, () => uploads.append(name, id, body))

    setSessionHeaders(reply, upload)
    return sendEmpty(reply, 202)
  })

  app.put<SessionRoute>(SESSION_PATH, requires('push'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)
    const { id } = request.params
    const digest = parseSingleDigest(request.query.digest)
    const body = lastBodyOf(request, reply)

    await tellingOffset(reply, name, id, () => uploads.commit(name, id, digest, body))

    return sendCreated(reply, name, digest)
  })

  app.delete<SessionRoute>(SESSION_PATH, requires('push'), async (request, reply) => {
    const name = parseRepositoryName(request.params.name)

    await uploads.abort(name, request.params.id)

    return reply.code(204).send()
  })

  /** With it there is a blob that everybody may see who may see the repository. */
  function lastBodyOf(request: FastifyRequest, reply: FastifyReply): UploadBody {
    return { ...uploadBodyOf(request, reply), confirm: () => confirm(request, reply) }
  }

  async function mount(
    identity: Identity,
    name: RepositoryName,
    digest: Digest,
    from: string | string[] | undefined,
  ): Promise<boolean> {
    const source = await sources.find(identity, digest, from)
    if (source === undefined) return false
    return blobs.mount(name, digest, source === 'anywhere' ? undefined : source)
  }

  /** A 416 says where the session really is. */
  async function tellingOffset<T>(
    reply: FastifyReply,
    name: RepositoryName,
    id: string,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'RANGE_INVALID') {
        setSessionHeaders(reply, await uploads.get(name, id))
      }
      throw error
    }
  }
}

function parseSingleDigest(parameter: string | string[] | undefined): Digest {
  if (typeof parameter === 'string') return parseDigest(parameter)
  throw new RegistryError('DIGEST_INVALID', 'exactly one digest must be given')
}

/**
 * A path, not a URL: behind a proxy we do not know what the client calls us. docker computes a
 * layer's size from `Range`, and needs `0-0` where nothing has arrived.
 */
function setSessionHeaders(reply: FastifyReply, { id, repository, offsetBytes }: Upload): void {
  reply.header('Location', `/v2/${repository}/blobs/uploads/${id}`)
  reply.header('Range', `0-${Math.max(offsetBytes - 1, 0)}`)
  reply.header('Docker-Upload-UUID', id)
}

function sendCreated(reply: FastifyReply, name: RepositoryName, digest: Digest): FastifyReply {
  reply.header('Location', `/v2/${name}/blobs/${digest}`)
  reply.header('Docker-Content-Digest', digest)
  return sendEmpty(reply, 201)
}
