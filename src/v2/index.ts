import type { FastifyInstance } from 'fastify'
import { guard, requires, type Gate } from '../auth/guard.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Registry } from '../registry/registry.js'
import { sendJson } from './answers.js'
import { blobRoutes } from './blobs.js'
import { catalogRoutes } from './catalog.js'
import { manifestRoutes } from './manifests.js'
import { referrerRoutes } from './referrers.js'
import { tagRoutes } from './tags.js'
import { uploadRoutes } from './uploads.js'

export interface V2Options {
  readonly registry: Registry
  readonly metadata: MetadataStore
  readonly gate: Gate
  readonly manifestBytesMax: number
  /** `storage.accelRedirect` */
  readonly accelPrefix: string
}

/** The OCI distribution API. */
export async function v2(app: FastifyInstance, options: V2Options): Promise<void> {
  const { registry, metadata, gate, manifestBytesMax, accelPrefix } = options
  const { access } = gate

  const confirm = guard(app, gate, { refuseOffWith: 'UNSUPPORTED' })

  // Spec: "Determining Support" (end-1).
  app.route({
    method: ['GET', 'HEAD'],
    url: '/',
    ...requires('ping'),
    handler: async (_request, reply) => sendJson(reply, {}),
  })

  await app.register(manifestRoutes, {
    manifests: registry.manifests,
    access,
    confirm,
    bytesMax: manifestBytesMax,
  })
  await app.register(blobRoutes, { blobs: registry.blobs, accelPrefix })
  await app.register(uploadRoutes, { ...registry, metadata, access, confirm })
  await app.register(tagRoutes, { metadata })
  await app.register(referrerRoutes, { metadata })
  await app.register(catalogRoutes, { metadata, access })
}
