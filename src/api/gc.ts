import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { Config } from '../config.js'
import type { Collector, CollectRequest } from '../gc/collector.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Run } from '../metadata/runs.js'
import { problems } from './problems.js'
import { runAnswer, runSchema } from './runs.js'

interface BeginRoute {
  Body: CollectRequest
}

export interface GcRoutesOptions {
  readonly config: Config
  readonly collector: Collector
  readonly metadata: MetadataStore
}

/** Collecting garbage: how it stands, and runs by hand. */
export async function gcRoutes(
  app: FastifyInstance,
  { config: { gc, undo }, collector, metadata }: GcRoutesOptions,
): Promise<void> {
  app.get(
    '/gc',
    {
      ...requires('admin'),
      schema: {
        operationId: 'getGc',
        summary: 'Tells how garbage is collected, and how the last run has ended.',
        tags: ['gc'],
        response: {
          200: {
            type: 'object',
            description: 'How it stands.',
            required: ['enabled', 'undoDays', 'brakePercent', 'isRunning'],
            properties: {
              enabled: { type: 'boolean', description: 'Whether it is done without being asked.' },
              undoDays: { type: 'integer', description: 'How long deletes can be undone.' },
              brakePercent: {
                type: 'integer',
                description: 'The share of all bytes that no run removes unconfirmed.',
              },
              isRunning: { type: 'boolean', description: 'Whether a run is under way.' },
              lastRun: runSchema,
            },
          },
        },
      },
    },
    async () => {
      const [lastRun] = await metadata.listRuns({ kind: 'gc', limit: 1 })
      return {
        enabled: gc.enabled,
        undoDays: undo.days,
        brakePercent: gc.brakePercent,
        isRunning: collector.isRunning,
        ...(lastRun && { lastRun: runAnswer(lastRun) }),
      }
    },
  )

  app.post<BeginRoute>(
    '/gc/runs',
    {
      ...requires('admin'),
      schema: {
        operationId: 'beginGcRun',
        summary: 'Begins a run that removes what nothing needs any more.',
        tags: ['gc'],
        body: {
          type: 'object',
          additionalProperties: false,
          properties: {
            dryRun: { type: 'boolean', description: 'Only says what would go.' },
            now: {
              type: 'boolean',
              description:
                'Waits neither for promises to clients that were kept already, nor for untagged manifests to age; but for what can be brought back.',
            },
            purge: {
              type: 'boolean',
              description: 'As now; and what could be brought back goes for good.',
            },
            confirm: { type: 'boolean', description: 'Goes on where the brake would stop it.' },
          },
        },
        response: { 202: runSchema, ...problems(409) },
      },
    },
    async ({ body, identity }, reply) => {
      const { id } = await collector.begin(body, identity.name)
      const run = (await metadata.findRun(id)) as Run
      return reply.code(202).header('Location', `/api/v1/runs/${id}`).send(runAnswer(run))
    },
  )
}
