import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { bytesOf, pushBlob, pushImage, sha256 } from '../support/images.js'
import { startTestServer } from '../support/server.js'

const name = 'team/app'

// Kept: from Node.js 24.19 on a statement must not be garbage-collected.
const probe = new Database(':memory:').prepare('select 1')

type Run = (this: unknown, ...args: unknown[]) => unknown

/** Counts what is asked of the database on the event loop; writes are made on another thread. */
function countStatements(): () => number {
  const prototype = Object.getPrototypeOf(probe) as Record<'get' | 'all' | 'run', Run>
  let count = 0
  for (const method of ['get', 'all', 'run'] as const) {
    const original = prototype[method]
    prototype[method] = function (this: unknown, ...args: unknown[]) {
      count++
      return original.apply(this, args)
    }
    onTestFinished(() => {
      prototype[method] = original
    })
  }
  return () => count
}

async function statementsFor(app: FastifyInstance, method: 'GET' | 'HEAD', url: string) {
  // The first time, what may be kept in memory is read.
  await app.inject({ method, url })
  const count = countStatements()
  const { statusCode } = await app.inject({ method, url })
  return { statusCode, statements: count() }
}

it.each([
  ['a manifest by its tag', 'GET', (v2: string) => `${v2}/manifests/v1`, 200, 1],
  ['a manifest by its digest', 'GET', (v2: string, d: string) => `${v2}/manifests/${d}`, 200, 1],
  ['whether a manifest is there', 'HEAD', (v2: string) => `${v2}/manifests/v1`, 200, 1],
  ['a small blob', 'GET', (v2: string) => `${v2}/blobs/${sha256('layer')}`, 200, 2],
  ['a large blob', 'GET', (v2: string) => `${v2}/blobs/${sha256(bytesOf(100_000))}`, 200, 1],
  ['whether a blob is there', 'HEAD', (v2: string) => `${v2}/blobs/${sha256('layer')}`, 200, 1],
  ['a tag that is not there', 'GET', (v2: string) => `${v2}/manifests/none`, 404, 2],
  ['tags', 'GET', (v2: string) => `${v2}/tags/list`, 200, 2],
  ['the catalog', 'GET', () => '/v2/_catalog', 200, 1],
  ['referrers', 'GET', (v2: string, d: string) => `${v2}/referrers/${d}`, 200, 2],
] as const)(
  'asks the database no more than it must: %s',
  async (_, method, urlOf, status, most) => {
    const { app } = await startTestServer()
    await pushBlob(app, name, bytesOf(100_000))
    const { digest } = await pushImage(app, name, 'v1')

    const { statusCode, statements } = await statementsFor(
      app,
      method,
      urlOf(`/v2/${name}`, digest),
    )

    expect(statusCode).toBe(status)
    expect(statements).toBe(most)
  },
)
