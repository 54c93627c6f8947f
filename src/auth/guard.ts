import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'
import { refusalOfAccess, type Access, type AccessPolicy, type Identity } from './access.js'
import { callerOf, type RequestRate } from './request-rate.js'

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

export interface GuardOptions {
  /** Who asks; everybody is anonymous without it. May refuse by throwing. */
  readonly identify?: (request: FastifyRequest, reply: FastifyReply) => Identity
  /**
   * How this scope says no to what is switched off: the registry's clients know `UNSUPPORTED` (405) for
   * it.
   */
  readonly refuseWith?: 'UNSUPPORTED' | 'DENIED'
  /** How much anybody may ask; undefined for any number of requests. */
  readonly requestRate: RequestRate | undefined
}

/**
 * The one gate in front of all routes of a scope: who asks, and may they? A route that does not
 * say what it needs is refused when it is registered.
 */
export function guard(
  app: FastifyInstance,
  policy: AccessPolicy,
  { identify, refuseWith = 'UNSUPPORTED', requestRate }: GuardOptions,
): void {
  app.decorateRequest('identity', 'anonymous')
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config?.access === undefined) {
      throw new Error(`the route ${String(method)} ${url} does not say what access it requires`)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    if (identify) request.identity = identify(request, reply)
    requestRate?.admit(callerOf(request.identity, request))
    const { access } = request.routeOptions.config
    // Without a route there is nothing to protect: the answer is 404 or 405.
    const refusal = access && refusalOfAccess(policy, request.identity, access)
    if (refusal !== undefined) throw new RegistryError(refuseWith, refusal)
  })
}
