import { readFile } from 'node:fs/promises'
import { Ajv } from 'ajv'
import { build, type Schema } from 'fast-json-stringify'
import { describe, expect, it } from 'vitest'
import { berthVersion } from '../../src/version.js'
import { answerOf } from '../support/management.js'
import { startTestServer } from '../support/server.js'

interface WithSchema {
  readonly schema: object
}

interface WithContent {
  readonly content?: Readonly<Record<string, WithSchema>>
}

interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly parameters?: readonly (WithSchema & {
    readonly name: string
    readonly description?: string
  })[]
  readonly requestBody?: WithContent
  readonly responses: Readonly<Record<string, WithContent & { readonly $ref?: string }>>
}

interface Document {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly tags: readonly { readonly name: string }[]
  readonly components: {
    readonly responses: Readonly<Record<string, WithContent & { readonly headers?: object }>>
    readonly securitySchemes: object
  }
  readonly security: readonly object[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const published = JSON.parse(
  await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'),
) as Document

const operations = Object.entries(published.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]): [string, Operation] => [
    `${method.toUpperCase()} ${path}`,
    operation,
  ]),
)

describe('docs/openapi.json', () => {
  it('is what the API says of itself (npm run openapi writes it)', async () => {
    const { app } = await startTestServer()

    const document = await answerOf<Document>(app, 'GET', '/openapi.json')

    expect(published).toEqual(document)
    expect(document.openapi).toBe('3.1.0')
    expect(document.info.version).toBe(berthVersion())
  })

  it('names each operation once', () => {
    const ids = operations.map(([, { operationId }]) => operationId)

    expect(new Set(ids).size).toBe(operations.length)
  })

  it('has no tag that nothing uses', () => {
    const used = new Set(operations.flatMap(([, { tags }]) => tags ?? []))

    expect([...used].toSorted()).toEqual(published.tags.map(({ name }) => name).toSorted())
  })

  describe.each(operations)('%s', (_, operation) => {
    // A server compiles each when it needs it: that is late to find out.
    it('has schemas that can be compiled', () => {
      const { components } = published
      const ajv = new Ajv({ strict: false, formats: { 'date-time': true } })
      const answers = Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
        // Problems all have one.
        status.startsWith('2') ? Object.values(content) : [],
      )
      const bodies = Object.values(operation.requestBody?.content ?? {})

      for (const { schema } of answers) build(schema as Schema)
      for (const { schema } of [...bodies, ...(operation.parameters ?? [])]) {
        ajv.compile({ ...schema, components })
      }
    })

    it('says what it does, and where it belongs', () => {
      expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/)
      expect(operation.summary).toMatch(/^[A-Z].*\.$/)
      expect(operation.tags).toHaveLength(1)
      for (const { description } of operation.parameters ?? []) {
        expect(description).toMatch(/^\S.*\.$/)
      }
    })

    it('says what it answers, in bad cases too', () => {
      const { responses } = operation

      expect(Object.keys(responses).some((status) => status.startsWith('2'))).toBe(true)
      for (const status of ['400', '401', '429', '503', 'default']) {
        expect(responses).toHaveProperty(status)
      }
      for (const [status, { $ref = '' }] of Object.entries(responses)) {
        if (status.startsWith('2')) continue
        const shared = published.components.responses[$ref.replace('#/components/responses/', '')]
        expect(shared?.content).toHaveProperty(['application/problem+json'])
      }
    })
  })

  it('says in which ways a client can show who it is', () => {
    expect(published.components.securitySchemes).toMatchObject({
      operator: { type: 'http', scheme: 'bearer' },
      account: { type: 'http', scheme: 'basic' },
      token: { type: 'http', scheme: 'bearer' },
    })
    expect(published.security).toEqual([{ operator: [] }, { account: [] }, { token: [] }, {}])
  })
})
