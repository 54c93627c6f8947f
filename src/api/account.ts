import type { FastifyInstance, FastifyRequest } from 'fastify'
import { requires } from '../auth/guard.js'
import { isSignedIn, type SignedIn } from '../auth/identity.js'
import { RegistryError } from '../errors.js'
import type { Accounts } from '../metadata/accounts.js'
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
import { hashOf, passwordSchema, type PasswordHasher } from './users.js'

interface PasswordRoute {
  Body: { readonly password: string }
}

interface ListRoute {
  Querystring: PageQuery
}

interface CreateRoute {
  Body: WantedToken
}

interface TokenRoute {
  Params: TokenPath
}

const accountSchema = {
  type: 'object',
  description: 'Who asks.',
  required: ['name', 'kind', 'isAdmin', 'groups'],
  properties: {
    name: { type: 'string' },
    kind: { type: 'string', enum: ['user', 'robot'] },
    isAdmin: { type: 'boolean', description: 'Whether they may do everything.' },
    groups: { type: 'array', items: { type: 'string' }, description: 'Whose rights they have.' },
  },
} as const

export interface AccountRoutesOptions {
  readonly accounts: Accounts
  readonly passwords: PasswordHasher
  readonly now: () => number
}

/** What everybody may see and change of their own account. */
export async function accountRoutes(
  app: FastifyInstance,
  { accounts, passwords, now }: AccountRoutesOptions,
): Promise<void> {
  app.get(
    '/account',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'getAccount',
        summary: 'Tells who asks.',
        tags: ['account'],
        response: { 200: accountSchema, ...problems(404) },
      },
    },
    async (request) => {
      const { name } = signedIn(request)
      const record = await accounts.findAccountRecord(name)
      return { name, kind: record?.kind, isAdmin: record?.isAdmin, groups: record?.groups ?? [] }
    },
  )

  app.put<PasswordRoute>(
    '/account/password',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'changeOwnPassword',
        summary: 'Gives whoever asks another password.',
        description: 'Asked with the old one. What was logged in with that is out then.',
        tags: ['account'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['password'],
          properties: { password: passwordSchema },
        },
        response: {
          204: { type: 'null', description: 'It is the password from now on.' },
          ...problems(404, 507),
        },
      },
    },
    async (request, reply) => {
      const { name } = byPassword(request)
      const passwordHash = await hashOf(passwords, request.body.password)

      await accounts.changeAccount({ name, passwordHash, at: now() })

      return reply.code(204).send()
    },
  )

  app.get<ListRoute>(
    '/account/tokens',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'listOwnTokens',
        summary: 'Lists the personal tokens of whoever asks, without what they are.',
        tags: ['account'],
        querystring: queryOf(pageParameters),
        response: { 200: pageSchema(tokenSchema), ...problems(404) },
      },
    },
    async (request) => {
      const wanted = parseTokenPage(request.query)
      const { name: account } = signedIn(request)

      const page = await accounts.listTokens({ ...wanted, account, kind: 'personal' })

      return tokensAnswer(page, now())
    },
  )

  app.post<CreateRoute>(
    '/account/tokens',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'createOwnToken',
        summary: 'Makes a token for whoever asks, and shows it this once.',
        description: 'Asked with the password: a token makes no other tokens.',
        tags: ['account'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['description'],
          properties: wantedToken,
        },
        response: { 201: madeTokenSchema, ...problems(404, 507) },
      },
    },
    async (request, reply) => {
      const owner = byPassword(request)

      const made = await makeToken(accounts, owner, request.body, changeOf(request, now))

      return sendToken(request, reply, made)
    },
  )

  app.delete<TokenRoute>(
    '/account/tokens/:id',
    {
      ...requires('signedIn'),
      schema: {
        operationId: 'revokeOwnToken',
        summary: 'Revokes a token of whoever asks.',
        tags: ['account'],
        params: tokenPath,
        response: {
          204: { type: 'null', description: 'It is revoked.' },
          ...problems(404, 507),
        },
      },
    },
    async (request, reply) => {
      const { accountId, limits } = signedIn(request)
      const { id } = request.params
      const token = await accounts.findTokenById(id)
      if (token?.account.id !== accountId) throw tokenUnknown()
      // A token with a part of the rights does not take away what others have.
      if (limits) throw notByToken()
      if (!(await accounts.revokeToken(id))) throw tokenUnknown()
      noteRevoked(request, token)
      return reply.code(204).send()
    },
  )
}

function signedIn({ identity }: FastifyRequest): SignedIn {
  if (isSignedIn(identity)) return identity
  throw new RegistryError('ACCOUNT_UNKNOWN', 'the operator has no account: name one in the path')
}

/** What outlives a token must not come of one. */
function byPassword(request: FastifyRequest): SignedIn {
  const identity = signedIn(request)
  if (identity.tokenId !== undefined) throw notByToken()
  return identity
}

function tokenUnknown(): RegistryError {
  // Somebody may have taken the token itself for its id.
  return new RegistryError('TOKEN_UNKNOWN', 'you have no token of this id', { details: [] })
}

function notByToken(): RegistryError {
  return new RegistryError('DENIED', 'a personal token is not enough for this: send the password')
}
