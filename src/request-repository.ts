import type { FastifyRequest } from 'fastify'

/** Routes whose parameter `name` is a repository: accounts, groups and namespaces have names, too. */
const OF_REPOSITORIES = /^\/(v2|api\/v1\/repositories)\/:name/

/** The repository that a request is about, as its path names it. */
export function repositoryIn({ params, routeOptions }: FastifyRequest): string | undefined {
  const { name } = (params ?? {}) as { readonly name?: string }
  return OF_REPOSITORIES.test(routeOptions.url ?? '') ? name : undefined
}
