import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { Verification } from '../gc/verification.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Run } from '../metadata/runs.js'
import { problems } from './problems.js'
import { runAnswer, runSchema } from './runs.js'
import { timeSchema, timeText } from './times.js'

interface BeginRoute {
  Body: { readonly content: boolean; readonly repair: boolean; readonly confirm: boolean }
}

/** Whether what is kept is whole. */
export async function verifyRoutes(
  app: FastifyInstance,
  {
    metadata,
    verification,
  }: { readonly metadata: MetadataStore; readonly verification: Verification },
): Promise<void> {
  app.get(
    '/verify',
    {
      ...requires('admin'),
      schema: {
        operationId: 'getVerification',
        summary: 'Tells when the registry was verified last, and when it will be.',
        tags: ['verify'],
        response: {
          200: {
            description: 'The latest runs.',
            type: 'object',
            properties: {
              lastRun: { ...runSchema, description: 'The latest run, be it under way.' },
              lastContentRun: {
                ...runSchema,
                description: 'The latest one that hashes everything.',
              },
              nextContentRunAt: timeSchema(
                'When the next of those begins by itself; absent while one is under way, or where none does.',
              ),
            },
          },
        },
      },
    },
    async () => {
      const { last, lastContent, nextContentAt } = await verification.find()
      return {
        ...(last && { lastRun: runAnswer(last) }),
        ...(lastContent && { lastContentRun: runAnswer(lastContent) }),
        ...(nextContentAt !== undefined && { nextContentRunAt: timeText(nextContentAt) }),
      }
    },
  )

  app.post<BeginRoute>(
    '/verify/runs',
    {
      ...requires('admin'),
      schema: {
        operationId: 'beginVerifyRun',
        summary: 'Begins to verify the registry.',
        description:
          'The answer does not wait for the end: ask for the run until it is not running any more. Its report has what was found. A run that hashes everything goes on with the one before it where that was interrupted.',
        tags: ['verify'],
        body: {
          type: 'object',
          additionalProperties: false,
          properties: {
            content: {
              type: 'boolean',
              default: false,
              description: 'Reads and hashes every byte, too.',
            },
            repair: {
              type: 'boolean',
              default: false,
              description: 'Puts right what can be.',
            },
            confirm: {
              type: 'boolean',
              default: false,
              description:
                'Goes on also where so much is lost, damaged or unknown that a disk, or the database, may be the wrong one, and with a run that has stopped because of that.',
            },
          },
        },
        response: { 202: runSchema, ...problems(409) },
      },
    },
    async ({ body: { content, repair, confirm }, identity }, reply) => {
      const { id } = await verification.begin({ content, repair, confirm }, identity.name)

      const run = (await metadata.findRun(id)) as Run
      return reply.code(202).header('Location', `/api/v1/runs/${id}`).send(runAnswer(run))
    },
  )

  app.delete(
    '/verify/runs/current',
    {
      ...requires('admin'),
      schema: {
        operationId: 'stopVerifyRun',
        summary: 'Stops the run that is under way, for good.',
        tags: ['verify'],
        response: {
          204: { description: 'None is under way any more.', type: 'null' },
        },
      },
    },
    async (_request, reply) => {
      await verification.cancel()
      return reply.code(204).send()
    },
  )
}
