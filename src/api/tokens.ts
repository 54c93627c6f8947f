import type { FastifyInstance } from 'fastify'
import { parseAccountName } from '../auth/account-names.js'
import { requires } from '../auth/guard.js'
import { RegistryError } from '../errors.js'
import type { Accounts, TokenKind } from '../metadata/accounts.js'
import { changeOf } from './changes.js'
import { pageParameters, pageSchema, queryOf, type PageQuery } from './pages.js'
import { tokenPath, type TokenPath } from './parameters.js'
import { problems } from './problems.js'
import {
  madeTokenSchema,
  makeToken,
  noteRevoked,
  parseTokenPage,
  sendToken,
  tokensAnswer,
  tokenSchema,
  wantedToken,
  type WantedToken,
} from './token-answers.js'

interface ListRoute {
  Querystring: PageQuery & { readonly account?: string; readonly kind: TokenKind }
}

interface CreateRoute {
  Body: WantedToken & { readonly account: string }
}

interface TokenRoute {
  Params: TokenPath
}

/** Tokens, which stand in place of passwords. */
export async function tokenRoutes(
  app: FastifyInstance,
  { accounts, now }: { readonly accounts: Accounts; readonly now: () => number },
): Promise<void> {
  app.get<ListRoute>(
    '/tokens',
    {
      ...requires('admin'),
      schema: {
        operationId: 'listTokens',
        summary: 'Lists tokens, without what they are.',
        description:
          'Those that have expired are there for three months more, so that people see why something fails.',
        tags: ['tokens'],
        querystring: queryOf({
          account: { type: 'string', description: 'Only those of this user or robot.' },
          kind: {
            type: 'string',
            enum: ['personal', 'refresh'],
            default: 'personal',
            description: 'refresh: what docker logins keep.',
          },
          ...pageParameters,
        }),
        response: { 200: pageSchema(tokenSchema), ...problems(404) },
      },
    },
    async ({ query }) => {
      const { account, kind } = query
      const wanted = parseTokenPage(query)

      const page = await accounts.listTokens({
        ...wanted,
        kind,
        ...(account !== undefined && { account: parseAccountName(account) }),
      })

      return tokensAnswer(page, now())
    },
  )

  app.post<CreateRoute>(
    '/tokens',
    {
      ...requires('admin'),
      schema: {
        operationId: 'createToken',
        summary: 'Makes a token for a user or a robot, and shows it this once.',
        tags: ['tokens'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['account', 'description'],
          properties: {
            account: { type: 'string', description: 'The name of a user or a robot.' },
            ...wantedToken,
          },
        },
        response: {
          201: madeTokenSchema,
          ...problems(404, 409, 507),
        },
      },
    },
    async (request, reply) => {
      const { account, ...wanted } = request.body
      const owner = await getEnabled(parseAccountName(account))

      const made = await makeToken(accounts, owner, wanted, changeOf(request, now))

      return sendToken(request, reply, made)
    },
  )

  app.delete<TokenRoute>(
    '/tokens/:id',
    {
      ...requires('admin'),
      schema: {
        operationId: 'revokeToken',
        summary: 'Revokes a token; it lets nobody in any more.',
        tags: ['tokens'],
        params: tokenPath,
        response: {
          204: { type: 'null', description: 'It is revoked.' },
          ...problems(404, 507),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const token = await accounts.findTokenById(id)
      if (token === undefined || !(await accounts.revokeToken(id))) {
        throw new RegistryError('TOKEN_UNKNOWN', 'there is no token of this id', {
          // Somebody may have taken the token itself for its id.
          details: [],
        })
      }
      noteRevoked(request, token)
      return reply.code(204).send()
    },
  )

  /** @throws {@link RegistryError} `ACCOUNT_UNKNOWN`; `CONFLICT` for one that is disabled */
  async function getEnabled(name: string) {
    const account = await accounts.findAccount(name)
    if (account === undefined) {
      throw new RegistryError('ACCOUNT_UNKNOWN', 'there is no user and no robot of this name', {
        details: [{ name }],
      })
    }
    if (account.isDisabled) {
      throw new RegistryError('CONFLICT', `${name} is disabled: a token would let nobody in`, {
        details: [{ name }],
      })
    }
    return account
  }
}
