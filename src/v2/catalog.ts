import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { sendJson } from './answers.js'
import { nextPage, parsePage, type PageQuery } from './pages.js'

const limits = { usual: 100, max: 1000 }

/** Docker's `_catalog`, in byte order; the specification has no such list. */
export async function catalogRoutes(
  app: FastifyInstance,
  { metadata }: { readonly metadata: MetadataStore },
): Promise<void> {
  app.route<{ Querystring: PageQuery }>({
    method: ['GET', 'HEAD'],
    url: '/_catalog',
    ...requires('pull'),
    handler: async (request, reply) => {
      const page = parsePage(request.query, limits)

      const { entries: repositories, hasMore } = await metadata.listRepositories(page)

      const last = repositories.at(-1)
      if (hasMore && last !== undefined) reply.header('Link', nextPage(request, last, page.limit))
      return sendJson(reply, { repositories })
    },
  })
}
