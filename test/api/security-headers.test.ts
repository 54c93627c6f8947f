import { beforeEach, describe, expect, it } from 'vitest'
import { sha256, pushBlob, pushImage } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { operatorTokenOf, sharedTestServer, startTestServer } from '../support/server.js'

const name = 'team/app'
const registry = sharedTestServer()

const policy = "default-src 'none'; frame-ancestors 'none'"

const always = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}

/** What would let other sites in, or shut out who comes without TLS. */
const never = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'strict-transport-security',
  'set-cookie',
]

describe('an answer that a browser may open', () => {
  it.each([
    ['/v2/', 200],
    ['/v2/_catalog', 200],
    [`/v2/${name}/tags/list`, 404],
    ['/v2/A/tags/list', 400],
    ['/v2/%ZZ', 400],
    [`/v2/${'x'.repeat(40_000)}`, 414],
    ['/v1/_ping', 200],
    ['/v1/search?q=x', 200],
    ['/healthz', 200],
    ['/readyz', 200],
    ['/api/v1/repositories', 200],
    ['/api/v1/openapi.json', 200],
    ['/api/v1/nothing', 404],
    ['/api/v1/gc', 403],
    ['/api/%ZZ', 400],
    ['/', 404],
    ['/favicon.ico', 404],
  ])('cannot do anything there, and is for no other site: %.40s', async (url, status) => {
    const { app } = registry

    const { statusCode, headers } = await app.inject({
      url,
      headers: { origin: 'https://evil.example', cookie: 'a=b' },
    })

    expect(statusCode).toBe(status)
    expect(headers).toMatchObject({ ...always, 'content-security-policy': policy })
    for (const header of never) expect(headers).not.toHaveProperty(header)
  })

  it('cannot either where it answers what is no HTTP', async () => {
    const { port } = registry
    const connection = await RawConnection.open(port)

    connection.write('garbage\r\n\r\n')
    const { head } = await connection.answer()

    for (const [header, value] of Object.entries(always)) {
      expect(head.toLowerCase()).toContain(`\r\n${header}: ${value.toLowerCase()}\r\n`)
    }
  })
})

describe('what somebody has pushed', () => {
  const pushed = 'team/pushed'

  it.each([100, 100_000, 1_000_000])(
    'does not run in a browser: a page of %i bytes',
    async (sizeBytes) => {
      const server = registry
      const page = Buffer.from('<script>alert(1)</script>'.padEnd(sizeBytes))
      const digest = await pushBlob(server.app, pushed, page)

      for (const headers of [{}, { range: 'bytes=0-9' }, { range: 'bytes=0-1,5-9' }]) {
        const response = await fetch(`${server.url}/v2/${pushed}/blobs/${digest}`, { headers })
        await response.arrayBuffer()

        expect(response.ok).toBe(true)
        expect(Object.fromEntries(response.headers)).toMatchObject({
          ...always,
          'content-security-policy': `${policy}; sandbox`,
        })
      }
    },
  )

  it('does not run in a browser: a manifest', async () => {
    const { app } = registry
    await pushImage(app, pushed, 'v1')

    for (const method of ['GET', 'HEAD'] as const) {
      const { headers } = await app.inject({ method, url: `/v2/${pushed}/manifests/v1` })

      expect(headers).toMatchObject({ ...always, 'content-security-policy': `${policy}; sandbox` })
    }
  })
})

describe('a cookie', () => {
  it('changes nothing, whatever is in it', async () => {
    const { app } = await startTestServer()
    const token = operatorTokenOf(app) ?? ''
    const ask = (headers: Record<string, string>) =>
      app.inject({
        method: 'POST',
        url: '/api/v1/gc/runs',
        headers: { 'content-type': 'application/json', ...headers },
        payload: '{}',
      })

    const without = await ask({})
    const withCookies = await Promise.all(
      [token, `token=${token}`, `authorization=Bearer ${token}`, `session=${sha256('x')}`].map(
        (cookie) => ask({ cookie }),
      ),
    )

    expect(without.statusCode).toBe(403)
    for (const { statusCode, body, headers } of withCookies) {
      expect([statusCode, body]).toEqual([without.statusCode, without.body])
      expect(headers).not.toHaveProperty('set-cookie')
    }
    expect((await ask({ authorization: `Bearer ${token}` })).statusCode).toBeLessThan(300)
  })
})

describe('the page of another site', () => {
  const deletion = '/api/v1/repositories/team%2Fapp?confirm=team%2Fapp'
  const pushed = async (options = {}) => {
    const { app } = await startTestServer(options)
    await pushImage(app, name, 'v1')
    return app
  }
  /** For what is refused. */
  const refusing = sharedTestServer()
  beforeEach(() => pushImage(refusing.app, name, 'v1'))

  it.each([
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/plain;charset=UTF-8',
    'text/plain; application/json',
    'x',
  ])('cannot send what a form can send: %s', async (type) => {
    const { app } = refusing

    for (const payload of ['', '{}', '{"description":"x"}', 'a=b']) {
      for (const [method, path] of [
        ['PUT', '/api/v1/repositories/team%2Fapp'],
        ['DELETE', deletion],
        ['POST', '/api/v1/gc/runs'],
      ] as const) {
        const { statusCode } = await app.inject({
          method,
          url: path,
          payload,
          headers: { 'content-type': type, authorization: `Bearer ${operatorTokenOf(app)}` },
        })

        expect(statusCode).toBe(415)
      }
    }
  })

  it.each(['https://evil.example', 'null', 'http://localhost:81', 'https://localhost:80', ''])(
    'cannot send anything without a type either: from %j',
    async (origin) => {
      const { app } = refusing

      const { statusCode } = await app.inject({
        method: 'DELETE',
        url: deletion,
        headers: { origin, host: 'localhost:80' },
      })

      expect(statusCode).toBe(403)
    },
  )

  it.each([
    ['the same', 'http://localhost:80', {}, {}],
    [
      'what clients call it',
      'https://registry.example.com',
      {},
      { publicUrl: 'https://registry.example.com' },
    ],
    [
      'what a trusted proxy calls it',
      'https://registry.example.com',
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example.com' },
      { trustedProxies: ['127.0.0.1'] },
    ],
  ])('is another than the registry itself: %s', async (_, origin, headers, http) => {
    const app = await pushed({ config: { http } })

    const { statusCode } = await app.inject({
      method: 'DELETE',
      url: deletion,
      headers: { origin, host: 'localhost:80', ...headers },
    })

    expect(statusCode).toBeLessThan(300)
  })

  it('is not believed to be the registry because it says so', async () => {
    const { app } = refusing

    const { statusCode } = await app.inject({
      method: 'DELETE',
      url: deletion,
      headers: {
        ...{ origin: 'https://evil.example', host: 'localhost:80' },
        ...{ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example' },
      },
    })

    expect(statusCode).toBe(403)
  })
})
