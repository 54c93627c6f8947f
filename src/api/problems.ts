import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Need } from '../auth/access.js'
import { KEPT_NOWHERE } from '../caching.js'
import type { RegistryError } from '../errors.js'

export const PROBLEM_TYPE = 'application/problem+json'

/** One thing that a problem is about: the digest that is missing, the member that is wrong. */
type ProblemEntry = Readonly<Record<string, unknown>>

/** @see RFC 9457, "Problem Details for HTTP APIs", section 3 */
export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly detail: string
  /** The kind of problem, as `src/errors.ts` lists them. */
  readonly code: string
  readonly errors?: readonly ProblemEntry[]
}

export const problemSchema = {
  $id: 'Problem',
  type: 'object',
  description: 'What went wrong (RFC 9457).',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string', const: 'about:blank' },
    title: { type: 'string', description: 'What the status is called.' },
    status: { type: 'integer', description: 'The status of the answer.' },
    detail: { type: 'string', description: 'What went wrong, as a sentence for a person.' },
    code: { type: 'string', description: 'What went wrong, for a program.' },
    errors: {
      type: 'array',
      description: 'Each thing that the problem is about.',
      items: { type: 'object', additionalProperties: true },
    },
  },
} as const

const RETRY_AFTER = {
  'Retry-After': { type: 'integer', description: 'In how many seconds to try again.' },
}

/** What the statuses mean, and the headers that go with them. */
const PROBLEMS = {
  400: { description: 'A parameter or the body is not what it should be.' },
  401: {
    description: 'Nothing was shown where that is needed, or what was shown lets nobody in.',
    headers: {
      'WWW-Authenticate': { type: 'string', description: 'How to show who one is.' },
    },
  },
  403: { description: 'The caller may not do this.' },
  404: { description: 'There is no such thing, or the caller may not see it.' },
  409: { description: 'It cannot be done as things are now.' },
  429: {
    description: 'Too many requests, or too many wrong passwords.',
    headers: RETRY_AFTER,
  },
  503: { description: 'The registry is stopping, or has too much to do.', headers: RETRY_AFTER },
  507: { description: 'The disk has no room left.' },
  default: { description: 'Any other problem: a body that is too large, a failure.' },
} as const

type ProblemStatus = keyof typeof PROBLEMS

/** The part of a route's `response` that tells which problems it answers with, beside {@link commonProblems}. */
export function problems(...statuses: readonly ProblemStatus[]): Record<string, object> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      { ...PROBLEMS[status], content: { [PROBLEM_TYPE]: { schema: { $ref: 'Problem#' } } } },
    ]),
  )
}

/**
 * The same of what stands before every route: the guard, the limits, the checks of what was sent.
 *
 * @param need - what the route's caller needs to be allowed
 * @param isOfRepository - whether there is a repository in its path
 */
export function commonProblems(need: Need | undefined, isOfRepository: boolean) {
  // What somebody may not see of these is not there, and nobody is refused the others.
  const isHidden = need === 'pull' && isOfRepository
  const isForAll = need === 'nothing' || need === 'list'
  return {
    ...problems(400, 401),
    ...(!isHidden && !isForAll && problems(403)),
    ...problems(429, 503, 'default'),
  }
}

/** Writes a refusal as a problem; its status is set. */
export function sendProblem(reply: FastifyReply, refusal: RegistryError): void {
  const body = JSON.stringify(problemOf(refusal))
  // As bytes: of text, the framework would say a charset, which this type does not have.
  void reply.type(PROBLEM_TYPE).header('Cache-Control', KEPT_NOWHERE).send(Buffer.from(body))
}

function problemOf({ statusCode, code, message, details }: RegistryError): Problem {
  const errors = details.filter((detail) => detail !== null).map(entryOf)
  return {
    type: 'about:blank',
    title: STATUS_CODES[statusCode] ?? 'Error',
    status: statusCode,
    detail: message,
    code,
    ...(errors.length > 0 && { errors }),
  }
}

function entryOf(detail: unknown): ProblemEntry {
  return typeof detail === 'object' ? (detail as ProblemEntry) : { value: detail }
}
