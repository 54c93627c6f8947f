import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import { addAuditDetails } from '../events/audit-details.js'
import type { Page, PageRequest } from '../metadata/pages.js'
import {
  pageAnswer,
  pageParameters,
  pageSchema,
  parsePage,
  queryOf,
  type PageQuery,
} from './pages.js'
import type { namePath, NamePath } from './parameters.js'
import { problems } from './problems.js'

interface ListRoute {
  Querystring: PageQuery
}

interface NamedRoute {
  Params: NamePath
}

/** What the description says of a route. */
interface Operation {
  readonly operationId: string
  readonly summary: string
}

export interface ListOperation<Entry> extends Operation {
  /** The schema of an item. */
  readonly item: object
  readonly answerOf: (entry: Entry) => object
  /** Whether one can be called so. */
  readonly isName: (text: string) => boolean
  readonly list: (page: PageRequest) => Promise<Page<Entry>>
}

/**
 * The route that lists what administrators keep by name, such as users.
 *
 * @param noun - what they are called in paths, and the tag of their operations: `users`
 */
export function listByName<Entry extends { readonly name: string }>(
  app: FastifyInstance,
  noun: string,
  { operationId, summary, item, answerOf, isName, list }: ListOperation<Entry>,
): void {
  app.get<ListRoute>(
    `/${noun}`,
    {
      ...requires('admin'),
      schema: {
        operationId,
        summary,
        tags: [noun],
        querystring: queryOf(pageParameters),
        response: { 200: pageSchema(item) },
      },
    },
    async ({ query }) => pageAnswer(await list(parsePage(query, isName)), answerOf, nameOf),
  )
}

export interface GetOperation extends Operation {
  readonly params: ReturnType<typeof namePath>
  /** The schema of the answer. */
  readonly item: object
  /** Answers with the one that has this name, which is as the path has it. */
  readonly get: (name: string) => Promise<object>
}

/** The route that tells administrators of one of them. */
export function getByName(
  app: FastifyInstance,
  noun: string,
  { operationId, summary, params, item, get }: GetOperation,
): void {
  app.get<NamedRoute>(
    `/${noun}/:name`,
    {
      ...requires('admin'),
      schema: {
        operationId,
        summary,
        tags: [noun],
        params,
        response: { 200: item, ...problems(404) },
      },
    },
    async ({ params: { name } }) => get(name),
  )
}

export interface DeleteOperation extends Operation {
  readonly description?: string
  readonly params: ReturnType<typeof namePath>
  /** What it means that it was done. */
  readonly done: string
  /**
   * Deletes the one that has this name, which is as the path has it.
   *
   * @returns what it was, for the audit trail
   */
  readonly remove: (name: string) => Promise<Readonly<Record<string, unknown>>>
}

/** The route by which administrators delete one of them. */
export function deleteByName(
  app: FastifyInstance,
  noun: string,
  { operationId, summary, description, params, done, remove }: DeleteOperation,
): void {
  app.delete<NamedRoute>(
    `/${noun}/:name`,
    {
      ...requires('admin'),
      schema: {
        operationId,
        summary,
        ...(description !== undefined && { description }),
        tags: [noun],
        params,
        response: {
          204: { type: 'null', description: done },
          ...problems(404, 507),
        },
      },
    },
    async (request, reply) => {
      addAuditDetails(request, await remove(request.params.name))
      return reply.code(204).send()
    },
  )
}

function nameOf({ name }: { readonly name: string }): string {
  return name
}
