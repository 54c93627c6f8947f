import { describe, expect, it } from 'vitest'
import { ABSENT, codesOf, pushImage, sha256 } from '../support/images.js'
import { sharedTestServer, startTestServer } from '../support/server.js'

/** What is asked of it here is nowhere, or may be there already. */
const registry = sharedTestServer()

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

const session = '00000000-0000-0000-0000-000000000000'

/** Every endpoint, and the methods it has: distribution-spec, "Endpoints", and docker's own. */
const ENDPOINTS: readonly [string, readonly string[]][] = [
  ['/v2/', ['GET', 'HEAD']],
  ['/v2', ['GET', 'HEAD']],
  ['/v2/_catalog', ['GET', 'HEAD']],
  ['/v2/a/b/tags/list', ['GET', 'HEAD']],
  [`/v2/a/b/referrers/${ABSENT}`, ['GET', 'HEAD']],
  [`/v2/a/b/blobs/${ABSENT}`, ['GET', 'HEAD', 'DELETE']],
  ['/v2/a/b/manifests/latest', ['GET', 'HEAD', 'PUT', 'DELETE']],
  [`/v2/a/b/manifests/${ABSENT}`, ['GET', 'HEAD', 'PUT', 'DELETE']],
  ['/v2/a/b/blobs/uploads/', ['POST']],
  ['/v2/a/b/blobs/uploads', ['POST']],
  [`/v2/a/b/blobs/uploads/${session}`, ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE']],
]

describe.each(ENDPOINTS)('%s', (url, allowed) => {
  it.each(METHODS)('answers %s, or 405 with what is allowed', async (method) => {
    const { app } = registry

    const response = await app.inject({ method, url })

    expect(response.headers['docker-distribution-api-version']).toBe('registry/2.0')
    if (allowed.includes(method)) {
      expect(response.statusCode).not.toBe(405)
      return
    }
    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe(allowed.join(', '))
    if (method !== 'HEAD') expect(codesOf(response)).toEqual(['UNSUPPORTED'])
  })
})

describe('a path that is no endpoint', () => {
  it.each([
    '/v2/a',
    '/v2/a/b',
    '/v2/a/tags',
    '/v2/a/tags/',
    '/v2/a/tags/list/',
    '/v2/a/manifests/',
    '/v2/a/manifests/x/',
    '/v2/manifests/x',
    '/v2/a/blobs/',
    '/v2/_other',
    '/v2/a/_oci/ext/discover',
    '/v2/a/blobs/uploads/x/y',
    '/',
    '/v1/',
    '/v3/',
    '/console',
  ])('%s is 404 in the form of errors that clients read', async (url) => {
    const { app } = registry

    const response = await app.inject(url)

    expect(response.statusCode).toBe(404)
    expect(codesOf(response)).toEqual(['NAME_UNKNOWN'])
    expect(response.headers['content-type']).toBe('application/json')
    expect(response.headers['docker-distribution-api-version']).toBe('registry/2.0')
  })
})

describe('a body of any type where nothing takes one', () => {
  it.each(['garbage', 'application/json', ''])('changes no answer: "%s"', async (contentType) => {
    const { app } = registry
    const post = (url: string) =>
      app.inject({ method: 'POST', url, headers: { 'content-type': contentType }, payload: '{' })

    expect((await post('/v2/nothing')).statusCode).toBe(404)
    expect((await post('/v2/a/tags/list')).statusCode).toBe(405)
    expect((await post('/v2/a/blobs/uploads/')).statusCode).toBe(202)
  })
})

describe('a name with a newline', () => {
  it.each(['manifests/x%0a', `blobs/${ABSENT}%0a`, 'manifests/%0d%0ax', `referrers/%0a`])(
    'is nowhere: %s',
    async (path) => {
      const { app } = registry

      const answers = await Promise.all(
        (['GET', 'HEAD', 'DELETE'] as const).map((method) =>
          app.inject({ method, url: `/v2/a/b/${path}` }),
        ),
      )

      const statuses = answers.map(({ statusCode }) => statusCode)
      expect(statuses.slice(0, 2)).toEqual([404, 404])
      expect([404, 405]).toContain(statuses[2])
    },
  )
})

describe('a URL that cannot be read', () => {
  it.each(['/v2/a/manifests/%zz', '/v2/a/blobs/%', '/v2/%ff/tags/list', '/%E0%A4%A'])(
    '%s is 400 in the form of errors that clients read',
    async (url) => {
      const { app } = registry

      const response = await app.inject(url)

      expect(response.statusCode).toBe(400)
      expect(codesOf(response)).toHaveLength(1)
      expect(response.headers['docker-distribution-api-version']).toBe('registry/2.0')
    },
  )

  it('is 414 when it is too long', async () => {
    const { app } = registry

    const response = await app.inject(`/v2/_catalog?x=${'x'.repeat(40_000)}`)

    expect(response.statusCode).toBe(414)
    expect(codesOf(response)).toHaveLength(1)
  })
})

describe('the type of a body', () => {
  it.each(['garbage', 'a/b; charset', '/', ';', 'multipart/form-data', 'application/json'])(
    '%s does not matter to uploads',
    async (contentType) => {
      const { app } = registry

      const response = await app.inject({
        method: 'POST',
        url: `/v2/a/blobs/uploads/?digest=${sha256('x')}`,
        headers: { 'content-type': contentType },
        payload: 'x',
      })

      expect(response.statusCode).toBe(201)
    },
  )

  it('that is garbage is refused for manifests as any unknown type is', async () => {
    const { app } = registry

    const response = await app.inject({
      method: 'PUT',
      url: '/v2/a/manifests/v1',
      headers: { 'content-type': 'garbage' },
      payload: '{}',
    })

    expect([response.statusCode, ...codesOf(response)]).toEqual([400, 'MANIFEST_INVALID'])
  })
})

describe('a read-only registry', () => {
  it('serves, and refuses every change with 405', async () => {
    const writable = await startTestServer()
    const { digest } = await pushImage(writable.app, 'a', 'v1')
    await writable.server.close()
    const { app } = await startTestServer({
      dataDirectory: writable.dataDirectory,
      config: { access: { mode: 'readOnly' } },
    })

    const changes = [
      ['POST', '/v2/a/blobs/uploads/'],
      ['PATCH', `/v2/a/blobs/uploads/${session}`],
      ['PUT', `/v2/a/blobs/uploads/${session}?digest=${ABSENT}`],
      ['PUT', '/v2/a/manifests/v1'],
      ['DELETE', `/v2/a/manifests/${digest}`],
      ['DELETE', `/v2/a/blobs/${sha256('layer')}`],
    ] as const

    for (const [method, url] of changes) {
      const response = await app.inject({ method, url })
      expect([response.statusCode, ...codesOf(response)]).toEqual([405, 'UNSUPPORTED'])
    }
    expect((await app.inject('/v2/')).statusCode).toBe(200)
    expect((await app.inject('/v2/a/manifests/v1')).statusCode).toBe(200)
    expect((await app.inject(`/v2/a/blobs/${sha256('layer')}`)).body).toBe('layer')
  })
})

describe('a registry where deleting is switched off', () => {
  it('takes pushes and refuses deletes with 405, but lets uploads be cancelled', async () => {
    const { app } = await startTestServer({ config: { deletes: { enabled: false } } })
    const { digest } = await pushImage(app, 'a', 'v1')

    for (const path of ['manifests/v1', `manifests/${digest}`, `blobs/${sha256('layer')}`]) {
      const response = await app.inject({ method: 'DELETE', url: `/v2/a/${path}` })
      expect([response.statusCode, ...codesOf(response)]).toEqual([405, 'UNSUPPORTED'])
    }
    const upload = await app.inject({ method: 'POST', url: '/v2/a/blobs/uploads/' })
    const cancel = await app.inject({ method: 'DELETE', url: String(upload.headers.location) })
    expect(cancel.statusCode).toBe(204)
  })
})
