import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Access } from '../auth/access.js'
import { requires } from '../auth/guard.js'
import type { Identity } from '../auth/identity.js'
import type { DeletedQuery, DeletedRepository, HistoryEntry } from '../metadata/inspection.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { sightOf } from '../metadata/viewers.js'
import { parseRepositoryName, parseTag } from '../oci/reference.js'
import { absentForStrangers } from './account-names.js'
import {
  momentKey,
  pageAnswer,
  pageParameters,
  pageSchema,
  parseMomentCursor,
  parseNumberCursor,
  queryOf,
  type PageQuery,
} from './pages.js'
import { repositoryPath, type RepositoryPath } from './parameters.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface HistoryRoute {
  Params: RepositoryPath
  Querystring: PageQuery & { readonly tag?: string }
}

interface DeletedRoute {
  Querystring: PageQuery
}

const entrySchema = {
  type: 'object',
  description: 'Something that happened.',
  required: ['id', 'action', 'at'],
  properties: {
    id: { type: 'integer', description: 'Grows with time.' },
    action: {
      type: 'string',
      enum: ['moved', 'deleted', 'restored', 'repository deleted', 'repository restored'],
      description: 'moved: pushed, be it for the first time.',
    },
    tag: {
      type: 'string',
      description: 'The tag it happened to; absent for a manifest or the repository.',
    },
    from: { type: 'string', description: 'The digest that the tag pointed to, or was deleted.' },
    to: { type: 'string', description: 'The digest that the tag points to since.' },
    at: timeSchema('When it happened.'),
    by: { type: 'string', description: `Who did it. ${absentForStrangers}` },
  },
} as const

const deletedSchema = {
  type: 'object',
  description: 'A deleted repository.',
  required: ['name', 'deletedAt', 'goesAt', 'logicalBytes'],
  properties: {
    name: { type: 'string', description: 'What it was called.' },
    deletedAt: timeSchema('When it was deleted.'),
    deletedBy: { type: 'string', description: `Who did that. ${absentForStrangers}` },
    goesAt: timeSchema('Until when it can be brought back.'),
    logicalBytes: {
      type: 'integer',
      description: 'Its manifests and the blobs that they refer to.',
    },
  },
} as const

/** Of what somebody may not see so much is read before others have their turn. */
const readAtOnce = 500

export interface HistoryRoutesOptions {
  readonly metadata: MetadataStore
  readonly access: Access
  readonly now: () => number
  readonly undoMs: number
}

/** What has happened, and what of it can be undone. */
export async function historyRoutes(
  app: FastifyInstance,
  { metadata, access, now, undoMs }: HistoryRoutesOptions,
): Promise<void> {
  app.get<HistoryRoute>(
    '/repositories/:name/history',
    {
      ...requires('pull'),
      schema: {
        operationId: 'listHistory',
        summary: 'Lists what has happened in a repository, the last first.',
        description:
          'Of a repository that was deleted, as long as no other has its name. Tags that went along with a manifest may be listed a little after it.',
        tags: ['history'],
        params: repositoryPath,
        querystring: queryOf({
          tag: { type: 'string', description: 'Only what happened to this tag.' },
          ...pageParameters,
        }),
        response: { 200: pageSchema(entrySchema), ...problems(404) },
      },
    },
    async ({ params, query: { tag, limit, cursor } }) => {
      const repository = parseRepositoryName(params.name)
      const before = parseNumberCursor(cursor)

      const page = await metadata.listHistory({
        repository,
        limit,
        ...(tag !== undefined && { tag: parseTag(tag) }),
        ...(before !== undefined && { before }),
      })

      return pageAnswer(page, entryAnswer, ({ id }) => id)
    },
  )

  app.get<DeletedRoute>(
    '/deleted-repositories',
    {
      ...requires('list'),
      schema: {
        operationId: 'listDeletedRepositories',
        summary: 'Lists deleted repositories that can still be brought back, the last one first.',
        tags: ['history'],
        querystring: queryOf(pageParameters),
        response: { 200: pageSchema(deletedSchema) },
      },
    },
    async ({ query: { limit, cursor }, identity }) => {
      const before = parseMomentCursor(cursor)

      const page = await listDeleted(identity, {
        since: now() - undoMs,
        limit,
        ...(before && { before }),
      })

      return pageAnswer(page, deletedAnswer, ({ deletedAt, id }) => momentKey(deletedAt, id))
    },
  )

  /**
   * Of those that were deleted, what somebody was granted; whether others are public that have their names
   * now says nothing of them.
   */
  async function listDeleted(identity: Identity, query: DeletedQuery) {
    const viewer = await access.viewerOf(identity)
    if (viewer === undefined) return metadata.listDeletedRepositories(query)
    const sees = sightOf(viewer)
    const seen: DeletedRepository[] = []
    let { before } = query
    for (; ; await turn()) {
      const page = await metadata.listDeletedRepositories({
        since: query.since,
        limit: readAtOnce,
        ...(before && { before }),
      })
      for (const repository of page.entries) {
        if (!sees(repository.name)) continue
        if (seen.length === query.limit) return { entries: seen, hasMore: true }
        seen.push(repository)
      }
      const last = page.entries.at(-1)
      if (!page.hasMore || last === undefined) return { entries: seen, hasMore: false }
      before = { at: last.deletedAt, id: last.id }
    }
  }

  function deletedAnswer({ name, deletedAt, deletedBy, logicalBytes }: DeletedRepository) {
    const goesAt = timeText(deletedAt + undoMs)
    return { name, deletedAt: timeText(deletedAt), deletedBy, goesAt, logicalBytes }
  }
}

function entryAnswer({ at, identity, ...entry }: HistoryEntry) {
  return { ...entry, at: timeText(at), by: identity }
}
