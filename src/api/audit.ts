import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import { AUDIT_ACTIONS } from '../events/actions.js'
import type { AuditLog } from '../events/audit.js'
import type { AuditResult, AuditTrail, StoredAuditEvent } from '../metadata/audit.js'
import { parseRepositoryName } from '../oci/reference.js'
import {
  cursorOf,
  momentKey,
  pageParameters,
  pageSchema,
  parseMomentCursor,
  queryOf,
  type PageAnswer,
  type PageQuery,
} from './pages.js'
import { timeSchema, timeText } from './times.js'

interface ListRoute {
  Querystring: PageQuery & {
    readonly actor?: string
    readonly action?: string
    readonly repository?: string
    readonly result?: AuditResult
    readonly since?: string
    readonly until?: string
  }
}

const RESULTS = ['done', 'refused', 'failed'] as const satisfies readonly AuditResult[]

const eventSchema = {
  type: 'object',
  description: 'Something that somebody did, or tried to.',
  required: ['id', 'at', 'actor', 'action', 'target', 'result', 'details'],
  properties: {
    id: { type: 'integer' },
    at: timeSchema('When, by the clock of the server.'),
    actor: { type: 'string', description: 'Who did it; berth is the server by itself.' },
    // Older versions may have known others.
    action: { type: 'string', description: 'What was done: a noun and a verb.' },
    target: {
      type: 'string',
      description: 'What it was done to besides the repository; may be empty.',
    },
    repository: { type: 'string', description: 'The repository it was done in.' },
    address: { type: 'string', description: 'Where the request came from.' },
    result: {
      type: 'string',
      enum: RESULTS,
      description: 'failed: also when the client went away before its answer.',
    },
    details: {
      type: 'object',
      additionalProperties: true,
      description: 'What else there is to say.',
    },
  },
} as const

export interface AuditRoutesOptions {
  readonly audit: AuditLog
  readonly trail: AuditTrail
}

/** Who did what. */
export async function auditRoutes(
  app: FastifyInstance,
  { audit, trail }: AuditRoutesOptions,
): Promise<void> {
  app.get<ListRoute>(
    '/audit',
    {
      ...requires('admin'),
      schema: {
        operationId: 'listAudit',
        summary: 'Lists who did what, from where, with what result, the last first.',
        description:
          'In the order of the times, as the clock of the server was then. Where several filters leave little over a page may have fewer items than its limit, or none, and still a nextCursor: so much was looked at, and there may be more.',
        tags: ['audit'],
        querystring: queryOf({
          actor: { type: 'string', maxLength: 300, description: 'Only what this one did.' },
          action: { type: 'string', enum: AUDIT_ACTIONS, description: 'Only this.' },
          repository: { type: 'string', description: 'Only in this repository.' },
          result: { type: 'string', enum: RESULTS, description: 'Only what ended so.' },
          since: timeSchema('Only from then on.'),
          until: timeSchema('Only before then.'),
          ...pageParameters,
        }),
        response: { 200: pageSchema(eventSchema) },
      },
    },
    async ({ query: { limit, cursor, ...query } }): Promise<PageAnswer<object>> => {
      const { actor, action, repository, result, since, until } = query
      const before = parseMomentCursor(cursor)
      // What has happened a moment ago is to be seen.
      await audit.flush()

      const { entries, next } = await trail.listAudit({
        limit,
        ...(actor !== undefined && { actor }),
        ...(action !== undefined && { action }),
        ...(repository !== undefined && { repository: parseRepositoryName(repository) }),
        ...(result !== undefined && { result }),
        ...(since !== undefined && { since: Date.parse(since) }),
        ...(until !== undefined && { until: Date.parse(until) }),
        ...(before && { before }),
      })

      return {
        items: entries.map(eventAnswer),
        ...(next && { nextCursor: cursorOf(momentKey(next.at, next.id)) }),
      }
    },
  )
}

function eventAnswer({ at, ...event }: StoredAuditEvent) {
  return { ...event, at: timeText(at) }
}
