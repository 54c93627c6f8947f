import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError, repositoryUnknown } from '../errors.js'
import { parseRepositoryName, type RepositoryName } from '../oci/reference.js'
import { repositoryIn } from '../request-repository.js'
import { ACTION_OF, type Access, type Need, type Refusal } from './access.js'
import type { Challenges } from './challenges.js'
import { ANONYMOUS, isSignedIn, type Identity, type Known } from './identity.js'
import { callerOf, type RequestRate } from './request-rate.js'
import { CATALOG_SCOPE, scopeOf } from './scopes.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller needs to be allowed for this route. */
    need?: Need
  }
  interface FastifyRequest {
    identity: Identity
  }
}

/** Written on a route: what its caller needs to be allowed. */
export function requires(need: Need): { readonly config: { readonly need: Need } } {
  return { config: { need } }
}

/**
 * Decides again where something has changed since a request began.
 *
 * @throws what the gate throws
 */
export type Confirm = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

interface Decision {
  /** Of all that decides about access, when it was made. */
  readonly version: number
  readonly begunAt: number
}

/** What stands about a request. */
const decisions = new WeakMap<FastifyRequest, Decision>()

/** What decides about every request, in whichever room. */
export interface Gate {
  readonly access: Access
  readonly challenges: Challenges
  /** Grows with everything that may change what somebody may do. */
  version(): Promise<number>
  /**
   * Undefined when what was shown lets nobody in.
   *
   * @param known - where it has let somebody in before, and may not any more
   */
  identify(request: FastifyRequest, known?: Known): Promise<Identity | undefined>
  readonly now: () => number
  /** How much anybody may ask; undefined for any number of requests. */
  readonly requestRate: RequestRate | undefined
}

export interface GuardOptions {
  /**
   * How this scope says no to what is switched off: the registry's clients know `UNSUPPORTED` (405) for
   * it.
   */
  readonly refuseOffWith: 'UNSUPPORTED' | 'DENIED'
}

/**
 * The one gate in front of all routes of a scope: who asks, and may they? A route that does not
 * say what it needs is refused when it is registered.
 *
 * @returns what a handler calls that has waited for its body
 */
export function guard(app: FastifyInstance, gate: Gate, { refuseOffWith }: GuardOptions): Confirm {
  const { access, challenges, requestRate } = gate
  app.decorateRequest('identity')
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config?.need === undefined) {
      throw new Error(`the route ${String(method)} ${url} does not say what access it requires`)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    request.identity = ANONYMOUS
    decisions.set(request, { version: await gate.version(), begunAt: gate.now() })
    const identity = await gate.identify(request)
    if (identity) request.identity = identity
    requestRate?.admit(callerOf(request.identity, request))
    await decide(request, reply, identity)
  })
  app.addHook('preHandler', confirm)

  /**
   * Looks again where anything has changed since it was decided: a body can take hours to come. A token
   * that has expired meanwhile was good when it was shown.
   */
  async function confirm(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const version = await gate.version()
    const { version: before, begunAt = gate.now() } = decisions.get(request) ?? {}
    if (before === version) return
    decisions.set(request, { version, begunAt })
    const identity = await gate.identify(request, { identity: request.identity, at: begunAt })
    if (identity) request.identity = identity
    await decide(request, reply, identity)
  }

  async function decide(
    request: FastifyRequest,
    reply: FastifyReply,
    identity: Identity | undefined,
  ): Promise<void> {
    const { need } = request.routeOptions.config
    // Without a route there is nothing to protect: the answer is 404 or 405.
    if (need === undefined) return
    const repository = repositoryOf(request)
    const refusal = identity
      ? await access.refusalOf(identity, need, repository)
      : ({ kind: 'challenge', error: 'invalid_token', ...scopeFor(need, repository) } as const)
    if (refusal) refuse(request, reply, refusal)
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): never {
    switch (refusal.kind) {
      case 'challenge':
        reply.header('WWW-Authenticate', challenges.bearer(request, refusal))
        throw new RegistryError('UNAUTHORIZED', challengeText(refusal, request.identity))
      case 'hidden':
        throw repositoryUnknown(refusal.repository)
      case 'denied':
        throw new RegistryError('DENIED', refusal.message)
      case 'off':
        throw new RegistryError(refuseOffWith, refusal.message)
    }
  }

  return confirm
}

/** Who has not signed in has a token of which they know nothing: their client has asked for it. */
function challengeText(
  { error }: Extract<Refusal, { kind: 'challenge' }>,
  identity: Identity,
): string {
  if (error === 'insufficient_scope' && !isSignedIn(identity)) {
    return 'authentication required: log in to do this'
  }
  return CHALLENGE_TEXTS[error ?? 'none']
}

const CHALLENGE_TEXTS = {
  none: 'authentication required',
  invalid_token: 'the credentials are not right, or not any more',
  insufficient_scope: 'authentication required: the token is not for this',
} as const

function repositoryOf(request: FastifyRequest): RepositoryName | undefined {
  const name = repositoryIn(request)
  return name === undefined ? undefined : parseRepositoryName(name)
}

/** What a client has to ask a token for that is good for this. */
function scopeFor(need: Need, repository: RepositoryName | undefined): { readonly scope?: string } {
  const action = ACTION_OF[need]
  if (repository !== undefined && action) return { scope: scopeOf(repository, action) }
  return need === 'catalog' || need === 'search' ? { scope: CATALOG_SCOPE } : {}
}
