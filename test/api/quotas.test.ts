import { describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import {
  bytesOf,
  prepareImage,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'
import { startTestServer, type TestServer } from '../support/server.js'

const name = 'team/app'
const OCTETS = { 'content-type': 'application/octet-stream' }

function startWithQuota(bytes: number): Promise<TestServer> {
  return startTestServer({ config: { quotas: [{ repositories: 'team/**', bytes }] } })
}

function refusalIn({ body }: { readonly body: string }) {
  return (JSON.parse(body) as { errors: { code: string; message: string }[] }).errors[0]
}

async function openSession(app: FastifyInstance): Promise<string> {
  const { headers } = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })
  return String(headers.location)
}

describe('a quota', () => {
  it.each([100, 100_000])(
    'refuses an upload of %i bytes that comes in one request and is too much',
    async (sizeBytes) => {
      const { app } = await startWithQuota(50)
      const bytes = bytesOf(sizeBytes)
      const digest = sha256(bytes)

      const post = await app.inject({
        method: 'POST',
        url: `/v2/${name}/blobs/uploads/?digest=${digest}`,
        headers: OCTETS,
        payload: bytes,
      })

      expect(post.statusCode).toBe(403)
      expect(refusalIn(post)).toMatchObject({
        code: 'DENIED',
        message: `the quota of team/** is 50 B; 0 B are used, 50 B are left; this needs ${sizeBytes === 100 ? '100 B' : '100 kB'}`,
      })
      expect((await app.inject(`/v2/${name}/blobs/${digest}`)).statusCode).toBe(404)
    },
  )

  it('refuses a chunk that makes a session too large, and leaves the session as it was', async () => {
    const { app } = await startWithQuota(150)
    const session = await openSession(app)
    const chunk = { method: 'PATCH', url: session, headers: OCTETS, payload: bytesOf(100) } as const
    expect((await app.inject(chunk)).statusCode).toBe(202)

    const second = await app.inject(chunk)

    expect(second.statusCode).toBe(403)
    expect(refusalIn(second)?.message).toMatch(/150 B are left; this needs 200 B$/)
    expect((await app.inject(session)).headers.range).toBe('0-99')
  })

  it('refuses to end a session with more than there is room for', async () => {
    const { app } = await startWithQuota(150)
    const session = await openSession(app)
    const bytes = bytesOf(200)

    const put = await app.inject({
      method: 'PUT',
      url: `${session}?digest=${sha256(bytes)}`,
      headers: OCTETS,
      payload: bytes,
    })

    expect(put.statusCode).toBe(403)
  })

  it('lets a blob be sent again that is here, in every way', async () => {
    const { app } = await startWithQuota(1000)
    const layer = 'x'.repeat(500)
    await pushImage(app, name, 'v1', { layers: [layer] })

    await pushBlob(app, name, layer)
    const session = await openSession(app)
    const put = await app.inject({
      method: 'PUT',
      url: `${session}?digest=${sha256(layer)}`,
      headers: OCTETS,
      payload: layer,
    })

    expect(put.statusCode).toBe(201)
  })

  it('refuses a mount of more than there is room for', async () => {
    const { app } = await startWithQuota(150)
    const digest = await pushBlob(app, 'elsewhere', bytesOf(200))

    const mount = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?mount=${digest}&from=elsewhere`,
    })

    expect(mount.statusCode).toBe(403)
    expect(refusalIn(mount)?.message).toMatch(/150 B are left; this needs 200 B$/)
  })

  it('decides at the manifest, which then changes nothing', async () => {
    const { app } = await startWithQuota(1000)
    // Each fits by itself; together with what is there the second one does not.
    await pushImage(app, name, 'v1', { layers: ['x'.repeat(450)] })
    const second = await prepareImage(app, name, { layers: ['y'.repeat(50)] })

    const put = await putManifest(app, name, 'v2', second)

    expect(put.statusCode).toBe(403)
    expect(refusalIn(put)?.message).toMatch(/^the quota of team\/\*\* is 1 kB; \d+ B are used, /)
    expect((await app.inject(`/v2/${name}/manifests/v2`)).statusCode).toBe(404)
    expect((await putManifest(app, 'other/app', 'v2', second)).statusCode).toBe(400)
  })

  it('has room again as soon as an image is deleted by its digest', async () => {
    const { app } = await startWithQuota(1000)
    const { digest } = await pushImage(app, name, 'v1', { layers: ['x'.repeat(450)] })
    const second = await prepareImage(app, name, { layers: ['y'.repeat(50)] })
    expect((await putManifest(app, name, 'v2', second)).statusCode).toBe(403)

    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })

    expect((await putManifest(app, name, 'v2', second)).statusCode).toBe(201)
  })

  it('holds also after a restart, for what was there before it', async () => {
    const first = await startTestServer()
    const { manifest } = await pushImage(first.app, name, 'v1')
    await first.server.close()
    const { app } = await startTestServer({
      dataDirectory: first.dataDirectory,
      config: { quotas: [{ repositories: 'team/**', bytes: manifest.length }] },
    })

    expect((await putManifest(app, name, 'again', manifest)).statusCode).toBe(201)
    const other = await prepareImage(app, 'free', { config: '{"a":1}' })
    const put = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?digest=${sha256('{"a":1}')}`,
      headers: OCTETS,
      payload: '{"a":1}',
    })
    expect(put.statusCode).toBe(403)
    expect((await putManifest(app, 'free', 'v1', other)).statusCode).toBe(201)
  })
})
