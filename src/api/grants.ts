import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Access } from '../auth/access.js'
import { requires } from '../auth/guard.js'
import type { Identity } from '../auth/identity.js'
import { covering } from '../auth/rights.js'
import { parseSubject, subjectText } from '../auth/subjects.js'
import { RegistryError } from '../errors.js'
import { addAuditDetails } from '../events/audit-details.js'
import {
  ACTIONS,
  type Accounts,
  type Action,
  type Grant,
  type GrantsQuery,
  type NewGrant,
} from '../metadata/accounts.js'
import type { Page } from '../metadata/pages.js'
import { PATTERN_EXPRESSION } from '../oci/patterns.js'
import { matchesEveryRepository, parseRepositoryPattern } from '../oci/repository-patterns.js'
import { inOrder } from './actions.js'
import { changeOf } from './changes.js'
import {
  pageAnswer,
  pageParameters,
  pageSchema,
  parseNumberCursor,
  queryOf,
  type PageQuery,
} from './pages.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface ListRoute {
  Querystring: PageQuery & { readonly subject?: string }
}

interface PutRoute {
  Body: {
    readonly subject: string
    readonly pattern: string
    readonly actions: readonly Action[]
  }
}

interface GrantRoute {
  Params: { readonly id: number }
}

const subject = {
  type: 'string',
  maxLength: 200,
  description:
    'Whom it is for: user:NAME, robot:NAME, group:NAME, signed-in (every account), anonymous (everybody).',
} as const

const grantSchema = {
  type: 'object',
  description: 'A grant.',
  required: ['id', 'subject', 'pattern', 'actions', 'createdAt', 'createdBy'],
  properties: {
    id: { type: 'integer' },
    subject,
    pattern: { type: 'string', description: 'The repositories that it is about.' },
    actions: {
      type: 'array',
      items: { type: 'string', enum: ACTIONS },
      description: 'What may be done with them.',
    },
    createdAt: timeSchema('When it was given as it is.'),
    createdBy: { type: 'string', description: 'Who did that.' },
  },
} as const

/** Of what somebody does not manage so much is read before others have their turn. */
const readAtOnce = 500

export interface GrantRoutesOptions {
  readonly accounts: Accounts
  readonly access: Access
  readonly now: () => number
}

/**
 * Grants: who may do what in which repositories. Whoever may manage all repositories that a pattern can have
 * gives grants on it, and sees them.
 */
export async function grantRoutes(
  app: FastifyInstance,
  { accounts, access, now }: GrantRoutesOptions,
): Promise<void> {
  app.get<ListRoute>(
    '/grants',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'listGrants',
        summary: 'Lists grants in the order in which they came to be.',
        tags: ['grants'],
        querystring: queryOf({
          subject: { ...subject, description: 'Only those of this subject.' },
          ...pageParameters,
        }),
        response: { 200: pageSchema(grantSchema), ...problems(404) },
      },
    },
    async ({ query: { subject, limit, cursor }, identity }) => {
      const after = parseNumberCursor(cursor)

      const page = await listManaged(identity, {
        limit,
        ...(subject !== undefined && { subject: parseSubject(subject) }),
        ...(after !== undefined && { after }),
      })

      return pageAnswer(page, grantAnswer, ({ id }) => id)
    },
  )

  app.put<PutRoute>(
    '/grants',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'putGrant',
        summary: 'Gives a subject exactly these actions on a pattern of repositories.',
        description:
          'Takes the place of the grant that the subject has on this pattern. overwrite has create in it, create and delete have pull, admin has all.',
        tags: ['grants'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['subject', 'pattern', 'actions'],
          properties: {
            subject,
            pattern: {
              type: 'string',
              pattern: PATTERN_EXPRESSION,
              description:
                'The repositories: * within a path component, ** anything. team/** does not have team itself.',
            },
            actions: {
              type: 'array',
              minItems: 1,
              uniqueItems: true,
              items: { type: 'string', enum: ACTIONS },
              description: 'create makes new tags, overwrite moves those that are there.',
            },
          },
        },
        response: {
          200: {
            ...grantSchema,
            required: [...grantSchema.required, 'warnings'],
            properties: {
              ...grantSchema.properties,
              warnings: {
                type: 'array',
                items: { type: 'string' },
                description: 'What may be other than it was meant, in sentences for a person.',
              },
            },
          },
          ...problems(404, 507),
        },
      },
    },
    async (request) => {
      const { body } = request
      const wanted: NewGrant = {
        ...changeOf(request, now),
        subject: parseSubject(body.subject),
        pattern: parseRepositoryPattern(body.pattern),
        actions: inOrder(body.actions),
      }

      await requireManaged(request.identity, wanted.pattern)

      const grant = await accounts.putGrant(wanted)
      addAuditDetails(request, { id: grant.id })

      return { ...grantAnswer(grant), warnings: await warningsOf(accounts, grant) }
    },
  )

  app.delete<GrantRoute>(
    '/grants/:id',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'removeGrant',
        summary: 'Takes a grant away.',
        tags: ['grants'],
        params: {
          type: 'object',
          required: ['id'],
          properties: {
            id: { type: 'integer', minimum: 1, description: 'The id of a grant.' },
          },
        },
        response: {
          204: { type: 'null', description: 'It is gone.' },
          ...problems(404, 507),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const grant = Number.isSafeInteger(id) ? await accounts.findGrant(id) : undefined
      // One that somebody may not see is as if it were not there.
      const isManaged =
        grant !== undefined && (await access.mayGrant(request.identity, grant.pattern))
      if (!isManaged || !(await accounts.removeGrant(id))) {
        throw new RegistryError('GRANT_UNKNOWN', 'there is no grant of this id', {
          details: [{ id }],
        })
      }
      const { subject, pattern, actions } = grant
      addAuditDetails(request, { subject: subjectText(subject), pattern, actions })
      return reply.code(204).send()
    },
  )

  async function requireManaged(identity: Identity, pattern: string): Promise<void> {
    if (await access.mayGrant(identity, pattern)) return
    throw new RegistryError(
      'DENIED',
      `${identity.name} may not manage everything that ${pattern} can match, and so gives no grants on it`,
    )
  }

  async function listManaged(identity: Identity, query: GrantsQuery): Promise<Page<Grant>> {
    const patterns = await access.managedPatterns(identity)
    if (patterns.includes('**')) return accounts.listGrants(query)
    const managed: Grant[] = []
    const covered = patterns.map(covering)
    let { after } = query
    // Who manages nothing is not even told whether there is such a subject.
    for (; covered.length > 0; await turn()) {
      const page = await accounts.listGrants({
        ...query,
        limit: readAtOnce,
        ...(after !== undefined && { after }),
      })
      for (const grant of page.entries) {
        if (!covered.some((covers) => covers(grant.pattern))) continue
        if (managed.length === query.limit) return { entries: managed, hasMore: true }
        managed.push(grant)
      }
      after = page.entries.at(-1)?.id
      if (!page.hasMore || after === undefined) break
    }
    return { entries: managed, hasMore: false }
  }
}

async function warningsOf(
  accounts: Accounts,
  { subject, pattern, actions }: Grant,
): Promise<string[]> {
  const isEvery = matchesEveryRepository(pattern)
  const { entries, hasMore } = isEvery
    ? { entries: [], hasMore: true }
    : await accounts.listMatching(pattern, 1)
  const more = actions.filter((action) => action !== 'pull')
  return [
    isEvery && `${pattern} is every repository there is, and every one that will be`,
    entries.length === 0 && !hasMore && `${pattern} matches no repository that is there now`,
    subject.kind === 'anonymous' &&
      more.length > 0 &&
      `anonymous is everybody who can reach the registry: they have ${more.join(', ')} without an account`,
  ].filter((warning) => warning !== false)
}

function grantAnswer({ subject, createdAt, ...grant }: Grant) {
  return { ...grant, subject: subjectText(subject), createdAt: timeText(createdAt) }
}
