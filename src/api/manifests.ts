import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import { addAuditDetails, someNames } from '../events/audit-details.js'
import {
  detailsMax,
  type DeletedManifest,
  type LiveManifestRecord,
  type ManifestRecord,
} from '../metadata/inspection.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { isDigest, parseDigest } from '../oci/digest.js'
import { isTag, parseRepositoryName } from '../oci/reference.js'
import type { Manifests } from '../registry/manifests.js'
import { absentForStrangers } from './account-names.js'
import { deletionAnswer, deletionSchema } from './deletions.js'
import {
  momentKey,
  pageAnswer,
  pageParameters,
  pageSchema,
  parseCursor,
  parseMomentCursor,
  queryOf,
  type PageQuery,
} from './pages.js'
import {
  manifestPath,
  repositoryPath,
  type ManifestPath,
  type RepositoryPath,
} from './parameters.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface ListRoute {
  Params: RepositoryPath
  Querystring: PageQuery & { readonly deleted: boolean }
}

interface ManifestRoute {
  Params: ManifestPath
}

interface TagsRoute extends ManifestRoute {
  Querystring: PageQuery
}

export interface ManifestRoutesOptions {
  readonly metadata: MetadataStore
  readonly manifests: Manifests
  readonly now: () => number
  readonly undoMs: number
}

const recordProperties = {
  digest: { type: 'string' },
  mediaType: { type: 'string' },
  artifactType: { type: 'string', description: 'What it says it is, else the type of its config.' },
  subject: { type: 'string', description: 'The digest of the manifest that it is about.' },
  sizeBytes: { type: 'integer', description: 'The size of the manifest itself.' },
  pushedAt: timeSchema('When it was pushed last.'),
  pushedBy: { type: 'string', description: `Who did that. ${absentForStrangers}` },
  pulledAt: timeSchema('When it was asked for last.'),
  tagged: { type: 'boolean', description: 'Whether a tag points to it; absent of deleted ones.' },
} as const

const alwaysThere = ['digest', 'mediaType', 'sizeBytes', 'pushedAt'] as const

const manifestSchema = {
  type: 'object',
  description: 'A manifest.',
  required: alwaysThere,
  properties: {
    ...recordProperties,
    deletedAt: timeSchema('When it was deleted.'),
    deletedBy: { type: 'string', description: `Who did that. ${absentForStrangers}` },
    goesAt: timeSchema('Until when it can be brought back.'),
  },
} as const

const detailsSchema = {
  type: 'object',
  description: 'A manifest, with what it holds and what holds it.',
  required: [
    ...alwaysThere,
    'tagged',
    'references',
    'hasMoreReferences',
    'tags',
    'hasMoreTags',
    'heldBy',
    'hasMoreHolders',
    'referrerCount',
  ],
  properties: {
    ...recordProperties,
    references: {
      type: 'array',
      description: `What it holds: the first ${detailsMax.references} by digest.`,
      items: {
        type: 'object',
        required: ['digest', 'kind', 'sizeBytes'],
        properties: {
          digest: { type: 'string' },
          kind: {
            type: 'string',
            enum: ['config', 'layer', 'child', 'blob'],
            description: 'child: a manifest or blob that an index lists.',
          },
          sizeBytes: { type: 'integer', description: 'As the manifest says it.' },
        },
      },
    },
    hasMoreReferences: { type: 'boolean' },
    tags: {
      type: 'array',
      items: { type: 'string' },
      description: `The tags that point to it, and that a delete takes along: the first ${detailsMax.tags} by name.`,
    },
    hasMoreTags: { type: 'boolean' },
    heldBy: {
      type: 'array',
      items: { type: 'string' },
      description: `The digests of indexes of the repository that list it: at most ${detailsMax.holders}, the newest.`,
    },
    hasMoreHolders: { type: 'boolean', description: 'Whether there may be more of them.' },
    referrerCount: {
      type: 'integer',
      description: `How many manifests of the repository have it as their subject; not counted beyond ${detailsMax.referrers}.`,
    },
  },
} as const

/** Manifests of a repository. */
export async function manifestRoutes(
  app: FastifyInstance,
  { metadata, manifests, now, undoMs }: ManifestRoutesOptions,
): Promise<void> {
  app.get<ListRoute>(
    '/repositories/:name/manifests',
    {
      ...requires('pull'),
      schema: {
        operationId: 'listManifests',
        summary: 'Lists the manifests of a repository, or those that were deleted.',
        description:
          'By digest; the deleted ones that can still be brought back by time, the last one first.',
        tags: ['manifests'],
        params: repositoryPath,
        querystring: queryOf({
          deleted: { type: 'boolean', default: false, description: 'Those that were deleted.' },
          ...pageParameters,
        }),
        response: { 200: pageSchema(manifestSchema), ...problems(404) },
      },
    },
    async ({ params, query: { deleted, limit, cursor } }) => {
      const repository = parseRepositoryName(params.name)
      if (deleted) {
        const before = parseMomentCursor(cursor)

        const page = await metadata.listDeletedManifests({
          repository,
          since: now() - undoMs,
          limit,
          ...(before && { before }),
        })

        return pageAnswer(page, deletedAnswer, ({ deletedAt, id }) => momentKey(deletedAt, id))
      }
      const after = parseCursor(cursor, isDigest)

      const page = await metadata.listManifestRecords(repository, {
        limit,
        ...(after !== undefined && { after }),
      })

      return pageAnswer(page, recordAnswer, ({ digest }) => digest)
    },
  )

  app.get<ManifestRoute>(
    '/repositories/:name/manifests/:digest',
    {
      ...requires('pull'),
      schema: {
        operationId: 'getManifest',
        summary: 'Tells of one manifest, what it holds, and what a delete would take along.',
        tags: ['manifests'],
        params: manifestPath,
        response: { 200: detailsSchema, ...problems(404) },
      },
    },
    async ({ params }) => {
      const name = parseRepositoryName(params.name)
      const digest = parseDigest(params.digest)

      return recordAnswer(await metadata.getManifestDetails(name, digest))
    },
  )

  app.get<TagsRoute>(
    '/repositories/:name/manifests/:digest/tags',
    {
      ...requires('pull'),
      schema: {
        operationId: 'listTagsOfManifest',
        summary: 'Lists the tags that point to a manifest, in byte order.',
        tags: ['manifests'],
        params: manifestPath,
        querystring: queryOf(pageParameters),
        response: {
          200: pageSchema({ type: 'string', description: 'A tag.' }),
          ...problems(404),
        },
      },
    },
    async ({ params, query: { limit, cursor } }) => {
      const name = parseRepositoryName(params.name)
      const digest = parseDigest(params.digest)
      const after = parseCursor(cursor, isTag)

      const page = await metadata.listTagsOfManifest(name, digest, {
        limit,
        ...(after !== undefined && { after }),
      })

      return pageAnswer(
        page,
        (tag) => tag,
        (tag) => tag,
      )
    },
  )

  app.delete<ManifestRoute>(
    '/repositories/:name/manifests/:digest',
    {
      ...requires('delete'),
      schema: {
        operationId: 'deleteManifest',
        summary: 'Deletes a manifest, and every tag that points to it.',
        tags: ['manifests'],
        params: manifestPath,
        response: { 200: deletionSchema, ...problems(404) },
      },
    },
    async (request) => {
      const { params, identity } = request
      const name = parseRepositoryName(params.name)
      const digest = parseDigest(params.digest)

      const deletion = await manifests.delete(name, { digest }, identity.name)

      const { tags, hasMoreTags: moreTags } = deletion
      addAuditDetails(request, { tags: someNames(tags), moreTags })
      return deletionAnswer(deletion)
    },
  )

  function deletedAnswer(manifest: DeletedManifest) {
    const { deletedAt } = manifest
    return {
      ...recordAnswer(manifest),
      deletedAt: timeText(deletedAt),
      goesAt: timeText(deletedAt + undoMs),
    }
  }
}

function recordAnswer<T extends ManifestRecord | LiveManifestRecord>(manifest: T) {
  const { pushedAt, pulledAt } = manifest
  return {
    ...manifest,
    pushedAt: timeText(pushedAt),
    ...(pulledAt !== undefined && { pulledAt: timeText(pulledAt) }),
  }
}
