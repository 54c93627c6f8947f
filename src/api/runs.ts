import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import { RegistryError } from '../errors.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Run, RunKind } from '../metadata/runs.js'
import {
  pageAnswer,
  pageParameters,
  pageSchema,
  parseNumberCursor,
  queryOf,
  type PageQuery,
} from './pages.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface ListRoute {
  Querystring: PageQuery & { readonly kind?: RunKind }
}

interface RunRoute {
  Params: { readonly id: number }
}

const KINDS = ['gc', 'retention', 'verify', 'backup'] as const satisfies readonly RunKind[]

/** A run as it is answered; also by the routes that begin one. */
export const runSchema = {
  type: 'object',
  description: 'A run.',
  required: ['id', 'kind', 'status', 'startedAt', 'startedBy', 'options', 'report'],
  properties: {
    id: { type: 'integer' },
    kind: { type: 'string', enum: KINDS },
    status: {
      type: 'string',
      enum: ['running', 'done', 'braked', 'failed', 'stopped'],
      description:
        'braked: it has done nothing, or no more, because it would have done too much. stopped: something has ended it before its end, the process for example.',
    },
    startedAt: timeSchema('When it began.'),
    finishedAt: timeSchema('When it ended; absent while it is running.'),
    startedBy: { type: 'string', description: 'Who asked for it.' },
    options: { type: 'object', additionalProperties: true, description: 'What was asked for.' },
    report: {
      type: 'object',
      additionalProperties: true,
      description: 'What it has done and found so far.',
    },
  },
} as const

/** Runs of what cleans up, checks and copies. */
export async function runRoutes(
  app: FastifyInstance,
  { metadata }: { readonly metadata: MetadataStore },
): Promise<void> {
  app.get<ListRoute>(
    '/runs',
    {
      ...requires('admin'),
      schema: {
        operationId: 'listRuns',
        summary: 'Lists runs, the latest first.',
        description:
          'Without the lists in their reports (findings, wouldRemove, planned.repositories): those are where a run is asked for by its id.',
        tags: ['runs'],
        querystring: queryOf({
          kind: { type: 'string', enum: KINDS, description: 'Only those of this kind.' },
          ...pageParameters,
        }),
        response: { 200: pageSchema(runSchema) },
      },
    },
    async ({ query: { kind, limit, cursor } }) => {
      const before = parseNumberCursor(cursor)

      const runs = await metadata.listRuns({
        ...(kind && { kind }),
        ...(before !== undefined && { before }),
        limit: limit + 1,
        isBrief: true,
      })

      const page = { entries: runs.slice(0, limit), hasMore: runs.length > limit }
      return pageAnswer(page, runAnswer, ({ id }) => id)
    },
  )

  app.get<RunRoute>(
    '/runs/:id',
    {
      ...requires('admin'),
      schema: {
        operationId: 'getRun',
        summary: 'Tells how far a run has come, or how it has ended.',
        tags: ['runs'],
        params: {
          type: 'object',
          required: ['id'],
          properties: { id: { type: 'integer', minimum: 1, description: 'As it was answered.' } },
        },
        response: { 200: runSchema, ...problems(404) },
      },
    },
    async ({ params: { id } }) => {
      const run = await metadata.findRun(id)
      if (run === undefined) {
        throw new RegistryError('RUN_UNKNOWN', 'there is no such run, or it is long forgotten', {
          details: [{ id }],
        })
      }
      return runAnswer(run)
    },
  )
}

/** A run in the form of {@link runSchema}. */
export function runAnswer(run: Run) {
  const { id, kind, status, startedAt, finishedAt, identity, options, report } = run
  return {
    id,
    kind,
    status,
    startedAt: timeText(startedAt),
    ...(finishedAt !== undefined && { finishedAt: timeText(finishedAt) }),
    startedBy: identity,
    options,
    report,
  }
}
