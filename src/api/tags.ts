import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { TagRecord } from '../metadata/inspection.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { isTag, parseRepositoryName, parseTag } from '../oci/reference.js'
import type { Manifests } from '../registry/manifests.js'
import { absentForStrangers } from './account-names.js'
import { deletionAnswer, deletionSchema } from './deletions.js'
import {
  pageAnswer,
  pageParameters,
  pageSchema,
  parseCursor,
  queryOf,
  type PageQuery,
} from './pages.js'
import { repositoryPath, tagPath, type RepositoryPath, type TagPath } from './parameters.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface ListRoute {
  Params: RepositoryPath
  Querystring: PageQuery
}

interface TagRoute {
  Params: TagPath
}

const tagSchema = {
  type: 'object',
  description: 'A tag.',
  required: ['name', 'digest', 'mediaType', 'sizeBytes', 'updatedAt'],
  properties: {
    name: { type: 'string' },
    digest: { type: 'string', description: 'The manifest that it points to.' },
    mediaType: { type: 'string', description: 'The type of that manifest.' },
    sizeBytes: { type: 'integer', description: 'The size of the manifest itself.' },
    updatedAt: timeSchema('When it was pushed or moved last.'),
    updatedBy: { type: 'string', description: `Who did that. ${absentForStrangers}` },
    pulledAt: timeSchema('When its manifest was asked for last, under whatever name.'),
  },
} as const

/** Tags of a repository. */
export async function tagRoutes(
  app: FastifyInstance,
  { metadata, manifests }: { readonly metadata: MetadataStore; readonly manifests: Manifests },
): Promise<void> {
  app.get<ListRoute>(
    '/repositories/:name/tags',
    {
      ...requires('pull'),
      schema: {
        operationId: 'listTags',
        summary: 'Lists the tags of a repository, in byte order.',
        tags: ['tags'],
        params: repositoryPath,
        querystring: queryOf(pageParameters),
        response: { 200: pageSchema(tagSchema), ...problems(404) },
      },
    },
    async ({ params, query: { limit, cursor } }) => {
      const name = parseRepositoryName(params.name)
      const after = parseCursor(cursor, isTag)

      const page = await metadata.listTagRecords(name, {
        limit,
        ...(after !== undefined && { after }),
      })

      return pageAnswer(page, answerOf, ({ name }) => name)
    },
  )

  app.get<TagRoute>(
    '/repositories/:name/tags/:tag',
    {
      ...requires('pull'),
      schema: {
        operationId: 'getTag',
        summary: 'Tells of one tag.',
        tags: ['tags'],
        params: tagPath,
        response: { 200: tagSchema, ...problems(404) },
      },
    },
    async ({ params }) => {
      const name = parseRepositoryName(params.name)
      const tag = parseTag(params.tag)

      return answerOf(await metadata.getTagRecord(name, tag))
    },
  )

  app.delete<TagRoute>(
    '/repositories/:name/tags/:tag',
    {
      ...requires('delete'),
      schema: {
        operationId: 'deleteTag',
        summary: 'Deletes a tag, and nothing else.',
        tags: ['tags'],
        params: tagPath,
        response: { 200: deletionSchema, ...problems(404) },
      },
    },
    async ({ params, identity }) => {
      const name = parseRepositoryName(params.name)
      const tag = parseTag(params.tag)

      return deletionAnswer(await manifests.delete(name, { tag }, identity.name))
    },
  )
}

function answerOf({ updatedAt, pulledAt, ...tag }: TagRecord) {
  return {
    ...tag,
    updatedAt: timeText(updatedAt),
    ...(pulledAt !== undefined && { pulledAt: timeText(pulledAt) }),
  }
}
