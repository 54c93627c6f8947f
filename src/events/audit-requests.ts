import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuditResult } from '../metadata/audit.js'
import { refusalCodeOf } from '../refusals.js'
import { auditDetailsOf } from './audit-details.js'
import type { AuditLog } from './audit.js'
import { AUDITED_ROUTES, type AuditedRoute } from './audited-routes.js'

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Refusals of who asks, and of how much: read-only registries refuse with 405. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 405, 429])

/**
 * Has every request that changes something noted, whatever comes of it. To be called before there are any
 * routes, and before whatever may refuse a request.
 *
 * @param options - with `pulls` also those that read a manifest
 */
export function auditRequests(
  app: FastifyInstance,
  audit: AuditLog,
  { pulls }: { readonly pulls: boolean },
): void {
  app.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) {
      if (READING.has(name) || Object.hasOwn(AUDITED_ROUTES, `${name} ${url}`)) continue
      throw new Error(`the route ${name} ${url} is not in AUDITED_ROUTES`)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    if (READING.has(request.method) && !pulls) return
    const route = routeOf(request)
    if (route) noteWhenDone(audit, route, request, reply)
  })
}

function routeOf({ method, routeOptions: { url } }: FastifyRequest): AuditedRoute | undefined {
  const route = url === undefined ? undefined : AUDITED_ROUTES[`${method} ${url}`]
  return typeof route === 'object' ? route : undefined
}

function noteWhenDone(
  audit: AuditLog,
  { of, tell }: AuditedRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  // While there is a connection: one that was cut has no address.
  const address = request.ip
  let isNoted = false
  const note = (isAnswered: boolean) => {
    if (isNoted) return
    isNoted = true
    try {
      tellOf(isAnswered)
    } catch (error) {
      // Nobody is there any more who could answer it: thrown here it would end the process.
      request.log.error({ err: error }, 'a request could not be noted in the audit trail')
    }
  }
  const tellOf = (isAnswered: boolean) => {
    const { statusCode } = reply.raw
    if (statusCode === 401 && !hasCredentials(request)) return
    if (of === 'refusals' && !(isAnswered && REFUSALS.has(statusCode))) return
    const { details, ...told } = tell(request, reply)
    const result = isAnswered ? resultOf(statusCode) : 'failed'
    const code = refusalCodeOf(request)
    audit.note({
      request,
      address,
      ...told,
      result,
      details: {
        ...(result !== 'done' && isAnswered && { status: statusCode }),
        ...(code !== undefined && { code }),
        ...(!isAnswered && { clientGone: true }),
        ...details,
        ...auditDetailsOf(request),
      },
    })
  }
  reply.raw.once('finish', () => note(true)).once('close', () => note(false))
}

/** What everybody is asked for who sends none is no refusal yet. An empty name has none, for some clients. */
function hasCredentials({ headers: { authorization } }: FastifyRequest): boolean {
  return authorization !== undefined && !/^basic +og==$/i.test(authorization)
}

function resultOf(statusCode: number): AuditResult {
  if (statusCode < 400) return 'done'
  return statusCode < 500 ? 'refused' : 'failed'
}
