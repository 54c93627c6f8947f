import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { SigningKeys } from '../auth/signing-keys.js'
import { RegistryError } from '../errors.js'
import { addAuditDetails } from '../events/audit-details.js'
import type { Accounts, SigningKey } from '../metadata/accounts.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface RotateRoute {
  Body: { readonly revokeOthers?: boolean }
}

const keySchema = {
  type: 'object',
  description: 'A key that bearer tokens are signed with; never the key itself.',
  required: ['id', 'createdAt', 'signs'],
  properties: {
    id: { type: 'string' },
    createdAt: timeSchema('When it was made.'),
    signs: { type: 'boolean', description: 'Whether it is the one that signs.' },
    validUntil: timeSchema('Until when what it has signed is believed.'),
  },
} as const

const listSchema = {
  type: 'object',
  description: 'The keys.',
  required: ['items'],
  properties: { items: { type: 'array', items: keySchema } },
} as const

/** A request that came with the last token of the old key may be under way. */
const graceMs = 60_000

export interface SigningKeyRoutesOptions {
  readonly accounts: Accounts
  /** Undefined where there are no accounts. */
  readonly keys: SigningKeys | undefined
  readonly now: () => number
  /** How long a bearer token is good for. */
  readonly tokenSeconds: number
}

/** What bearer tokens are signed with. */
export async function signingKeyRoutes(
  app: FastifyInstance,
  { accounts, keys, now, tokenSeconds }: SigningKeyRoutesOptions,
): Promise<void> {
  app.get(
    '/signing-keys',
    {
      ...requires('admin'),
      schema: {
        operationId: 'listSigningKeys',
        summary: 'Lists the keys that bearer tokens are signed with.',
        tags: ['signing-keys'],
        response: { 200: listSchema },
      },
    },
    async () => ({ items: await list() }),
  )

  app.post<RotateRoute>(
    '/signing-keys',
    {
      ...requires('admin'),
      schema: {
        operationId: 'rotateSigningKey',
        summary: 'Has a new key sign bearer tokens.',
        description: 'Those that the one before has signed are good until they expire.',
        tags: ['signing-keys'],
        body: {
          type: 'object',
          additionalProperties: false,
          properties: {
            revokeOthers: {
              type: 'boolean',
              description:
                'All bearer tokens of before are of no use at once; clients get new ones.',
            },
          },
        },
        response: { 201: listSchema, ...problems(409) },
      },
    },
    async (request, reply) => {
      const { revokeOthers = false } = request.body
      if (keys === undefined) {
        throw new RegistryError('CONFLICT', 'nothing is signed where there are no accounts')
      }

      const id = await keys.rotate(revokeOthers ? undefined : tokenSeconds * 1000 + graceMs)

      addAuditDetails(request, { id, revokeOthers })

      return reply.code(201).send({ items: await list() })
    },
  )

  async function list() {
    return (await accounts.listSigningKeys(now())).map(answerOf)
  }
}

function answerOf({ id, createdAt, validUntil }: SigningKey) {
  return {
    id,
    createdAt: timeText(createdAt),
    signs: validUntil === undefined,
    ...(validUntil !== undefined && { validUntil: timeText(validUntil) }),
  }
}
