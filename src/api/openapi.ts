import { STATUS_CODES } from 'node:http'
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import { berthVersion } from '../version.js'
import { commonProblems, PROBLEM_TYPE, problemSchema } from './problems.js'

/** What the tags of operations mean, in the order in which they are shown. */
const TAGS = [
  { name: 'repositories', description: 'Repositories, and what they are for.' },
  { name: 'tags', description: 'Tags of a repository.' },
  { name: 'manifests', description: 'Manifests of a repository.' },
  { name: 'history', description: 'What has happened, and what can be brought back.' },
  { name: 'account', description: 'Of whoever asks.' },
  { name: 'users', description: 'People.' },
  { name: 'robots', description: 'Programs.' },
  { name: 'groups', description: 'Users and robots together.' },
  { name: 'tokens', description: 'What stands in place of passwords.' },
  { name: 'grants', description: 'Who may do what in which repositories.' },
  { name: 'namespaces', description: 'Whose repositories are, and what they are at first.' },
  { name: 'access', description: 'Why somebody may do something.' },
  { name: 'signing-keys', description: 'What bearer tokens are signed with.' },
  { name: 'audit', description: 'Who did what.' },
  { name: 'gc', description: 'Collecting garbage.' },
  { name: 'retention', description: 'Rules for tags that are deleted.' },
  { name: 'usage', description: 'What takes up space.' },
  { name: 'runs', description: 'Runs of what cleans up, checks and copies.' },
  { name: 'verify', description: 'Whether what is kept is whole.' },
  { name: 'backup', description: 'Copies of everything.' },
  { name: 'about', description: 'The API itself.' },
]

/**
 * Has the API described by the schemas of its routes. To be called before there are any.
 *
 * @see OpenAPI Specification 3.1
 */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  app.addSchema(problemSchema)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Berth',
        summary: 'Management of a registry.',
        description:
          'Errors are problem details (RFC 9457). Times are RFC 3339 in UTC, sizes are bytes. A name of a repository is one segment of a path: team%2Fapp.',
        version: berthVersion(),
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: TAGS,
      components: {
        securitySchemes: {
          operator: {
            type: 'http',
            scheme: 'bearer',
            description: 'The token in berth.operator.json in the data directory.',
          },
          account: {
            type: 'http',
            scheme: 'basic',
            description:
              'Where there are accounts: a name with the password, or with a personal token in its place.',
          },
          token: {
            type: 'http',
            scheme: 'bearer',
            description: 'Where there are accounts: a personal token, without the name.',
          },
        },
      },
      // With one of these, or with nothing, as far as access.mode and what is public allow.
      security: [{ operator: [] }, { account: [] }, { token: [] }, {}],
    },
    transform: ({ schema, url, route: { config } }) => ({
      url,
      schema: {
        ...schema,
        response: {
          ...(schema.response as object),
          ...commonProblems(config?.need, url.includes('/repositories/:name')),
        },
      },
    }),
    transformObject(made) {
      if (!('openapiObject' in made)) return {}
      shareProblems(made.openapiObject as Document)
      return made.openapiObject
    },
    refResolver: {
      buildLocalReference: ({ $id }, _base, _fragment, index) =>
        typeof $id === 'string' ? $id : `schema-${index}`,
    },
  })
}

interface Operation {
  readonly responses: Record<string, object>
}

interface Document {
  readonly components: { responses?: Record<string, object> }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** Says once what each kind of problem is, and of operations no more than which they answer with. */
function shareProblems({ components, paths }: Document): void {
  const shared: Record<string, object> = {}
  for (const { responses } of Object.values(paths).flatMap((path) => Object.values(path))) {
    for (const [status, response] of Object.entries(responses)) {
      if (!('content' in response) || !(PROBLEM_TYPE in (response.content as object))) continue
      const name = STATUS_CODES[status]?.replaceAll(' ', '') ?? 'Problem'
      shared[name] = response
      responses[status] = { $ref: `#/components/responses/${name}` }
    }
  }
  components.responses = shared
}

/** The description itself. */
export async function openApiRoutes(app: FastifyInstance): Promise<void> {
  app.get(
    '/openapi.json',
    {
      ...requires('nothing'),
      schema: {
        operationId: 'getOpenApi',
        summary: 'Describes this API, as OpenAPI 3.1.',
        tags: ['about'],
        response: {
          200: {
            description: 'The document.',
            type: 'object',
            additionalProperties: true,
          },
        },
      },
    },
    async () => app.swagger(),
  )
}
