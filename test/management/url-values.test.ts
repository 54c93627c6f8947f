import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { answerOf, ask, problemOf } from '../support/management.js'
import { operatorTokenOf, sharedTestServer, startTestServer } from '../support/server.js'

interface Operation {
  readonly parameters?: readonly {
    readonly name: string
    readonly in: 'path' | 'query'
    readonly schema: { readonly type: string }
  }[]
}

const { paths } = JSON.parse(
  await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'),
) as { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }

/** Every parameter in a URL that is not text: where it stands, and how. */
const values = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, { parameters = [] }]) =>
    parameters
      .filter(({ schema }) => schema.type !== 'string')
      .map((parameter) => {
        const at = { path, method: method.toUpperCase() as 'GET' | 'DELETE', ...parameter }
        return [`the value ${parameter.name} of ${at.method} ${path}`, at] as const
      }),
  ),
)

const NOT_INTEGERS =
  '1e0 1e1 1E0 0x1 0b1 0o1 01 +1 1.0 1. .1e1 1_0 %201 1%20 %091 1%0A true false null [] -0 NaN Infinity 1n %D9%A1'
const NOT_BOOLEANS = '1 0 True TRUE yes on null %20true true%20 truex [] {}'

const NO_DIGEST = `sha256:${'0'.repeat(64)}`

const shared = sharedTestServer()

describe.each(values)('%s', (_, { path, method, name, in: part, schema }) => {
  const { type } = schema
  const askWith = (text: string) => {
    const { app } = shared
    const others: Readonly<Record<string, string>> = { name: 'app', digest: NO_DIGEST }
    const filled = path.replace(/\{(\w+)\}/g, (_, other: string) => others[other] ?? text)
    return app.inject({
      method,
      url: part === 'query' ? `${filled}?${name}=${text}` : filled,
      headers: { authorization: `Bearer ${operatorTokenOf(app)}` },
    })
  }

  it(`is no ${type} unless it is written as one`, async () => {
    for (const text of (type === 'integer' ? NOT_INTEGERS : NOT_BOOLEANS).split(' ')) {
      const response = await askWith(text)

      expect(problemOf(response), text).toMatchObject({
        status: 400,
        code: 'REQUEST_INVALID',
        errors: [{ member: name, detail: expect.stringContaining(`must be ${type}`) as string }],
      })
    }
  })

  it('is read when it is', async () => {
    for (const text of type === 'integer' ? ['1', '10'] : ['true', 'false']) {
      expect((await askWith(text)).statusCode, text).not.toBe(400)
    }
  })

  if (part === 'query') {
    it('is refused when it is empty, or stands twice', async () => {
      for (const text of ['', `1&${name}=1`, `true&${name}=true`]) {
        expect((await askWith(text)).statusCode, text).toBe(400)
      }
    })
  }
})

describe('a grant', () => {
  it('stays when its id is not written plainly', async () => {
    const { app } = await startTestServer()
    await answerOf(app, 'PUT', '/grants', {
      ...{ subject: 'signed-in', pattern: 'team/**', actions: ['pull'] },
    })

    for (const id of ['1e0', '0x1', '1.0', '01', '+1', '%201', 'true']) {
      expect((await ask(app, 'DELETE', `/grants/${id}`)).statusCode, id).toBe(400)
    }

    expect(await answerOf(app, 'GET', '/grants')).toMatchObject({ items: [{ id: 1 }] })
    expect((await ask(app, 'DELETE', '/grants/1')).statusCode).toBe(204)
  })
})
