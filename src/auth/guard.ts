import type { FastifyInstance } from 'fastify'
import { requireAccess, type Access, type AccessPolicy, type Identity } from './access.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller needs to be allowed for this route. */
    access?: Access
  }
  interface FastifyRequest {
    identity: Identity
  }
}

/** Written on a route: what its caller needs to be allowed. */
export function requires(access: Access): { readonly config: { readonly access: Access } } {
  return { config: { access } }
}

/**
 * The one gate in front of all routes of a scope: who asks, and may they? A route that does not
 * say what it needs is refused when it is registered.
 */
export function guard(app: FastifyInstance, policy: AccessPolicy): void {
  app.decorateRequest('identity', 'anonymous')
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config?.access === undefined) {
      throw new Error(`the route ${String(method)} ${url} does not say what access it requires`)
    }
  })
  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config
    // Without a route there is nothing to protect: the answer is 404 or 405.
    if (access !== undefined) requireAccess(policy, access)
  })
}
