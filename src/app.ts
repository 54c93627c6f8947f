import { randomUUID } from 'node:crypto'
import type { RequestListener, Server } from 'node:http'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { addressesIn } from './addresses.js'
import { api, apiErrorHandler, isApiUrl } from './api/index.js'
import type { Auth } from './auth/auth.js'
import { tokenRoutes } from './auth/token-routes.js'
import type { Config } from './config.js'
import { limitConnections } from './connection-limits.js'
import { Endpoints } from './endpoints.js'
import type { DurabilityLostError } from './errors.js'
import { auditRequests } from './events/audit-requests.js'
import type { AuditLog } from './events/audit.js'
import type { Maintenance } from './gc/maintenance.js'
import { healthRoutes } from './health/routes.js'
import { errorHandler } from './refusals.js'
import type { Registry, Stores } from './registry/registry.js'
import { hideContentType } from './request-bodies.js'
import { logOfRequest, logRequests, logWhenDone } from './request-log.js'
import { setSecurityHeaders } from './security-headers.js'
import { cutSlowClients } from './slow-clients.js'
import { caRoutes } from './tls/ca-routes.js'
import type { ServerSettings, TlsPort } from './tls/tls-port.js'
import {
  answerBrokenRequest,
  refuseConnection,
  serverOptions,
  setUpTransport,
} from './transport.js'
import { warnOfUnknownProxy } from './unknown-proxy.js'
import { v1 } from './v1/routes.js'
import { sendRefusal } from './v2/errors.js'
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
  readonly auth: Auth
  /** The disk can no longer be trusted: the process must stop. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
  /** What lets the port speak TLS; absent where it speaks plain HTTP alone. */
  readonly tlsPort?: TlsPort
}

/** Registers every room, in reading order; never listens. */
export async function buildApp(dependencies: AppDependencies): Promise<FastifyInstance> {
  const { config, stores, registry, maintenance, audit } = dependencies
  const { log, now, auth, onDurabilityLost, tlsPort } = dependencies
  const { trustedProxies } = config.http
  const onError = errorHandler({ onDurabilityLost, send: sendRefusal })
  const onApiError = apiErrorHandler(onDurabilityLost)
  const app = fastify<Server>({
    loggerInstance: log,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId',
    }),
    childLoggerFactory: logOfRequest,
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
    // Where there is none, nothing is looked up for a request.
    ...(trustedProxies.length > 0 && { trustProxy: addressesIn(trustedProxies) }),
    return503OnClosing: false,
    http: serverOptions(config.http),
    ...(tlsPort && {
      serverFactory: (listener: RequestListener, options: ServerSettings) =>
        tlsPort.createServer(listener, options, refuseConnection),
    }),
    // Our own limit on the URL's length comes first, so that it is told in our form.
    routerOptions: { maxParamLength: config.http.headerBytesMax },
    rewriteUrl: ({ url }) => foldName(url ?? '/'),
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => {
      logWhenDone(request, reply)
      setSecurityHeaders(reply)
      const answer = isApiUrl(request.originalUrl) ? onApiError : onError
      answer(error, request, reply)
    },
  })
  // Bodies belong to the routes that want them: no type, length or encoding is refused before, also
  // where there is no route.
  app.addHook('onRequest', async (request, reply) => {
    hideContentType(request)
    setSecurityHeaders(reply)
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  setUpTransport(app, config.http)
  limitConnections(app.server, { ...config.http, log })
  cutSlowClients(app, config.http)
  if (trustedProxies.length === 0) warnOfUnknownProxy(app.server, log)
  logRequests(app)
  auditRequests(app, audit, { pulls: config.audit.pulls })
  app.setErrorHandler(onError)
  const endpoints = new Endpoints(app)
  app.setNotFoundHandler((request, reply) => endpoints.refuse(request, reply))

  const { gate, logins } = auth
  await app.register(healthRoutes, { stores, now })
  await app.register(caRoutes, { tls: config.http.tls })
  await app.register(v1, { prefix: '/v1', search: registry.search, gate })
  if (logins) {
    await app.register(tokenRoutes, {
      ...logins,
      accounts: stores.metadata.accounts,
      access: gate.access,
      requestRate: gate.requestRate,
      now,
      refreshDays: config.access.refreshDays,
    })
  }
  await app.register(v2, {
    prefix: '/v2',
    registry,
    metadata: stores.metadata,
    gate,
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
    auth,
    now,
    endpoints,
    onError: onApiError,
  })
  return app
}
