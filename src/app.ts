import { randomUUID } from 'node:crypto'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { api, apiErrorHandler, isApiUrl } from './api/index.js'
import type { AccessPolicy } from './auth/access.js'
import type { Config } from './config.js'
import type { DurabilityLostError } from './errors.js'
import { auditRequests } from './events/audit-requests.js'
import type { AuditLog } from './events/audit.js'
import type { Maintenance } from './gc/maintenance.js'
import { healthRoutes } from './health/routes.js'
import { errorHandler } from './refusals.js'
import type { Registry, Stores } from './registry/registry.js'
import { hideContentType } from './request-bodies.js'
import { logOfRequest, logRequests, logWhenDone } from './request-log.js'
import { answerBrokenRequest, headerBytesMax, setUpTransport } from './transport.js'
import { v1 } from './v1/routes.js'
import { notFoundHandler, sendRefusal } from './v2/errors.js'
import { v2 } from './v2/index.js'
import { foldName } from './v2/names.js'

export interface AppDependencies {
  readonly config: Config
  readonly stores: Stores
  readonly registry: Registry
  readonly maintenance: Maintenance
  readonly audit: AuditLog
  readonly log: FastifyBaseLogger
  readonly now: () => number
  /** What makes a caller of the management API its operator. */
  readonly operatorToken: string
  /** The disk can no longer be trusted: the process must stop. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/** Registers every room, in reading order; never listens. */
export async function buildApp(dependencies: AppDependencies): Promise<FastifyInstance> {
  const { config, stores, registry, maintenance, audit } = dependencies
  const { log, now, operatorToken, onDurabilityLost } = dependencies
  const onError = errorHandler({ onDurabilityLost, send: sendRefusal })
  const onApiError = apiErrorHandler(onDurabilityLost)
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId',
    }),
    childLoggerFactory: logOfRequest,
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    http: { maxHeaderSize: headerBytesMax },
    // Our own limit on the URL's length comes first, so that it is told in our form.
    routerOptions: { maxParamLength: headerBytesMax },
    rewriteUrl: ({ url }) => foldName(url ?? '/'),
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => {
      logWhenDone(request, reply)
      const answer = isApiUrl(request.originalUrl) ? onApiError : onError
      answer(error, request, reply)
    },
  })
  // Bodies belong to the routes that want them: no type, length or encoding is refused before, also
  // where there is no route.
  app.addHook('onRequest', async (request) => hideContentType(request))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  setUpTransport(app, config.http)
  logRequests(app)
  auditRequests(app, audit, { pulls: config.audit.pulls })
  app.setErrorHandler(onError)
  app.setNotFoundHandler(notFoundHandler)

  const policy: AccessPolicy = {
    mode: config.access.mode,
    deletesEnabled: config.deletes.enabled,
  }
  await app.register(healthRoutes, { stores, now })
  await app.register(v1, { prefix: '/v1', search: registry.search, policy })
  await app.register(v2, {
    prefix: '/v2',
    registry,
    metadata: stores.metadata,
    policy,
    manifestBytesMax: config.manifests.bytesMax,
    accelPrefix: config.storage.accelRedirect,
  })
  await app.register(api, {
    prefix: '/api',
    config,
    registry,
    maintenance,
    audit,
    metadata: stores.metadata,
    policy,
    operatorToken,
    now,
    onError: onApiError,
  })
  return app
}
