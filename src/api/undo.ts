import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access } from '../auth/access.js'
import { requires } from '../auth/guard.js'
import { RegistryError } from '../errors.js'
import { addAuditDetails } from '../events/audit-details.js'
import type { RestoredTag } from '../metadata/undo.js'
import { parseDigest } from '../oci/digest.js'
import { parseRepositoryName, parseTag } from '../oci/reference.js'
import type { RestoredToTime, Undo } from '../registry/undo.js'
import { problems } from './problems.js'
import { queryOf } from './pages.js'
import { timeSchema, timeText } from './times.js'

interface DeleteRoute {
  Params: { readonly name: string }
  Querystring: { readonly confirm?: string }
}

interface RestoreRoute {
  Params: { readonly name: string }
  Body: {
    readonly tag?: string
    readonly digest?: string
    readonly at?: string
    readonly as?: string
  }
}

/** What there is to tell depends on what was asked for. */
type Restoration = Partial<RestoredTag & RestoredToTime>

const nameParameter = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', description: 'The repository; a slash in it is %2F.' } },
} as const

/** Deleting repositories, and bringing back what was deleted or overwritten. */
export async function undoRoutes(
  app: FastifyInstance,
  { undo, access }: { readonly undo: Undo; readonly access: Access },
): Promise<void> {
  app.delete<DeleteRoute>(
    '/repositories/:name',
    {
      ...requires('delete'),
      schema: {
        operationId: 'deleteRepository',
        summary: 'Deletes a repository with everything in it.',
        tags: ['repositories'],
        params: nameParameter,
        querystring: queryOf({
          confirm: { type: 'string', description: 'The name once more, so that it is no slip.' },
        }),
        response: {
          200: {
            type: 'object',
            description: 'It is deleted.',
            required: ['restorableUntil'],
            properties: { restorableUntil: timeSchema('Until then it can be restored.') },
          },
          ...problems(404),
        },
      },
    },
    async ({ params, query: { confirm }, identity }) => {
      const name = parseRepositoryName(params.name)
      if (confirm !== name) {
        throw new RegistryError(
          'REQUEST_INVALID',
          'confirm must be the name of the repository once more: all of it will be deleted',
        )
      }

      const { restorableUntil } = await undo.deleteRepository(name, identity.name)

      return { restorableUntil: timeText(restorableUntil) }
    },
  )

  app.post<RestoreRoute>(
    '/repositories/:name/restore',
    {
      ...requires('overwrite'),
      schema: {
        operationId: 'restore',
        summary: 'Brings back what was deleted or overwritten.',
        description:
          'With nothing: the deleted repository. With tag: the tag, as it was before its last change or at a time. With digest: a deleted manifest and the tags that went with it. With at alone: every tag as it was then; tags that are newer stay.',
        tags: ['repositories'],
        params: nameParameter,
        body: {
          type: 'object',
          additionalProperties: false,
          properties: {
            tag: { type: 'string', description: 'The tag that is wanted back.' },
            digest: { type: 'string', description: 'The manifest that is wanted back.' },
            at: timeSchema('The time whose state is wanted.'),
            as: {
              type: 'string',
              description: 'The name that the deleted repository shall have from now on.',
            },
          },
        },
        response: {
          200: {
            type: 'object',
            description: 'It is back.',
            properties: {
              digest: { type: 'string', description: 'What the tag points to now.' },
              changed: { type: 'boolean', description: 'Whether it pointed elsewhere before.' },
              tags: {
                type: 'array',
                items: { type: 'string' },
                description: 'The first hundred tags that were brought back.',
              },
              tagCount: { type: 'integer', description: 'How many were.' },
              lostCount: {
                type: 'integer',
                description:
                  'With at alone: tags that stay as they are because what they pointed to is gone for good.',
              },
              keptCount: {
                type: 'integer',
                description:
                  'With at alone: tags that stay as they are because they are immutable.',
              },
            },
          },
          ...problems(404, 409),
        },
      },
    },
    async (request) => {
      const restored = await restore(request)
      // Tags are many, and in the history.
      const { digest, changed, tagCount } = restored
      addAuditDetails(request, {
        ...(digest !== undefined && { digest }),
        ...(changed !== undefined && { changed }),
        ...(tagCount !== undefined && { tagCount }),
      })
      return restored
    },
  )

  async function restore({
    params,
    body,
    identity,
    signal,
  }: FastifyRequest<RestoreRoute>): Promise<Restoration> {
    const name = parseRepositoryName(params.name)
    requireOneThing(body)
    const { tag, digest, at, as } = body
    const by = identity.name
    const time = at === undefined ? undefined : Date.parse(at)

    if (tag !== undefined) return undo.restoreTag(name, parseTag(tag), by, time)
    if (digest !== undefined) {
      return undo.restoreManifest(name, parseDigest(digest), by, signal)
    }
    if (time !== undefined) return undo.restoreTags(name, time, by, signal)
    const newName = as === undefined ? undefined : parseRepositoryName(as)
    if (newName !== undefined && !(await access.may(identity, 'overwrite', newName))) {
      throw new RegistryError('DENIED', `${by} may not restore anything as ${newName}`)
    }
    await undo.restoreRepository(name, by, newName)
    return {}
  }
}

function requireOneThing({ tag, digest, at, as }: RestoreRoute['Body']): void {
  const isClear =
    as !== undefined
      ? tag === undefined && digest === undefined && at === undefined
      : digest === undefined || (tag === undefined && at === undefined)
  if (isClear) return
  throw new RegistryError(
    'REQUEST_INVALID',
    'as stands alone, and digest too; only tag and at go together',
  )
}
