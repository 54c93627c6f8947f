import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { Backups } from '../gc/backups.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Run } from '../metadata/runs.js'
import { problems } from './problems.js'
import { runAnswer, runSchema } from './runs.js'

interface BeginRoute {
  Body: { readonly directory: string; readonly content: boolean }
}

/** Backups, made by the server while it serves. */
export async function backupRoutes(
  app: FastifyInstance,
  { metadata, backups }: { readonly metadata: MetadataStore; readonly backups: Backups },
): Promise<void> {
  app.post<BeginRoute>(
    '/backup/runs',
    {
      ...requires('admin'),
      schema: {
        operationId: 'beginBackupRun',
        summary: 'Begins to bring everything into a folder.',
        description:
          'The answer does not wait for the end: ask for the run until it is not running any more. The folder is one that the server sees. The backup before stays until the new one is complete.',
        tags: ['backup'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['directory'],
          properties: {
            directory: {
              type: 'string',
              minLength: 1,
              maxLength: 4096,
              description: 'An absolute path: empty, not there yet, or a backup of this registry.',
            },
            content: {
              type: 'boolean',
              default: false,
              description:
                'Reads and hashes also what the folder has from backups before, and replaces what is damaged.',
            },
          },
        },
        response: { 202: runSchema, ...problems(409) },
      },
    },
    async ({ body: { directory, content }, identity }, reply) => {
      const { id } = await backups.begin(directory, { content }, identity.name)
      const run = (await metadata.findRun(id)) as Run
      return reply.code(202).header('Location', `/api/v1/runs/${id}`).send(runAnswer(run))
    },
  )
}
