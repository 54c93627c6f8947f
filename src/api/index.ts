import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Auth } from '../auth/auth.js'
import { guard } from '../auth/guard.js'
import { KEPT_NOWHERE } from '../caching.js'
import type { Config } from '../config.js'
import type { Endpoints } from '../endpoints.js'
import type { DurabilityLostError } from '../errors.js'
import type { AuditLog } from '../events/audit.js'
import type { Maintenance } from '../gc/maintenance.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { errorHandler } from '../refusals.js'
import type { Registry } from '../registry/registry.js'
import { dayMs } from '../times.js'
import { accessRoutes } from './access.js'
import { accountRoutes } from './account.js'
import { keepNamesFromStrangers } from './account-names.js'
import { auditRoutes } from './audit.js'
import { backupRoutes } from './backups.js'
import { grantRoutes } from './grants.js'
import { groupRoutes } from './groups.js'
import { historyRoutes } from './history.js'
import { acceptJson } from './json-bodies.js'
import { manifestRoutes } from './manifests.js'
import { namespaceRoutes } from './namespaces.js'
import { describeRoutes, openApiRoutes } from './openapi.js'
import { refuseOtherOrigins } from './origins.js'
import { sendProblem } from './problems.js'
import { gcRoutes } from './gc.js'
import { repositoryRoutes } from './repositories.js'
import { retentionRoutes } from './retention.js'
import { robotRoutes } from './robots.js'
import { runRoutes } from './runs.js'
import { writeAnswers } from './serialization.js'
import { signingKeyRoutes } from './signing-keys.js'
import { tagRoutes } from './tags.js'
import { tokenRoutes } from './tokens.js'
import { undoRoutes } from './undo.js'
import { usageRoutes } from './usage.js'
import { userRoutes } from './users.js'
import { checkRequests, translatedCheck } from './validation.js'
import { verifyRoutes } from './verify.js'

export interface ApiOptions {
  readonly config: Config
  readonly registry: Registry
  readonly maintenance: Maintenance
  readonly audit: AuditLog
  readonly metadata: MetadataStore
  readonly auth: Auth
  readonly now: () => number
  readonly endpoints: Endpoints
  readonly onError: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void
}

/**
 * The management API: what people and programs ask of a registry besides pushing and pulling, as JSON.
 * The command line is a client of it. One file for each noun; each route carries its schemas, and the
 * OpenAPI document is made of them.
 */
export async function api(app: FastifyInstance, options: ApiOptions): Promise<void> {
  const { config, registry, maintenance, audit, metadata, auth, now, endpoints, onError } = options
  const { apiGate: gate, passwords, logins } = auth
  const { access } = gate
  const { accounts } = metadata
  const { manifests } = registry
  const undoMs = config.undo.days * dayMs

  app.setErrorHandler(onError)
  guard(app, gate, { refuseOffWith: 'DENIED' })
  app.setNotFoundHandler((request, reply) => endpoints.refuse(request, reply))
  // Before anybody waits for a body that nothing here would take. The router takes nothing at all for
  // a parameter, too.
  app.addHook('onRequest', async (request, reply) => {
    reply.header('Cache-Control', KEPT_NOWHERE)
    const parameters = Object.values(request.params as Record<string, string>)
    if (request.is404 || parameters.includes('')) endpoints.refuse(request, reply)
  })
  refuseOtherOrigins(app, config.http)
  acceptJson(app)
  checkRequests(app)
  writeAnswers(app)
  keepNamesFromStrangers(app, access)
  await describeRoutes(app)

  await app.register(
    async (v1) => {
      await v1.register(repositoryRoutes, { metadata, access, now })
      await v1.register(tagRoutes, { metadata, manifests })
      await v1.register(manifestRoutes, { metadata, manifests, now, undoMs })
      await v1.register(historyRoutes, { metadata, access, now, undoMs })
      await v1.register(undoRoutes, { undo: registry.undo, access })
      await v1.register(accountRoutes, { accounts, passwords, now })
      await v1.register(userRoutes, { accounts, passwords, now })
      await v1.register(robotRoutes, { accounts, now })
      await v1.register(groupRoutes, { accounts, now })
      await v1.register(tokenRoutes, { accounts, now })
      await v1.register(grantRoutes, { accounts, access, now })
      await v1.register(namespaceRoutes, { accounts, now })
      await v1.register(accessRoutes, { accounts, deletesEnabled: config.deletes.enabled })
      await v1.register(signingKeyRoutes, {
        ...{ accounts, now, keys: logins?.keys, tokenSeconds: config.access.tokenSeconds },
      })
      await v1.register(gcRoutes, { config, metadata, collector: maintenance.collector })
      await v1.register(retentionRoutes, {
        config,
        metadata,
        now,
        retention: maintenance.retention,
      })
      await v1.register(usageRoutes, { usage: maintenance.usage })
      await v1.register(verifyRoutes, { metadata, verification: maintenance.verification })
      await v1.register(backupRoutes, { metadata, backups: maintenance.backups })
      await v1.register(auditRoutes, { audit, trail: metadata.audit })
      await v1.register(runRoutes, { metadata })
      await v1.register(openApiRoutes)
    },
    { prefix: '/v1' },
  )
}

/** As elsewhere, in the form of this API. */
export function apiErrorHandler(onDurabilityLost: (error: DurabilityLostError) => void) {
  const onError = errorHandler({ onDurabilityLost, send: sendProblem })
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void =>
    onError(translatedCheck(error), request, reply)
}

/** Whether what a client asked for belongs here, also where no route could be found. */
export function isApiUrl(url: string): boolean {
  return /^\/api([/?]|$)/.test(url)
}
