import type { FastifyInstance } from 'fastify'
import type { Problem } from '../../src/api/problems.js'
import { readOperatorFile } from '../../src/operator-file.js'
import { operatorTokenOf } from './server.js'

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

/** What nobody but the operator may ask. */
const OPERATORS =
  /^\/(access|audit|backup|gc|grants|groups|namespaces|retention|robots|runs|signing-keys|tokens|users|verify)\b|\/visibility$/

/**
 * A request to the management API, whatever comes of it.
 *
 * @param token - by default that of the operator where nobody else may ask, else none; null for none
 */
export function ask(
  app: FastifyInstance,
  method: Method,
  path: string,
  { body, token }: { readonly body?: unknown; readonly token?: string | null } = {},
) {
  const sent = token === undefined && OPERATORS.test(path) ? operatorTokenOf(app) : token
  return app.inject({
    method,
    url: `/api/v1${path}`,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(typeof sent === 'string' && { authorization: `Bearer ${sent}` }),
    },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  })
}

/** The JSON of an answer that is expected to be a good one. */
export async function answerOf<T>(
  app: FastifyInstance,
  method: Method,
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await ask(app, method, path, { body })
  if (response.statusCode >= 300) throw new Error(`${response.statusCode}: ${response.body}`)
  return response.json<T>()
}

export function problemOf(response: { readonly body: string }): Problem {
  return JSON.parse(response.body) as Problem
}

interface AnyPage<T> {
  readonly items: T[]
  readonly nextCursor?: string
}

/** Follows the cursors of a list to its end: all items, and how many pages they were on. */
export async function walkPages<T>(app: FastifyInstance, path: string, limit: number) {
  const items: T[] = []
  let pages = 0
  let cursor: string | undefined
  do {
    const query = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`
    const page: AnyPage<T> = await answerOf(app, 'GET', path + query)
    items.push(...page.items)
    pages++
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return { items, pages }
}

/** The token of the server that has a data directory. */
export function operatorTokenIn(dataDirectory: string): string {
  const access = readOperatorFile(dataDirectory)
  if (access === undefined) throw new Error(`${dataDirectory} has no operator file`)
  return access.token
}
