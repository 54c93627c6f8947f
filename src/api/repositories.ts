import type { FastifyInstance } from 'fastify'
import type { Access } from '../auth/access.js'
import { requires } from '../auth/guard.js'
import { shortened } from '../events/audit.js'
import { addAuditDetails } from '../events/audit-details.js'
import type { Visibility } from '../metadata/accounts.js'
import type { RepositoryRecord } from '../metadata/inspection.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { isRepositoryName, parseRepositoryName } from '../oci/reference.js'
import {
  pageAnswer,
  pageParameters,
  pageSchema,
  parseCursor,
  queryOf,
  type PageQuery,
} from './pages.js'
import { repositoryPath, repositoryUrl, type RepositoryPath } from './parameters.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface ListRoute {
  Querystring: PageQuery & { readonly prefix?: string }
}

interface RepositoryRoute {
  Params: RepositoryPath
}

interface DescribeRoute extends RepositoryRoute {
  Body: { readonly description: string }
}

interface VisibilityRoute extends RepositoryRoute {
  Body: { readonly visibility: Visibility }
}

const descriptionLengthMax = 4000

const visibility = {
  type: 'string',
  enum: ['private', 'public'],
  description: 'public: where there are accounts, everybody may pull from it.',
} as const

const repositorySchema = {
  type: 'object',
  description: 'A repository.',
  required: ['name', 'createdAt', 'description', 'logicalBytes', 'listed', 'visibility'],
  properties: {
    name: { type: 'string' },
    createdAt: timeSchema('When it came to be.'),
    description: { type: 'string', description: 'What people have said it is for; may be empty.' },
    logicalBytes: {
      type: 'integer',
      description:
        'Its manifests and the blobs that they refer to, whichever other repositories have those too.',
    },
    listed: {
      type: 'boolean',
      description: 'Whether the catalog shows it: it has a manifest, or a description.',
    },
    visibility,
  },
} as const

export interface RepositoryRoutesOptions {
  readonly metadata: MetadataStore
  readonly access: Access
  readonly now: () => number
}

/** Repositories: which there are, and what they are for. */
export async function repositoryRoutes(
  app: FastifyInstance,
  { metadata, access, now }: RepositoryRoutesOptions,
): Promise<void> {
  app.get<ListRoute>(
    '/repositories',
    {
      ...requires('list'),
      schema: {
        operationId: 'listRepositories',
        summary: 'Lists the repositories of the catalog, by name in byte order.',
        tags: ['repositories'],
        querystring: queryOf({
          prefix: {
            type: 'string',
            maxLength: 255,
            description: 'Only those whose name begins like this.',
          },
          ...pageParameters,
        }),
        response: { 200: pageSchema(repositorySchema) },
      },
    },
    async ({ query: { prefix, limit, cursor }, identity }) => {
      const after = parseCursor(cursor, isRepositoryName)
      const viewer = await access.viewerOf(identity)

      const page = await metadata.listRepositoryRecords({
        limit,
        ...(prefix !== undefined && { prefix }),
        ...(after !== undefined && { after }),
        ...(viewer && { viewer }),
      })

      return pageAnswer(page, answerOf, ({ name }) => name)
    },
  )

  app.get<RepositoryRoute>(
    '/repositories/:name',
    {
      ...requires('pull'),
      schema: {
        operationId: 'getRepository',
        summary: 'Tells of one repository.',
        tags: ['repositories'],
        params: repositoryPath,
        response: { 200: repositorySchema, ...problems(404) },
      },
    },
    async ({ params }) => {
      const name = parseRepositoryName(params.name)

      return answerOf(await metadata.getRepositoryRecord(name))
    },
  )

  app.put<DescribeRoute>(
    '/repositories/:name',
    {
      ...requires('push'),
      schema: {
        operationId: 'describeRepository',
        summary: 'Says what a repository is for, and makes it when it is not there.',
        description:
          'With a description the catalog shows a repository even if it is empty; without, as long as it has a manifest. Where there are accounts create is enough for the first description; to replace one, or to take it away, takes overwrite.',
        tags: ['repositories'],
        params: repositoryPath,
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['description'],
          properties: {
            description: {
              type: 'string',
              maxLength: descriptionLengthMax,
              description: 'What it is for. Empty takes it away.',
            },
          },
        },
        response: {
          200: { ...repositorySchema, description: 'It was there.' },
          201: { ...repositorySchema, description: 'It was made.' },
          ...problems(404, 507),
        },
      },
    },
    async (request, reply) => {
      const { params, body, identity } = request
      const repository = parseRepositoryName(params.name)
      const { description } = body

      const { created, before } = await metadata.describeRepository({
        repository,
        description,
        at: now(),
        identity: identity.name,
        mayOverwrite: await access.may(identity, 'overwrite', repository),
      })

      if (before !== '') addAuditDetails(request, { before: shortened(before) })
      if (created) reply.code(201).header('Location', repositoryUrl(repository))
      return answerOf(await metadata.getRepositoryRecord(repository))
    },
  )

  app.put<VisibilityRoute>(
    '/repositories/:name/visibility',
    {
      ...requires('admin'),
      schema: {
        operationId: 'setVisibility',
        summary: 'Makes a repository public, or private.',
        tags: ['repositories'],
        params: repositoryPath,
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['visibility'],
          properties: { visibility },
        },
        response: { 200: repositorySchema, ...problems(404, 507) },
      },
    },
    async (request) => {
      const { params, body } = request
      const repository = parseRepositoryName(params.name)

      const before = await metadata.accounts.findVisibility(repository)
      await metadata.accounts.setVisibility(repository, body.visibility)

      addAuditDetails(request, { before })
      return answerOf(await metadata.getRepositoryRecord(repository))
    },
  )
}

function answerOf({ createdAt, ...repository }: RepositoryRecord) {
  return { ...repository, createdAt: timeText(createdAt) }
}
