import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import type { Config } from '../config.js'
import type { Retention, RetentionRequest } from '../gc/retention.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { RetentionCandidate, RetentionPosition } from '../metadata/retention.js'
import type { Run } from '../metadata/runs.js'
import { cursorOf, pageParameters, pageSchema, parseCursor, type PageQuery } from './pages.js'
import { problems } from './problems.js'
import { runAnswer, runSchema } from './runs.js'
import { timeSchema, timeText } from './times.js'

interface PreviewRoute {
  Body: PageQuery
}

interface BeginRoute {
  Body: RetentionRequest
}

/** Where a preview goes on: all its pages tell of the same moment. */
interface PreviewPosition extends RetentionPosition {
  readonly at: number
}

export interface RetentionRoutesOptions {
  readonly config: Config
  readonly retention: Retention
  readonly metadata: MetadataStore
  readonly now: () => number
}

const ruleSchema = {
  type: 'object',
  description: 'A rule, as it is configured.',
  required: ['repositories', 'tags', 'keepTags'],
  properties: {
    repositories: { type: 'string', description: 'The repositories that it is about.' },
    tags: {
      type: 'array',
      items: { type: 'string' },
      description: 'Their tags that it is about.',
    },
    keepNewest: { type: 'integer', description: 'Keeps so many that moved last.' },
    keepYoungerThanDays: { type: 'integer', description: 'Keeps those that moved since.' },
    keepPulledWithinDays: {
      type: 'integer',
      description: 'Keeps those that were pulled or moved since.',
    },
    keepTags: {
      type: 'array',
      items: { type: 'string' },
      description: 'Keeps those of these patterns.',
    },
  },
} as const

const candidateSchema = {
  type: 'object',
  description: 'A tag that would be deleted.',
  required: ['repository', 'tag', 'digest', 'movedAt'],
  properties: {
    repository: { type: 'string' },
    tag: { type: 'string' },
    digest: { type: 'string', description: 'What it points to.' },
    movedAt: timeSchema('When it was pushed or moved last.'),
    pulledAt: timeSchema('When its manifest was pulled last; absent when never.'),
  },
} as const

const outlookSchema = {
  type: 'object',
  description: 'What a run would do, all in all.',
  required: ['tags', 'manifests', 'bytes', 'bytesOfAll', 'repositories'],
  properties: {
    tags: { type: 'integer', description: 'How many tags would be deleted.' },
    manifests: { type: 'integer', description: 'How many manifests nothing would hold any more.' },
    bytes: {
      type: 'integer',
      description:
        'What these and their blobs take alone: freed when undo.days are over, and gc.untagged lets them go.',
    },
    bytesOfAll: { type: 'integer', description: 'What everything stored takes.' },
    repositories: {
      type: 'array',
      description: 'How much each repository would lose; the first thousand that lose any.',
      items: {
        type: 'object',
        required: ['repository', 'tags', 'tagsOfAll'],
        properties: {
          repository: { type: 'string' },
          tags: { type: 'integer' },
          tagsOfAll: { type: 'integer' },
        },
      },
    },
    brake: {
      type: 'string',
      description: 'Why a run would stop unless it is confirmed; absent when it would not.',
    },
  },
} as const

/** It has a number for each rule, of which there may be a thousand. */
const cursorLengthMax = 40_000

const preview = pageSchema(candidateSchema)

/** Rules for tags that are deleted: what they are, what they would do, and runs by hand. */
export async function retentionRoutes(
  app: FastifyInstance,
  { config, retention, metadata, now }: RetentionRoutesOptions,
): Promise<void> {
  app.get(
    '/retention',
    {
      ...requires('admin'),
      schema: {
        operationId: 'getRetention',
        summary: 'Tells which tags are deleted when, and how the last run has ended.',
        tags: ['retention'],
        response: {
          200: {
            type: 'object',
            description: 'How it stands.',
            required: ['everyHours', 'rules', 'isRunning'],
            properties: {
              everyHours: {
                type: 'integer',
                description: 'How often the rules are applied; 0: only when somebody asks.',
              },
              rules: { type: 'array', items: ruleSchema },
              isRunning: { type: 'boolean', description: 'Whether a run is under way.' },
              lastRun: runSchema,
            },
          },
        },
      },
    },
    async () => {
      const [lastRun] = await metadata.listRuns({ kind: 'retention', limit: 1 })
      return {
        ...config.retention,
        isRunning: retention.isRunning,
        ...(lastRun && { lastRun: runAnswer(lastRun) }),
      }
    },
  )

  app.post<PreviewRoute>(
    '/retention/preview',
    {
      ...requires('admin'),
      schema: {
        operationId: 'previewRetention',
        summary: 'Lists the tags that a run would delete now, and changes nothing.',
        description:
          'By repository, in each the newest first. The first page also tells what would follow from all of them.',
        tags: ['retention'],
        body: {
          type: 'object',
          additionalProperties: false,
          properties: {
            ...pageParameters,
            cursor: { ...pageParameters.cursor, maxLength: cursorLengthMax },
          },
        },
        response: {
          200: { ...preview, properties: { ...preview.properties, outlook: outlookSchema } },
        },
      },
    },
    async ({ body: { limit, cursor }, signal }) => {
      const key = parseCursor(cursor, (text) => positionIn(text) !== undefined)
      const position = key === undefined ? undefined : positionIn(key)
      const at = position?.at ?? now()

      const entries: RetentionCandidate[] = []
      let after: RetentionPosition | undefined = position
      do {
        const page = await retention.list(at, limit - entries.length, after)
        entries.push(...page.entries)
        after = page.next
      } while (after && entries.length < limit && !signal.aborted)

      return {
        items: entries.map(candidateAnswer),
        ...(after && { nextCursor: cursorOf(JSON.stringify({ ...after, at })) }),
        ...(position === undefined && !signal.aborted && { outlook: await retention.foresee() }),
      }
    },
  )

  app.post<BeginRoute>(
    '/retention/runs',
    {
      ...requires('admin'),
      schema: {
        operationId: 'beginRetentionRun',
        summary: 'Begins a run that deletes the tags that no rule keeps.',
        tags: ['retention'],
        body: {
          type: 'object',
          additionalProperties: false,
          properties: {
            confirm: { type: 'boolean', description: 'Goes on where the brake would stop it.' },
          },
        },
        response: { 202: runSchema, ...problems(409) },
      },
    },
    async ({ body, identity }, reply) => {
      const { id } = await retention.begin(body, identity.name)
      const run = (await metadata.findRun(id)) as Run
      return reply.code(202).header('Location', `/api/v1/runs/${id}`).send(runAnswer(run))
    },
  )
}

function candidateAnswer({ movedAt, pulledAt, ...candidate }: RetentionCandidate) {
  return {
    ...candidate,
    movedAt: timeText(movedAt),
    ...(pulledAt !== undefined && { pulledAt: timeText(pulledAt) }),
  }
}

/** The position in the text of a cursor; undefined when it is none. */
function positionIn(text: string): PreviewPosition | undefined {
  let parsed: Partial<PreviewPosition> | null
  try {
    parsed = JSON.parse(text) as Partial<PreviewPosition> | null
  } catch {
    return undefined
  }
  const { at, repository, movedAt, tag, counts } = parsed ?? {}
  const isPosition =
    [at, movedAt].every(isCount) &&
    [repository, tag].every((part) => typeof part === 'string') &&
    Array.isArray(counts) &&
    counts.every(isCount)
  return isPosition ? (parsed as PreviewPosition) : undefined
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
