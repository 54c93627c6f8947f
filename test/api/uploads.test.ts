import { cp, readdir } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { ABSENT, bytesOf, codesOf, pushBlob, sha256, sha512 } from '../support/images.js'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { ownName, sharedTestServer, startTestServer, uploadFileSizes } from '../support/server.js'

const registry = sharedTestServer()

/** The repository of a test. */
let name = ''
beforeEach(() => {
  name = ownName()
})

const octets = { 'content-type': 'application/octet-stream' }
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/

/** Begins a session and gives its Location. */
async function open(app: FastifyInstance, query = ''): Promise<string> {
  const response = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/${query}` })
  expect(response.statusCode).toBe(202)
  return String(response.headers.location)
}

function patch(app: FastifyInstance, url: string, payload: Buffer | string, headers = {}) {
  return app.inject({ method: 'PATCH', url, payload, headers: { ...octets, ...headers } })
}

function put(
  app: FastifyInstance,
  url: string,
  digest: string,
  payload?: Buffer | string,
  headers = {},
) {
  return app.inject({
    method: 'PUT',
    url: `${url}?digest=${encodeURIComponent(digest)}`,
    headers: { ...(payload !== undefined && octets), ...headers },
    ...(payload !== undefined && { payload }),
  })
}

async function readBlob(app: FastifyInstance, digest: string) {
  return app.inject(`/v2/${name}/blobs/${digest}`)
}

describe('POST of an upload', () => {
  it.each(['blobs/uploads/', 'blobs/uploads'])('at %s begins a session', async (path) => {
    const { app } = registry

    const response = await app.inject({
      method: 'POST',
      url: `/v2/${name}/${path}`,
      headers: { 'content-length': '0', 'content-type': 'application/json' },
    })

    expect(response.statusCode).toBe(202)
    expect(response.headers.location).toMatch(
      new RegExp(`^/v2/${name}/blobs/uploads/${UUID.source}$`),
    )
    expect(response.headers).toMatchObject({
      range: '0-0',
      'content-length': '0',
      'docker-upload-uuid': expect.stringMatching(UUID) as string,
    })
  })

  it('does not make a repository appear', async () => {
    const { app } = await startTestServer()

    await open(app)

    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })
    expect((await app.inject(`/v2/${name}/tags/list`)).statusCode).toBe(404)
  })

  it.each([
    ['small', 'hello', sha256('hello')],
    ['large', bytesOf(300_000), sha256(bytesOf(300_000))],
    ['empty', '', sha256('')],
    ['small, by sha512', 'hello', sha512('hello')],
    ['large, by sha512', bytesOf(300_000), sha512(bytesOf(300_000))],
  ])('with a digest stores a whole blob that is %s', async (_what, bytes, digest) => {
    const { app } = registry

    const response = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?digest=${encodeURIComponent(digest)}`,
      payload: bytes,
      headers: octets,
    })

    expect(response.statusCode).toBe(201)
    expect(response.headers.location).toBe(`/v2/${name}/blobs/${digest}`)
    expect(response.headers['docker-content-digest']).toBe(digest)
    expect(response.headers['content-length']).toBe('0')
    expect((await readBlob(app, digest)).rawPayload.equals(Buffer.from(bytes))).toBe(true)
  })

  it.each([bytesOf(10), bytesOf(300_000)])('with a wrong digest stores nothing', async (bytes) => {
    const { app, dataDirectory } = await startTestServer()

    const response = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?digest=${ABSENT}`,
      payload: bytes,
      headers: octets,
    })

    expect([response.statusCode, ...codesOf(response)]).toEqual([400, 'DIGEST_INVALID'])
    expect((await readBlob(app, sha256(bytes))).statusCode).toBe(404)
    expect(await readdir(path.join(dataDirectory, 'uploads'))).toEqual([])
  })

  it.each([
    'digest=nonsense',
    'digest=',
    `digest=${ABSENT}&digest=${ABSENT}`,
    `digest=blake3:${'0'.repeat(64)}`,
    'digest-algorithm=md5',
    'digest-algorithm=sha256&digest-algorithm=sha512',
    'mount=nonsense&from=team/other',
  ])('refuses %s', async (query) => {
    const { app } = registry

    const response = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?${query}`,
    })

    expect([response.statusCode, ...codesOf(response)]).toEqual([400, 'DIGEST_INVALID'])
  })

  it('is refused with 429 when too many sessions are open', async () => {
    const { app } = await startTestServer({ config: { uploads: { sessionsMax: 2 } } })
    await open(app)
    const second = await open(app)

    const refused = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })
    await app.inject({ method: 'DELETE', url: second })
    const afterCancel = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })

    expect([refused.statusCode, ...codesOf(refused)]).toEqual([429, 'TOOMANYREQUESTS'])
    expect(refused.headers['retry-after']).toBe('60')
    expect(afterCancel.statusCode).toBe(202)
  })
})

describe.each([
  ['small', bytesOf(1000)],
  ['large', bytesOf(500_000)],
])('an upload session with a %s blob', (_size, bytes) => {
  const digest = sha256(bytes)
  const half = bytes.length / 2

  it('takes a streamed PATCH and an empty PUT', async () => {
    const { app } = registry
    const location = await open(app)

    const patched = await patch(app, location, bytes)
    const done = await put(app, String(patched.headers.location), digest)

    expect(patched.statusCode).toBe(202)
    expect(patched.headers).toMatchObject({
      range: `0-${bytes.length - 1}`,
      'content-length': '0',
      'docker-upload-uuid': expect.stringMatching(UUID) as string,
    })
    expect(done.statusCode).toBe(201)
    expect(done.headers.location).toBe(`/v2/${name}/blobs/${digest}`)
    expect(done.headers['docker-content-digest']).toBe(digest)
    expect((await readBlob(app, digest)).rawPayload.equals(bytes)).toBe(true)
  })

  it('takes the whole blob with the PUT', async () => {
    const { app } = registry

    const done = await put(app, await open(app), digest, bytes)

    expect(done.statusCode).toBe(201)
    expect((await readBlob(app, digest)).rawPayload.equals(bytes)).toBe(true)
  })

  it.each(['0-9', 'bytes 0-9/*', 'bytes=0-9'])(
    'takes chunks, the first named %s, the last with the PUT',
    async (firstRange) => {
      const { app } = registry
      const location = await open(app)

      const first = await patch(app, location, bytes.subarray(0, 10), {
        'content-range': firstRange,
      })
      const second = await patch(app, location, bytes.subarray(10, half), {
        'content-range': `10-${half - 1}`,
      })
      const done = await put(app, location, digest, bytes.subarray(half), {
        'content-range': `${half}-${bytes.length - 1}`,
      })

      expect(first.headers.range).toBe('0-9')
      expect(second.headers.range).toBe(`0-${half - 1}`)
      expect(done.statusCode).toBe(201)
      expect((await readBlob(app, digest)).rawPayload.equals(bytes)).toBe(true)
    },
  )

  it('takes several streamed PATCHes in a row', async () => {
    const { app } = registry
    const location = await open(app)

    await patch(app, location, bytes.subarray(0, half))
    const second = await patch(app, location, bytes.subarray(half))
    const done = await put(app, location, digest)

    expect(second.headers.range).toBe(`0-${bytes.length - 1}`)
    expect(done.statusCode).toBe(201)
  })

  it.each(['', '?digest-algorithm=sha256', '?digest-algorithm=sha512'])(
    'begun with "%s" ends with either algorithm',
    async (query) => {
      const { app } = registry

      for (const ending of [sha256(bytes), sha512(bytes)]) {
        const whole = await put(app, await open(app, query), ending, bytes)
        expect(whole.statusCode).toBe(201)
        const location = await open(app, query)
        await patch(app, location, bytes.subarray(0, half))
        const chunked = await put(app, location, ending, bytes.subarray(half))
        expect(chunked.statusCode).toBe(201)
        expect(chunked.headers['docker-content-digest']).toBe(ending)
        expect((await readBlob(app, ending)).rawPayload.equals(bytes)).toBe(true)
      }
    },
  )

  it('is over after a wrong digest, and has stored nothing', async () => {
    const { app, dataDirectory } = await startTestServer()
    for (const [sent, payload] of [
      [bytes, undefined],
      [bytes.subarray(0, half), bytes.subarray(half)],
      [undefined, bytes],
    ] as const) {
      const location = await open(app)
      if (sent) await patch(app, location, sent)

      const response = await put(app, location, ABSENT, payload)

      expect([response.statusCode, ...codesOf(response)]).toEqual([400, 'DIGEST_INVALID'])
      expect((await app.inject(location)).statusCode).toBe(404)
    }
    expect((await readBlob(app, digest)).statusCode).toBe(404)
    expect(await readdir(path.join(dataDirectory, 'uploads'))).toEqual([])
  })

  it('goes on after a PUT whose digest is missing or malformed', async () => {
    const { app } = registry
    const location = await open(app)
    await patch(app, location, bytes)

    const missing = await app.inject({ method: 'PUT', url: location })
    const malformed = await put(app, location, 'sha256:nonsense')
    const foreign = await put(app, location, `blake3:${'0'.repeat(64)}`)
    const done = await put(app, location, digest)

    for (const refused of [missing, malformed, foreign]) {
      expect([refused.statusCode, ...codesOf(refused)]).toEqual([400, 'DIGEST_INVALID'])
    }
    expect(done.statusCode).toBe(201)
  })

  it.each(['PATCH', 'PUT'] as const)(
    'refuses an out-of-order chunk by %s with its own offset, and goes on',
    async (method) => {
      const { app } = registry
      const location = await open(app)
      await patch(app, location, bytes.subarray(0, 10), { 'content-range': '0-9' })

      for (const range of ['20-29', '0-9', '9-18']) {
        const refused = await app.inject({
          method,
          url: method === 'PUT' ? `${location}?digest=${digest}` : location,
          payload: bytes.subarray(0, 10),
          headers: { ...octets, 'content-range': range },
        })
        expect([refused.statusCode, ...codesOf(refused)]).toEqual([416, 'RANGE_INVALID'])
        expect(refused.headers).toMatchObject({ location, range: '0-9' })
      }
      const status = await app.inject(location)
      const done = await put(app, location, digest, bytes.subarray(10))

      expect([status.statusCode, status.headers['range']]).toEqual([204, '0-9'])
      expect(done.statusCode).toBe(201)
    },
  )

  it('refuses a first chunk that does not begin at 0, and then takes the right one', async () => {
    const { app } = registry
    const location = await open(app)

    const refused = await patch(app, location, bytes, {
      'content-range': `1-${bytes.length}`,
    })
    const status = await app.inject(location)
    await patch(app, location, bytes, { 'content-range': `0-${bytes.length - 1}` })
    const done = await put(app, location, digest)

    expect(refused.statusCode).toBe(416)
    expect(status.headers.range).toBe('0-0')
    expect(done.statusCode).toBe(201)
  })

  it.each(['a-b', '5', '-5', '5-', '10-0', 'bytes', '0-9999999999999999', '0-9,10-19'])(
    'refuses the Content-Range %s and stores nothing',
    async (range) => {
      const { app } = registry
      const location = await open(app)

      const refused = await patch(app, location, bytes, { 'content-range': range })

      expect([refused.statusCode, ...codesOf(refused)]).toEqual([400, 'BLOB_UPLOAD_INVALID'])
      expect((await app.inject(location)).headers.range).toBe('0-0')
    },
  )

  it('refuses a chunk that is longer or shorter than its Content-Range', async () => {
    const { app } = registry
    const location = await open(app)

    const longer = await patch(app, location, bytes, { 'content-range': '0-5' })
    const shorter = await patch(app, location, 'ab', { 'content-range': '0-99' })
    const done = await put(app, location, digest, bytes)

    for (const refused of [longer, shorter]) {
      expect([refused.statusCode, ...codesOf(refused)]).toEqual([400, 'SIZE_INVALID'])
    }
    expect(done.statusCode).toBe(201)
  })

  it('says its offset to GET and HEAD', async () => {
    const { app } = registry
    const location = await open(app)
    await patch(app, location, bytes)

    for (const method of ['GET', 'HEAD'] as const) {
      const response = await app.inject({ method, url: location })

      expect(response.statusCode).toBe(204)
      expect(response.body).toBe('')
      expect(response.headers).toMatchObject({
        location,
        range: `0-${bytes.length - 1}`,
        'docker-upload-uuid': expect.stringMatching(UUID) as string,
      })
    }
  })

  it('is gone after it was cancelled, with its bytes', async () => {
    const { app, dataDirectory } = await startTestServer()
    const location = await open(app)
    await patch(app, location, bytes)

    const cancelled = await app.inject({ method: 'DELETE', url: location })

    expect(cancelled.statusCode).toBe(204)
    expect(await readdir(path.join(dataDirectory, 'uploads'))).toEqual([])
    for (const method of ['GET', 'HEAD', 'PATCH', 'DELETE'] as const) {
      expect((await app.inject({ method, url: location })).statusCode).toBe(404)
    }
    const finished = await put(app, location, digest)
    expect([finished.statusCode, ...codesOf(finished)]).toEqual([404, 'BLOB_UPLOAD_UNKNOWN'])
  })

  it('is gone after it was finished', async () => {
    const { app, dataDirectory } = await startTestServer()
    const location = await open(app)
    await patch(app, location, bytes)
    await put(app, location, digest)

    expect((await app.inject(location)).statusCode).toBe(404)
    expect((await put(app, location, digest)).statusCode).toBe(404)
    expect(await readdir(path.join(dataDirectory, 'uploads'))).toEqual([])
  })

  it('goes on where it was after a restart, for both algorithms', async () => {
    const dataDirectory = await temporaryDirectory()
    const first = await startTestServer({ dataDirectory })
    const locations = [await open(first.app), await open(first.app), await open(first.app)]
    for (const location of locations) await patch(first.app, location, bytes.subarray(0, half))
    await patch(first.app, locations[2] as string, bytes.subarray(half))
    await first.server.close()

    const { app } = await startTestServer({ dataDirectory })

    const [one, two, whole] = locations as [string, string, string]
    expect((await app.inject(one)).headers.range).toBe(`0-${half - 1}`)
    expect((await put(app, one, digest, bytes.subarray(half))).statusCode).toBe(201)
    await patch(app, two, bytes.subarray(half))
    expect((await put(app, two, sha512(bytes))).statusCode).toBe(201)
    expect((await put(app, whole, digest)).statusCode).toBe(201)
    expect((await readBlob(app, digest)).rawPayload.equals(bytes)).toBe(true)
  })

  it('may end on a digest that another session ends on at the same time', async () => {
    const { app } = registry
    const locations = await Promise.all(Array.from({ length: 8 }, () => open(app)))
    await Promise.all(locations.map((location) => patch(app, location, bytes)))

    const ends = await Promise.all(locations.map((location) => put(app, location, digest)))

    expect(ends.map(({ statusCode }) => statusCode)).toEqual(locations.map(() => 201))
    expect((await readBlob(app, digest)).rawPayload.equals(bytes)).toBe(true)
  })
})

describe('the bytes of an upload session', () => {
  const uploadFiles = (dataDirectory: string) => readdir(path.join(dataDirectory, 'uploads'))

  it('are in no file while they are few', async () => {
    const { app, dataDirectory } = await startTestServer({
      config: { storage: { inlineBytesMax: 1000 } },
    })
    const bytes = bytesOf(1000)
    const location = await open(app)

    for (const at of [0, 100, 999]) {
      await patch(app, location, bytes.subarray(at, at === 0 ? 100 : at === 100 ? 999 : 1000))
      expect(await uploadFiles(dataDirectory)).toEqual([])
    }
    const done = await put(app, location, sha256(bytes))

    expect(done.statusCode).toBe(201)
    expect((await readBlob(app, sha256(bytes))).rawPayload.equals(bytes)).toBe(true)
  })

  it.each([
    ['in one request', [1001]],
    ['by the last byte', [1000, 1]],
    ['in the middle', [1, 998, 700, 1, 4000]],
  ])('move to a file when they become many, %s, and stay in order', async (_, sizes) => {
    const { app, dataDirectory } = await startTestServer({
      config: { storage: { inlineBytesMax: 1000 } },
    })
    const bytes = bytesOf(sizes.reduce((sum, size) => sum + size))

    for (const digest of [sha256(bytes), sha512(bytes)]) {
      const location = await open(app)
      let at = 0
      for (const size of sizes) {
        const patched = await patch(app, location, bytes.subarray(at, at + size))
        at += size
        expect(patched.headers.range).toBe(`0-${at - 1}`)
      }
      expect(await uploadFiles(dataDirectory)).toHaveLength(1)
      expect((await put(app, location, digest)).statusCode).toBe(201)
      expect((await readBlob(app, digest)).rawPayload.equals(bytes)).toBe(true)
    }
    expect(await uploadFiles(dataDirectory)).toEqual([])
  })

  it('move to a file also with the PUT, after a restart', async () => {
    const dataDirectory = await temporaryDirectory()
    const first = await startTestServer({ dataDirectory })
    const bytes = bytesOf(300_000)
    const location = await open(first.app)
    await patch(first.app, location, bytes.subarray(0, 10))
    await first.server.close()

    const { app } = await startTestServer({ dataDirectory })
    const done = await put(app, location, sha512(bytes), bytes.subarray(10))

    expect(done.statusCode).toBe(201)
    expect((await readBlob(app, sha512(bytes))).rawPayload.equals(bytes)).toBe(true)
  })

  it('are not moved by a request that is refused for its length', async () => {
    const { app } = await startTestServer({ config: { storage: { inlineBytesMax: 1000 } } })
    const bytes = bytesOf(5000)
    const location = await open(app)
    await patch(app, location, bytes.subarray(0, 10))

    for (const lastByte of [12, 1200, 9999]) {
      const refused = await patch(app, location, bytes.subarray(10), {
        'content-range': `10-${lastByte}`,
      })
      expect([refused.statusCode, ...codesOf(refused)]).toEqual([400, 'SIZE_INVALID'])
      expect((await app.inject(location)).headers.range).toBe('0-9')
    }
    const done = await put(app, location, sha256(bytes), bytes.subarray(10))

    expect(done.statusCode).toBe(201)
    expect((await readBlob(app, sha256(bytes))).rawPayload.equals(bytes)).toBe(true)
  })

  it('go with their session when it expires, also those that a crash has cut off', async () => {
    const server = await startTestServer()
    const location = await open(server.app)
    const request = httpRequest({
      ...{ port: server.port, host: '127.0.0.1', method: 'PATCH', path: location },
      headers: { 'transfer-encoding': 'chunked' },
    })
    request.on('error', () => undefined)
    onTestFinished(() => void request.destroy())
    request.write(bytesOf(200_000))
    await eventually(
      () => uploadFileSizes(server),
      (sizes) => sizes.length === 1,
    )

    // What a crash would leave now.
    const left = await temporaryDirectory()
    for (const part of ['berth.db', 'berth.db-wal', 'uploads']) {
      await cp(path.join(server.dataDirectory, part), path.join(left, part), { recursive: true })
    }
    const after = await startTestServer({
      dataDirectory: left,
      now: () => Date.now() + 48 * 60 * 60 * 1000,
    })
    const filesBefore = await uploadFiles(server.dataDirectory)
    await after.server.housekeeping.round()

    expect(filesBefore).toHaveLength(1)
    expect(await uploadFiles(left)).toEqual([])
    expect((await after.app.inject(location)).statusCode).toBe(404)
  })
})

describe('an upload session', () => {
  it('belongs to its repository', async () => {
    const { app } = registry
    const location = await open(app)

    const elsewhere = location.replace(name, ownName())

    expect((await app.inject(elsewhere)).statusCode).toBe(404)
    expect((await patch(app, elsewhere, 'x')).statusCode).toBe(404)
    expect((await put(app, elsewhere, sha256(''))).statusCode).toBe(404)
    expect((await app.inject(location)).statusCode).toBe(204)
  })

  it.each(['nonsense', '..%2F..%2Fberth.db', '00000000-0000-0000-0000-000000000000', '%00'])(
    'is 404 under the id %s',
    async (id) => {
      const { app } = registry

      for (const method of ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE'] as const) {
        const response = await app.inject({
          method,
          url: `/v2/${name}/blobs/uploads/${id}?digest=${sha256('')}`,
        })
        expect(response.statusCode).toBe(404)
      }
    },
  )

  it('makes an empty blob of nothing', async () => {
    const { app } = registry

    const done = await put(app, await open(app), sha256(''))

    expect(done.statusCode).toBe(201)
    expect((await readBlob(app, sha256(''))).headers['content-length']).toBe('0')
  })

  it('expires when nothing has come for so long as configured, and not before', async () => {
    let now = Date.UTC(2026, 0, 1)
    const { app, server } = await startTestServer({
      now: () => now,
      config: { uploads: { expireSeconds: 3600 } },
    })
    const idle = await open(app)
    await patch(app, idle, bytesOf(100_000))
    now += 3000_000
    const alive = await open(app)

    await server.housekeeping.round()
    const before = await app.inject(idle)
    now += 700_000
    await server.housekeeping.round()

    expect(before.statusCode).toBe(204)
    expect((await app.inject(idle)).statusCode).toBe(404)
    expect((await app.inject(alive)).statusCode).toBe(204)
  })
})

describe('mounting a blob', () => {
  it.each([
    (digest: string) => `mount=${encodeURIComponent(digest)}&from=team%2Fsource`,
    (digest: string) => `from=team/source&mount=${digest}&origin=example.com&ns=x`,
    (digest: string) => `mount=${digest}`,
    (digest: string) => `mount=${digest}&from=${name}`,
  ])('by %o gives it to the repository without an upload', async (query) => {
    const { app } = registry
    const digest = await pushBlob(app, 'team/source', 'mounted')
    await pushBlob(app, name, 'mounted')
    const target = ownName()

    const response = await app.inject({
      method: 'POST',
      url: `/v2/${target}/blobs/uploads/?${query(digest)}`,
    })

    expect(response.statusCode).toBe(201)
    expect(response.headers).toMatchObject({
      location: `/v2/${target}/blobs/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
    })
    expect((await app.inject(`/v2/${target}/blobs/${digest}`)).body).toBe('mounted')
  })

  it.each([
    ['a source that lacks it', `mount=${sha256('mounted')}&from=team/other`],
    ['a source that does not exist', `mount=${sha256('mounted')}&from=team/none`],
    ['a source that cannot exist', `mount=${sha256('mounted')}&from=TEAM/UPPER`],
    ['two sources', `mount=${sha256('mounted')}&from=team/source&from=team/other`],
    ['a blob that nobody has', `mount=${ABSENT}`],
  ])('from %s begins an ordinary session instead', async (_case, query) => {
    const { app } = registry
    await pushBlob(app, 'team/source', 'mounted')
    await pushBlob(app, 'team/other', 'something else')

    const response = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?${query}`,
    })
    const done = await put(app, String(response.headers.location), sha256('mounted'), 'mounted')

    expect(response.statusCode).toBe(202)
    expect(done.statusCode).toBe(201)
  })
})
