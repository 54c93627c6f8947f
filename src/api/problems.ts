import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import { KEPT_NOWHERE } from '../caching.js'
import type { RegistryError } from '../errors.js'

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

const DESCRIPTIONS = {
  400: 'A parameter or the body is not what it should be.',
  401: 'The token is not the one of the running server.',
  403: 'The caller may not do this.',
  404: 'There is no such thing.',
  409: 'It cannot be done as things are now.',
  507: 'The disk has no room left.',
} as const

type ProblemStatus = keyof typeof DESCRIPTIONS

/** The part of a route's `response` that tells which problems it answers with. */
export function problems(...statuses: readonly ProblemStatus[]): Record<number, object> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: DESCRIPTIONS[status],
        content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
      },
    ]),
  )
}

/** Writes a refusal as a problem; its status is set. */
export function sendProblem(reply: FastifyReply, refusal: RegistryError): void {
  const body = JSON.stringify(problemOf(refusal))
  // As bytes: of text, the framework would say a charset, which this type does not have.
  void reply
    .type('application/problem+json')
    .header('Cache-Control', KEPT_NOWHERE)
    .send(Buffer.from(body))
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
