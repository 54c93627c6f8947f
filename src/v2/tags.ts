import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { parseRepositoryName } from '../oci/reference.js'
import { sendJson } from './answers.js'
import { nextPage, parsePage, type PageQuery } from './pages.js'

interface TagsRoute {
  Params: { name: string }
  Querystring: PageQuery
}

const limits = { usual: 1000, max: 10_000 }

/** Spec: "Listing Tags" (end-8), in byte order. */
export async function tagRoutes(
  app: FastifyInstance,
  { metadata }: { readonly metadata: MetadataStore },
): Promise<void> {
  app.route<TagsRoute>({
    method: ['GET', 'HEAD'],
    url: '/:name/tags/list',
    ...requires('pull'),
    handler: async (request, reply) => {
      const name = parseRepositoryName(request.params.name)
      const page = parsePage(request.query, limits)

      const { entries: tags, hasMore } = await metadata.listTags(name, page)

      const last = tags.at(-1)
      if (hasMore && last !== undefined) reply.header('Link', nextPage(request, last, page.limit))
      return sendJson(reply, { name, tags })
    },
  })
}
