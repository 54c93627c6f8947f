import type { FastifyInstance } from 'fastify'
import { guard, requires, type Gate } from '../auth/guard.js'
import { ASK_AGAIN } from '../caching.js'
import type { Search } from '../registry/search.js'

interface SearchRoute {
  Querystring: { q?: string | string[]; n?: string | string[] }
}

const usualResults = 25
const resultsMax = 100

export interface V1Options {
  readonly search: Search
  readonly gate: Gate
}

/** The two endpoints of Docker's first registry API that `docker search` and `podman search` use. */
export async function v1(app: FastifyInstance, { search, gate }: V1Options): Promise<void> {
  guard(app, gate, { refuseOffWith: 'UNSUPPORTED' })

  app.get('/_ping', requires('nothing'), async (_request, reply) => {
    reply.header('X-Docker-Registry-Standalone', 'true')
    return { standalone: true }
  })

  app.get<SearchRoute>('/search', requires('search'), async (request, reply) => {
    const query = [request.query.q ?? ''].flat()[0] ?? ''
    // docker puts its hub's namespace before a name that has none.
    const term = query.startsWith('library/') ? query.slice('library/'.length) : query

    const viewer = await gate.access.viewerOf(request.identity)
    const found = await search.find(term, resultCount(request.query.n), viewer)

    const results = found.map(({ name, description }) => ({
      name,
      description,
      star_count: 0,
      is_official: false,
      is_automated: false,
    }))
    reply.header('Cache-Control', ASK_AGAIN)
    return { query, num_results: results.length, results }
  })
}

/** Neither client lets a person see an error of this: what is no number counts as not given. */
function resultCount(parameter: string | string[] | undefined): number {
  const wanted = Number(parameter ?? usualResults)
  if (!Number.isInteger(wanted) || wanted < 1) return usualResults
  return Math.min(wanted, resultsMax)
}
