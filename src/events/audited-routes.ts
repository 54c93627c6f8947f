import type { FastifyReply, FastifyRequest } from 'fastify'
import { isTokenId } from '../auth/personal-tokens.js'
import { isRepositoryName, type RepositoryName } from '../oci/reference.js'
import { someNames } from './audit-details.js'
import { shortened, type Noted } from './audit.js'

/** What the answer to a request means for the trail. */
type Told = Pick<Noted, 'action' | 'target' | 'repository' | 'details'>

/** How a route gets into the audit trail. */
export interface AuditedRoute {
  /** Of which answers there are events; `refusals`: of who asks, and of how much. */
  readonly of: 'all' | 'refusals' | 'pulls'
  /** What the event says, once the answer is there. */
  readonly tell: (request: FastifyRequest, reply: FastifyReply) => Told
}

/** Why a route that takes more than GET is not here. */
type Reason = 'changes nothing' | 'notes its events itself'

interface Asked {
  readonly params: Readonly<Record<string, string | undefined>>
  readonly query: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readonly<Record<string, unknown>>
}

type Details = Readonly<Record<string, unknown>>

interface Telling {
  readonly of?: AuditedRoute['of']
  /** Whether the name in the path is that of a repository; else what it was done to has to be told. */
  readonly isOfRepository?: boolean
  /** What it was done to besides the repository. */
  readonly target?: (asked: Asked) => string | undefined
  readonly details?: (asked: Asked, reply: FastifyReply) => Details
}

function route(
  action: Noted['action'] | ((asked: Asked) => Noted['action']),
  telling: Telling = {},
) {
  const { of = 'all', isOfRepository = true, target, details } = telling
  return {
    of,
    tell: (request: FastifyRequest, reply: FastifyReply) => {
      const asked = askedOf(request)
      return {
        action: typeof action === 'string' ? action : action(asked),
        target: target?.(asked) ?? '',
        repository: isOfRepository ? repositoryIn(asked) : undefined,
        details: details?.(asked, reply) ?? {},
      }
    },
  } satisfies AuditedRoute
}

const reference = ({ params }: Asked) => params['reference']
const tag = ({ params }: Asked) => params['tag']
const digest = ({ params }: Asked) => params['digest']

/** What is about accounts and rights: no repository has the name. */
function accountRoute(
  action: Noted['action'],
  target: (asked: Asked) => string | undefined,
  details?: Telling['details'],
) {
  return route(action, { isOfRepository: false, target, ...(details && { details }) })
}

const named = ({ params }: Asked) => params['name']
const added = ({ body }: Asked) => textOf(body['name'])
const member = ({ params }: Asked) => `${params['name'] ?? ''} ${params['account'] ?? ''}`
const id = ({ params }: Asked) => params['id']

/** People paste the token itself: that is a secret, and may still let somebody in. */
const tokenId = (asked: Asked) => (isTokenId(id(asked) ?? '') ? id(asked) : undefined)

/** Which members of the body were given, and what they say where that is no secret. */
function changed({ body }: Asked, { statusCode }: FastifyReply): Details {
  if (statusCode >= 400) return {}
  const { password, ...rest } = body
  return { ...rest, ...(password !== undefined && { password: 'changed' }) }
}

const upload = route('blob.upload', { of: 'refusals' })

/**
 * What each route that changes something is in the audit trail. One that is not here stops the start, so
 * that none is forgotten. Requests that only read are not, but for pulls of manifests.
 */
export const AUDITED_ROUTES: Readonly<Record<string, AuditedRoute | Reason>> = {
  'GET /v2/:name/manifests/:reference(.+)': route('manifest.pull', {
    of: 'pulls',
    target: reference,
    details: (_asked, reply) => digestIn(reply),
  }),
  'PUT /v2/:name/manifests/:reference(.+)': route('manifest.push', {
    target: reference,
    details: pushed,
  }),
  'DELETE /v2/:name/manifests/:reference(.+)': route(
    (asked) => (isDigest(reference(asked)) ? 'manifest.delete' : 'tag.delete'),
    { target: reference },
  ),
  'DELETE /v2/:name/blobs/:digest(.+)': route('blob.delete', { target: digest }),
  'POST /v2/:name/blobs/uploads/': upload,
  'PATCH /v2/:name/blobs/uploads/:id(.+)': upload,
  'PUT /v2/:name/blobs/uploads/:id(.+)': upload,
  'DELETE /v2/:name/blobs/uploads/:id(.+)': upload,

  'PUT /api/v1/repositories/:name': route('repository.describe', {
    details: ({ body }) => ({ description: shortened(textOf(body['description']) ?? '') }),
  }),
  'DELETE /api/v1/repositories/:name': route('repository.delete'),
  'POST /api/v1/repositories/:name/restore': route('repository.restore', {
    target: ({ body }) => textOf(body['tag']) ?? textOf(body['digest']),
    details: options,
  }),
  'DELETE /api/v1/repositories/:name/tags/:tag': route('tag.delete', {
    target: tag,
  }),
  'DELETE /api/v1/repositories/:name/manifests/:digest': route('manifest.delete', {
    target: digest,
  }),
  'POST /api/v1/gc/runs': route('gc.begin', { details: begun }),
  'POST /api/v1/retention/runs': route('retention.begin', { details: begun }),
  'POST /api/v1/retention/preview': 'changes nothing',
  'POST /api/v1/verify/runs': route('verify.begin', { details: begun }),
  'DELETE /api/v1/verify/runs/current': route('verify.cancel'),
  'PUT /api/v1/repositories/:name/visibility': route('repository.visibility', { details: changed }),

  'POST /token': 'notes its events itself',
  'PUT /api/v1/account/password': accountRoute('user.change', () => '', changed),
  'POST /api/v1/account/tokens': accountRoute('token.create', () => '', changed),
  'DELETE /api/v1/account/tokens/:id': accountRoute('token.revoke', tokenId),
  'POST /api/v1/users': accountRoute('user.add', added, ({ body }) => ({
    isAdmin: body['isAdmin'] === true,
  })),
  'POST /api/v1/users/import': accountRoute('user.import', () => '', imported),
  'PATCH /api/v1/users/:name': accountRoute('user.change', named, changed),
  'DELETE /api/v1/users/:name': accountRoute('user.delete', named),
  'POST /api/v1/robots': accountRoute('robot.add', added),
  'PATCH /api/v1/robots/:name': accountRoute('robot.change', named, changed),
  'DELETE /api/v1/robots/:name': accountRoute('robot.delete', named),
  'POST /api/v1/groups': accountRoute('group.add', added),
  'DELETE /api/v1/groups/:name': accountRoute('group.delete', named),
  'PUT /api/v1/groups/:name/members/:account': accountRoute('group.join', member),
  'DELETE /api/v1/groups/:name/members/:account': accountRoute('group.leave', member),
  'POST /api/v1/tokens': accountRoute(
    'token.create',
    ({ body }) => textOf(body['account']),
    changed,
  ),
  'DELETE /api/v1/tokens/:id': accountRoute('token.revoke', tokenId),
  'PUT /api/v1/grants': accountRoute('grant.put', ({ body }) => textOf(body['subject']), changed),
  'DELETE /api/v1/grants/:id': accountRoute('grant.remove', id),
  'PUT /api/v1/namespaces/:name': accountRoute('namespace.put', named, changed),
  'DELETE /api/v1/namespaces/:name': accountRoute('namespace.remove', named),
  'POST /api/v1/signing-keys': accountRoute('signing-key.rotate', () => '', changed),
  'POST /api/v1/backup/runs': route('backup.begin', { details: begun }),
}

function pushed({ params, query }: Asked, reply: FastifyReply): Details {
  const { reference = '' } = params
  const tags = isDigest(reference) ? [query['tag'] ?? []].flat() : [reference]
  return { ...digestIn(reply), ...(tags.length > 0 && { tags: someNames(tags) }) }
}

/** What was asked for, where it was understood; else it may be anything. */
function options({ body }: Asked, { statusCode }: FastifyReply): Details {
  return statusCode < 400 ? { options: body } : {}
}

function begun(asked: Asked, reply: FastifyReply): Details {
  const run = /\/runs\/(\d+)$/.exec(String(reply.getHeader('location') ?? ''))?.[1]
  return { ...options(asked, reply), ...(run !== undefined && { run: Number(run) }) }
}

/** How many, and of those who were added the names: the first of very many. */
function imported({ body: { users } }: Asked, { statusCode }: FastifyReply): Details {
  const all: readonly unknown[] = Array.isArray(users) ? users : []
  if (statusCode >= 400) return { count: all.length }
  const names = all.flatMap((user) => textOf((user as { name?: unknown } | null)?.name) ?? [])
  return { count: all.length, names: someNames(names) }
}

function digestIn(reply: FastifyReply) {
  const digest = reply.getHeader('docker-content-digest')
  return digest === undefined ? {} : { digest }
}

function askedOf({ params, query, body }: FastifyRequest): Asked {
  const members = typeof body === 'object' && body !== null ? body : {}
  // A schema may have made a number of what stands in the path.
  const texts: Record<string, string> = {}
  for (const [key, value] of Object.entries(params as object)) texts[key] = String(value)
  return { params: texts, query, body: members } as Asked
}

function isDigest(reference = ''): boolean {
  return reference.includes(':')
}

/** What is not a name at all is not the name of a repository. */
function repositoryIn({ params }: Asked): RepositoryName | undefined {
  const { name } = params
  return name !== undefined && isRepositoryName(name) ? name : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
