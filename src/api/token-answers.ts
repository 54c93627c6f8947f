import type { FastifyReply, FastifyRequest } from 'fastify'
import { createPersonalToken } from '../auth/personal-tokens.js'
import { shortened } from '../events/audit.js'
import { addAuditDetails } from '../events/audit-details.js'
import {
  ACTIONS,
  type Account,
  type AccountKind,
  type Accounts,
  type Change,
  type StoredToken,
  type TokenRecord,
  type TokenScope,
} from '../metadata/accounts.js'
import type { Page, PageRequest } from '../metadata/pages.js'
import { PATTERN_EXPRESSION } from '../oci/patterns.js'
import { parseRepositoryPattern } from '../oci/repository-patterns.js'
import { dayMs } from '../times.js'
import { inOrder } from './actions.js'
import { pageAnswer, parsePage, type PageQuery } from './pages.js'
import { timeSchema, timeText } from './times.js'

/** What somebody says who wants a token. */
export interface WantedToken {
  readonly description: string
  readonly scope?: readonly TokenScope[]
  readonly days?: number
}

/** A hundred years; what is to last longer does not expire. */
const daysMax = 36_500

/**
 * How long a token lasts of which nobody has said it. A person forgets theirs, and a year is long enough to
 * find out; a build that stops on some day a year from now helps nobody, and a robot can be disabled.
 */
const usualDays: Readonly<Record<AccountKind, number>> = { user: 365, robot: 0 }

const descriptionLengthMax = 200
const scopeEntriesMax = 100

const scopeSchema = {
  type: 'array',
  minItems: 1,
  maxItems: scopeEntriesMax,
  description: 'What of the rights of its account it has; absent for all.',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['pattern', 'actions'],
    properties: {
      pattern: {
        type: 'string',
        pattern: PATTERN_EXPRESSION,
        description: 'The repositories: * within a path component, ** anything.',
      },
      actions: {
        type: 'array',
        minItems: 1,
        uniqueItems: true,
        items: { type: 'string', enum: ACTIONS },
        description: 'What it may do with them, if its account may.',
      },
    },
  },
} as const

export const tokenSchema = {
  type: 'object',
  description: 'A token.',
  required: ['id', 'account', 'kind', 'description', 'createdAt', 'createdBy', 'isExpired'],
  properties: {
    id: { type: 'string', description: 'What it is called; no secret.' },
    account: { type: 'string', description: 'The user or robot whom it lets in.' },
    kind: {
      type: 'string',
      enum: ['personal', 'refresh'],
      description: 'personal: made here. refresh: what a docker login keeps of it.',
    },
    description: { type: 'string', description: 'What it is for.' },
    scope: scopeSchema,
    createdAt: timeSchema('When it was made.'),
    createdBy: { type: 'string', description: 'Who made it.' },
    expiresAt: timeSchema('Until when it is good; absent when it does not expire.'),
    isExpired: { type: 'boolean', description: 'Whether that is over.' },
    lastUsedAt: timeSchema('When it was used last, to a minute or so; absent when never.'),
  },
} as const

/** The members of a body that asks for one. */
export const wantedToken = {
  description: {
    type: 'string',
    minLength: 1,
    maxLength: descriptionLengthMax,
    description: 'What it is for, so that one day somebody dares to revoke it.',
  },
  scope: scopeSchema,
  days: {
    type: 'integer',
    minimum: 0,
    maximum: daysMax,
    description:
      'How long it is good; 0: it does not expire. By default 365 for a user, and 0 for a robot.',
  },
} as const

/** A token as it is shown once. */
export const madeTokenSchema = {
  ...tokenSchema,
  description: 'It was made.',
  required: [...tokenSchema.required, 'token'],
  properties: {
    ...tokenSchema.properties,
    token: {
      type: 'string',
      description: 'The token itself: berth_ and 43 letters and digits. Kept nowhere.',
    },
  },
} as const

/** @returns the record, and the token itself, which is kept nowhere */
export async function makeToken(
  accounts: Accounts,
  { name: account, kind }: Pick<Account, 'name' | 'kind'>,
  { description, scope, days }: WantedToken,
  change: Change,
): Promise<{ readonly made: TokenRecord; readonly token: string }> {
  const lifetimeDays = days ?? usualDays[kind]
  const { id, text: token, secretHash } = createPersonalToken()
  const made: TokenRecord = {
    id,
    account,
    kind: 'personal',
    description,
    ...(scope !== undefined && { scope: scope.map(parseScope) }),
    createdAt: change.at,
    createdBy: change.identity,
    ...(lifetimeDays > 0 && { expiresAt: change.at + lifetimeDays * dayMs }),
  }
  await accounts.addToken({ ...made, ...change, secretHash })
  return { made, token }
}

export function sendToken(
  request: FastifyRequest,
  reply: FastifyReply,
  { made, token }: { readonly made: TokenRecord; readonly token: string },
) {
  const { id, account, expiresAt } = made
  addAuditDetails(request, {
    ...{ id, account },
    ...(expiresAt !== undefined && { expiresAt: timeText(expiresAt) }),
  })
  reply.code(201)
  return { ...tokenAnswer(made, made.createdAt), token }
}

/** Has the audit trail say whose token was revoked, and what it was for. */
export function noteRevoked(
  request: FastifyRequest,
  { account, kind, description }: StoredToken,
): void {
  addAuditDetails(request, { account: account.name, kind, description: shortened(description) })
}

/** Which page of a list of tokens a query asks for. */
export function parseTokenPage(query: PageQuery): PageRequest {
  return parsePage(query, (id) => id !== '')
}

/** A page of such a list as it is answered at a time. */
export function tokensAnswer(page: Page<TokenRecord>, at: number) {
  return pageAnswer(
    page,
    (token) => tokenAnswer(token, at),
    ({ id }) => id,
  )
}

function tokenAnswer({ createdAt, expiresAt, lastUsedAt, ...token }: TokenRecord, at: number) {
  return {
    ...token,
    createdAt: timeText(createdAt),
    ...(expiresAt !== undefined && { expiresAt: timeText(expiresAt) }),
    isExpired: expiresAt !== undefined && expiresAt <= at,
    ...(lastUsedAt !== undefined && { lastUsedAt: timeText(lastUsedAt) }),
  }
}

function parseScope({ pattern, actions }: TokenScope): TokenScope {
  return { pattern: parseRepositoryPattern(pattern), actions: inOrder(actions) }
}
