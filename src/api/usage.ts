import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { Usage } from '../gc/usage.js'
import { queryOf } from './pages.js'
import { timeSchema, timeText } from './times.js'

interface UsageRoute {
  Querystring: { readonly fresh: boolean }
}

const bytes = (description: string) => ({ type: 'integer', description }) as const

/** What takes up space, and when it gives it back. */
export async function usageRoutes(
  app: FastifyInstance,
  { usage }: { readonly usage: Usage },
): Promise<void> {
  app.get<UsageRoute>(
    '/usage',
    {
      ...requires('pull'),
      schema: {
        operationId: 'getUsage',
        summary: 'Tells what is stored, and what of it is on its way out.',
        tags: ['usage'],
        querystring: queryOf({
          fresh: {
            type: 'boolean',
            default: false,
            description: 'Adds up again what was added up less than a minute ago.',
          },
        }),
        response: {
          200: {
            type: 'object',
            description: 'The figures. Bytes that several images share count once.',
            required: [
              'at',
              'storedBytes',
              'fileBytes',
              'databaseBytes',
              'blobCount',
              'manifestCount',
              'collectableBytes',
              'windowBytes',
              'goes',
            ],
            properties: {
              at: timeSchema('When they were added up.'),
              storedBytes: bytes('Everything.'),
              fileBytes: bytes('Of that, in files.'),
              databaseBytes: bytes('Of that, in the database.'),
              blobCount: { type: 'integer', description: 'How many blobs there are.' },
              manifestCount: { type: 'integer', description: 'How many manifests there are.' },
              collectableBytes: bytes('What nothing needs any more: the next run of gc frees it.'),
              windowBytes: bytes(
                'What is kept only so that it can be brought back, or for a while longer.',
              ),
              goes: {
                type: 'array',
                description: 'How much will have gone by when, if nothing changes.',
                items: {
                  type: 'object',
                  required: ['by', 'bytes'],
                  properties: { by: timeSchema('By then.'), bytes: bytes('So much.') },
                },
              },
              disk: {
                type: 'object',
                description: 'The disk that the files are on.',
                required: ['freeBytes', 'totalBytes'],
                properties: { freeBytes: bytes('Free.'), totalBytes: bytes('In all.') },
              },
            },
          },
        },
      },
    },
    async ({ query: { fresh } }) => {
      const { at, stored, goes, ...figures } = await usage.measure({ fresh })
      return {
        ...figures,
        ...stored,
        at: timeText(at),
        storedBytes: stored.fileBytes + stored.databaseBytes,
        goes: goes.map((step) => ({ by: timeText(step.by), bytes: step.bytes })),
      }
    },
  )
}
