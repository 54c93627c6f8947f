import type { FastifyInstance } from 'fastify'
import { isAccountName, parseAccountName } from '../auth/account-names.js'
import { requires } from '../auth/guard.js'
import type { Accounts } from '../metadata/accounts.js'
import { deleteAccount, getAccountRecord, robotAnswer, robotSchema } from './account-answers.js'
import { changeOf } from './changes.js'
import { deleteByName, getByName, listByName } from './named-routes.js'
import { namePath, type NamePath } from './parameters.js'
import { problems } from './problems.js'

interface AddRoute {
  Body: { readonly name: string }
}

interface ChangeRoute {
  Params: NamePath
  Body: { readonly isDisabled: boolean }
}

const robotPath = namePath('The name of a robot.')

/** Robots: programs, which nothing but tokens lets in. */
export async function robotRoutes(
  app: FastifyInstance,
  { accounts, now }: { readonly accounts: Accounts; readonly now: () => number },
): Promise<void> {
  listByName(app, 'robots', {
    operationId: 'listRobots',
    summary: 'Lists robots, by name in byte order.',
    item: robotSchema,
    answerOf: robotAnswer,
    isName: isAccountName,
    list: (page) => accounts.listAccounts({ kind: 'robot', ...page }),
  })

  getByName(app, 'robots', {
    operationId: 'getRobot',
    summary: 'Tells of one robot.',
    params: robotPath,
    item: robotSchema,
    get: async (name) =>
      robotAnswer(await getAccountRecord(accounts, 'robot', parseAccountName(name))),
  })

  app.post<AddRoute>(
    '/robots',
    {
      ...requires('admin'),
      schema: {
        operationId: 'addRobot',
        summary: 'Adds a robot; what lets it in is a token.',
        tags: ['robots'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: {
            name: {
              type: 'string',
              description:
                'Letters, digits and . _ @ + -, up to 128; the first one a letter or a digit. No user has it either.',
            },
          },
        },
        response: {
          201: { ...robotSchema, description: 'It was added.' },
          ...problems(409, 507),
        },
      },
    },
    async (request, reply) => {
      const name = parseAccountName(request.body.name)

      await accounts.addAccount({
        ...changeOf(request, now),
        kind: 'robot',
        name,
        isAdmin: false,
      })

      reply.code(201).header('Location', `/api/v1/robots/${encodeURIComponent(name)}`)
      return robotAnswer(await getAccountRecord(accounts, 'robot', name))
    },
  )

  app.patch<ChangeRoute>(
    '/robots/:name',
    {
      ...requires('admin'),
      schema: {
        operationId: 'changeRobot',
        summary: 'Disables a robot, or enables it.',
        tags: ['robots'],
        params: robotPath,
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['isDisabled'],
          properties: {
            isDisabled: { type: 'boolean', description: 'Whether nothing lets it in.' },
          },
        },
        response: { 200: robotSchema, ...problems(404, 507) },
      },
    },
    async ({ params, body: { isDisabled } }) => {
      const name = parseAccountName(params.name)

      await accounts.changeAccount({ name, kind: 'robot', isDisabled, at: now() })

      return robotAnswer(await getAccountRecord(accounts, 'robot', name))
    },
  )

  deleteByName(app, 'robots', {
    operationId: 'deleteRobot',
    summary: 'Deletes a robot, with its tokens, grants and memberships.',
    params: robotPath,
    done: 'It is deleted.',
    remove: (name) => deleteAccount(accounts, 'robot', parseAccountName(name)),
  })
}
