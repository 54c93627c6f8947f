import type { FastifyInstance } from 'fastify'
import type { Access } from '../auth/access.js'
import { requires } from '../auth/guard.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { sendJson } from './answers.js'
import { nextPage, parsePage, type PageQuery } from './pages.js'

const limits = { usual: 100, max: 1000 }

/** Docker's `_catalog`, in byte order; the specification has no such list. */
export async function catalogRoutes(
  app: FastifyInstance,
  { metadata, access }: { readonly metadata: MetadataStore; readonly access: Access },
): Promise<void> {
  app.route<{ Querystring: PageQuery }>({
    method: ['GET', 'HEAD'],
    url: '/_catalog',
    ...requires('catalog'),
    handler: async (request, reply) => {
      const page = parsePage(request.query, limits)

      const viewer = await access.viewerOf(request.identity)
      const { entries: repositories, hasMore } = await metadata.listRepositories(page, viewer)

      const last = repositories.at(-1)
      if (hasMore && last !== undefined) reply.header('Link', nextPage(request, last, page.limit))
      return sendJson(reply, { repositories })
    },
  })
}
