import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { basic, sharedWithAccounts } from '../support/accounts.js'
import { operatorTokenOf, sharedTestServer } from '../support/server.js'

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: Readonly<Record<string, object>> }>>
    >
  >
}

const { paths } = JSON.parse(
  await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'),
) as Document

const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { responses }]) => {
    const name = `${method.toUpperCase()} ${path}`
    return [name, { method: method.toUpperCase() as Method, path, responses }] as const
  }),
)

const world = sharedWithAccounts()
const open = sharedTestServer()
const readOnly = sharedTestServer({ config: { access: { mode: 'readOnly' } } })
beforeAll(() => world.user('rob'))

/** What each operation is asked with, so that it is refused wherever it can be, and does nothing. */
const CALLERS: readonly [string, () => readonly [FastifyInstance, string | undefined]][] = [
  ['nobody', () => [world.app, undefined]],
  ['a wrong password', () => [world.app, basic('eve', 'wrong horse')]],
  ['a token that nobody has', () => [world.app, 'Bearer nothing']],
  ['a user without rights', () => [world.app, basic('rob')]],
  ['an admin', () => [world.app, world.admin]],
  ['the operator', () => [world.app, `Bearer ${operatorTokenOf(world.app) ?? ''}`]],
  ['anybody, without accounts', () => [open.app, undefined]],
  ['anybody, where nothing but reading is allowed', () => [readOnly.app, undefined]],
]

describe.each(CALLERS)('what %s is refused with', (_, callerOf) => {
  it.each(operations)('is described: %s', async (_, { method, path, responses }) => {
    const [app, authorization] = callerOf()

    const response = await app.inject({
      method,
      url: `${path.replace('{id}', '1').replace(/\{\w+\}/g, 'app')}?unknown=1`,
      // Guesses slow down nobody but who makes them.
      remoteAddress: authorization === basic('eve', 'wrong horse') ? '192.0.2.1' : '127.0.0.1',
      headers: { ...(authorization !== undefined && { authorization }) },
      ...(method !== 'GET' && { payload: {} }),
    })

    expect(response.statusCode).toBeGreaterThanOrEqual(400)
    expect(Object.keys(responses)).toContain(String(response.statusCode))
  })
})
