import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { Referrer } from '../metadata/manifests.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { parseDigest } from '../oci/digest.js'
import { OCI_INDEX } from '../oci/media-types.js'
import { parseRepositoryName } from '../oci/reference.js'
import { sendJson } from './answers.js'
import { nextPage, parsePage, type PageQuery } from './pages.js'

interface ReferrersRoute {
  Params: { name: string; digest: string }
  Querystring: PageQuery & { artifactType?: string | string[] }
}

/** A page ends by its bytes; this bounds the rows that one request reads. */
const limits = { usual: 10_000, max: 10_000 }

/** Clients refuse more than 4 MiB; what is left over is for the frame around the list. */
const pageBytesMax = 4 * 1024 * 1024 - 64 * 1024

/** Spec: "Listing Referrers" (end-12). Never 404: that would send clients to the fallback tag. */
export async function referrerRoutes(
  app: FastifyInstance,
  { metadata }: { readonly metadata: MetadataStore },
): Promise<void> {
  app.route<ReferrersRoute>({
    method: ['GET', 'HEAD'],
    url: '/:name/referrers/:digest(.+)',
    ...requires('pull'),
    handler: async (request, reply) => {
      const repository = parseRepositoryName(request.params.name)
      const subject = parseDigest(request.params.digest)
      const artifactTypes = parseArtifactTypes(request.query.artifactType)
      const page = parsePage(request.query, limits)
      if (page.after !== undefined) parseDigest(page.after)

      const { entries, hasMore } = await metadata.listReferrers({
        repository,
        subject,
        artifactTypes,
        bytesMax: pageBytesMax,
        ...page,
      })

      const last = entries.at(-1)
      if (hasMore && last) reply.header('Link', nextPage(request, last.digest, page.limit))
      if (artifactTypes.length > 0) reply.header('OCI-Filters-Applied', 'artifactType')
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries.map(descriptorOf) }
      return sendJson(reply, index, OCI_INDEX)
    },
  })
}

/** A raw `+` in a media type has become a space on its way through the query. */
function parseArtifactTypes(parameter: string | string[] | undefined): string[] {
  return [parameter ?? []]
    .flat()
    .filter((text) => text !== '')
    .map((text) => text.replaceAll(' ', '+'))
}

function descriptorOf({ mediaType, digest, sizeBytes, artifactType, annotations }: Referrer) {
  return { mediaType, digest, size: sizeBytes, artifactType, annotations }
}
