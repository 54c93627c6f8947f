import type { FastifyInstance } from 'fastify'
import { parseAccountName } from '../auth/account-names.js'
import { requires } from '../auth/guard.js'
import { explainAccess } from '../auth/explanations.js'
import { subjectText } from '../auth/subjects.js'
import { RegistryError } from '../errors.js'
import { ACTIONS, type Account, type Accounts, type Action } from '../metadata/accounts.js'
import { namespaceOf, parseRepositoryName } from '../oci/reference.js'
import { queryOf } from './pages.js'
import { problems } from './problems.js'

interface ExplainRoute {
  Querystring: {
    readonly account: string
    readonly repository: string
    readonly action: Action
  }
}

export interface AccessRoutesOptions {
  readonly accounts: Accounts
  readonly deletesEnabled: boolean
}

/** Why somebody may do something, or may not. */
export async function accessRoutes(
  app: FastifyInstance,
  { accounts, deletesEnabled }: AccessRoutesOptions,
): Promise<void> {
  app.get<ExplainRoute>(
    '/access/explain',
    {
      ...requires('admin'),
      schema: {
        operationId: 'explainAccess',
        summary:
          'Tells whether somebody may do something with a repository, and what decides that.',
        description:
          'As it is where accounts are asked for. Of a repository that is not there yet it tells what would be.',
        tags: ['access'],
        querystring: {
          ...queryOf({
            account: {
              type: 'string',
              description: 'The name of a user or a robot, or anonymous.',
            },
            repository: { type: 'string', description: 'The name of a repository.' },
            action: { type: 'string', enum: ACTIONS, description: 'What they would do.' },
          }),
          required: ['account', 'repository', 'action'],
        },
        response: {
          200: {
            type: 'object',
            description: 'How it is.',
            required: ['allowed', 'decidedBy', 'grants'],
            properties: {
              allowed: { type: 'boolean' },
              decidedBy: { type: 'string', description: 'What decides it, as a sentence.' },
              grants: {
                type: 'array',
                description: 'Every grant of theirs that allows it.',
                items: {
                  type: 'object',
                  required: ['id', 'subject', 'pattern', 'actions'],
                  properties: {
                    id: { type: 'integer' },
                    subject: { type: 'string', description: 'Through whom they have it.' },
                    pattern: { type: 'string' },
                    actions: { type: 'array', items: { type: 'string', enum: ACTIONS } },
                  },
                },
              },
            },
          },
          ...problems(404),
        },
      },
    },
    async ({ query: { account: text, repository: name, action } }) => {
      const repository = parseRepositoryName(name)
      const account = text === 'anonymous' ? undefined : await getAccount(parseAccountName(text))
      const rights = await accounts.listRightsOf(account?.id)
      const visibility =
        (await accounts.findVisibility(repository)) ??
        (await accounts.findNamespace(namespaceOf(repository)))?.defaultVisibility ??
        'private'

      const explained = explainAccess(
        { account, rights, repository, visibility, deletesEnabled },
        action,
      )

      return {
        allowed: explained.isAllowed,
        decidedBy: explained.decidedBy,
        grants: explained.holders.flatMap((right) =>
          right.kind === 'grant'
            ? [
                {
                  id: right.id,
                  subject: subjectText(right.subject),
                  pattern: right.pattern,
                  actions: right.actions,
                },
              ]
            : [],
        ),
      }
    },
  )

  async function getAccount(name: string): Promise<Account> {
    const account = await accounts.findAccount(name)
    if (account) return account
    throw new RegistryError('ACCOUNT_UNKNOWN', 'there is no user and no robot of this name', {
      details: [{ name }],
    })
  }
}
