import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  isAccountName,
  isGroupName,
  parseAccountName,
  parseGroupName,
} from '../auth/account-names.js'
import { requires } from '../auth/guard.js'
import { addAuditDetails } from '../events/audit-details.js'
import type { Accounts, GroupRecord } from '../metadata/accounts.js'
import { changeOf } from './changes.js'
import { deleteByName, listByName } from './named-routes.js'
import {
  pageAnswer,
  pageParameters,
  pageSchema,
  parsePage,
  queryOf,
  type PageQuery,
} from './pages.js'
import { namePath, pathOf, type NamePath } from './parameters.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface AddRoute {
  Body: { readonly name: string }
}

interface MembersRoute {
  Params: NamePath
  Querystring: PageQuery
}

interface MemberRoute {
  Params: NamePath & { readonly account: string }
}

const groupSchema = {
  type: 'object',
  description: 'A group.',
  required: ['name', 'memberCount', 'createdAt', 'createdBy'],
  properties: {
    name: { type: 'string' },
    memberCount: { type: 'integer', description: 'How many users and robots it has.' },
    createdAt: timeSchema('When it came to be.'),
    createdBy: { type: 'string', description: 'Who made it.' },
  },
} as const

/** So many of its members the event of a deleted group has. */
const membersToldMax = 100

const groupPath = namePath('The name of a group.')

const memberPath = pathOf({
  ...groupPath.properties,
  account: { type: 'string', description: 'The name of a user or a robot.' },
})

/** Groups of users and robots, who have the rights of each of theirs. */
export async function groupRoutes(
  app: FastifyInstance,
  { accounts, now }: { readonly accounts: Accounts; readonly now: () => number },
): Promise<void> {
  listByName(app, 'groups', {
    operationId: 'listGroups',
    summary: 'Lists groups, by name in byte order.',
    item: groupSchema,
    answerOf: groupAnswer,
    isName: isGroupName,
    list: (page) => accounts.listGroups(page),
  })

  app.post<AddRoute>(
    '/groups',
    {
      ...requires('admin'),
      schema: {
        operationId: 'addGroup',
        summary: 'Adds a group without members.',
        tags: ['groups'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: {
            name: {
              type: 'string',
              description:
                'Letters, digits and . _ @ + -, up to 128; the first one a letter or a digit.',
            },
          },
        },
        response: {
          201: {
            type: 'object',
            description: 'It was added.',
            required: ['name'],
            properties: { name: { type: 'string' } },
          },
          ...problems(409, 507),
        },
      },
    },
    async (request, reply) => {
      const name = parseGroupName(request.body.name)

      await accounts.addGroup(name, changeOf(request, now))

      return reply.code(201).send({ name })
    },
  )

  deleteByName(app, 'groups', {
    operationId: 'deleteGroup',
    summary: 'Deletes a group with its grants; its members stay.',
    description: 'Namespaces that it owns have no owner then.',
    params: groupPath,
    done: 'It is deleted.',
    remove: async (text) => {
      const name = parseGroupName(text)
      const { entries, hasMore } = await accounts.listMembers(name, { limit: membersToldMax })
      await accounts.deleteGroup(name)
      return { members: entries, moreMembers: hasMore }
    },
  })

  app.get<MembersRoute>(
    '/groups/:name/members',
    {
      ...requires('admin'),
      schema: {
        operationId: 'listMembers',
        summary: 'Lists the users and robots of a group, by name in byte order.',
        tags: ['groups'],
        params: groupPath,
        querystring: queryOf(pageParameters),
        response: {
          200: pageSchema({
            type: 'object',
            description: 'A member.',
            required: ['name'],
            properties: { name: { type: 'string' } },
          }),
          ...problems(404),
        },
      },
    },
    async ({ params, query }) => {
      const group = parseGroupName(params.name)
      const wanted = parsePage(query, isAccountName)

      const page = await accounts.listMembers(group, wanted)

      return pageAnswer(
        page,
        (name) => ({ name }),
        (name) => name,
      )
    },
  )

  app.put<MemberRoute>(
    '/groups/:name/members/:account',
    {
      ...requires('admin'),
      schema: {
        operationId: 'addMember',
        summary: 'Makes a user or a robot a member of a group.',
        tags: ['groups'],
        params: memberPath,
        response: {
          200: changedSchema('They are a member.', 'Whether they have not been one before.'),
          ...problems(404, 507),
        },
      },
    },
    async (request) =>
      changeMembership(request, (group, account) => accounts.addMember(group, account)),
  )

  app.delete<MemberRoute>(
    '/groups/:name/members/:account',
    {
      ...requires('admin'),
      schema: {
        operationId: 'removeMember',
        summary: 'Takes a user or a robot out of a group.',
        tags: ['groups'],
        params: memberPath,
        response: {
          200: changedSchema('They are no member.', 'Whether they have been one before.'),
          ...problems(404, 507),
        },
      },
    },
    async (request) =>
      changeMembership(request, (group, account) => accounts.removeMember(group, account)),
  )
}

async function changeMembership(
  request: FastifyRequest<MemberRoute>,
  change: (group: string, account: string) => Promise<boolean>,
): Promise<{ readonly changed: boolean }> {
  const group = parseGroupName(request.params.name)
  const account = parseAccountName(request.params.account)

  const changed = await change(group, account)

  addAuditDetails(request, { group, account, changed })
  return { changed }
}

function changedSchema(description: string, changed: string) {
  return {
    type: 'object',
    description,
    required: ['changed'],
    properties: { changed: { type: 'boolean', description: changed } },
  } as const
}

function groupAnswer({ createdAt, ...group }: GroupRecord) {
  return { ...group, createdAt: timeText(createdAt) }
}
