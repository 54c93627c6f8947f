import { once } from 'node:events'
import { request as httpRequest, type ClientRequest } from 'node:http'
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.js'
import { ABSENT, bytesOf, pushBlob, sha256 } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import {
  ownName,
  sharedTestServer,
  startTestServer,
  uploadFileSizes,
  type TestServer,
} from '../support/server.js'

const registry = sharedTestServer()

/** The repository of a test. */
let name = ''
beforeEach(() => {
  name = ownName()
})

async function open({ app }: TestServer): Promise<string> {
  const response = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })
  return String(response.headers.location)
}

async function offsetOf({ app }: TestServer, location: string): Promise<string> {
  const response = await app.inject(location)
  return String(response.headers.range)
}

/** Until the server has written so many bytes of an upload to its disk. */
function hasReceived(server: TestServer, sizeBytes: number): Promise<unknown> {
  return eventually(
    () => uploadFileSizes(server),
    (sizes) => sizes.some((size) => size >= sizeBytes),
  )
}

/**
 * Ends a session whose last writer has gone away, from wherever it is; once the server has noticed
 * that the writer is gone.
 */
function finish({ app }: TestServer, location: string, bytes: Buffer) {
  return eventually(
    async () => {
      const range = String((await app.inject(location)).headers.range)
      const offset = range === '0-0' ? 0 : Number(range.split('-')[1]) + 1
      return app.inject({
        method: 'PUT',
        url: `${location}?digest=${sha256(bytes)}`,
        payload: bytes.subarray(offset),
        headers: { 'content-range': `${offset}-${bytes.length - 1}` },
      })
    },
    ({ statusCode }) => statusCode !== 416,
  )
}

/** A PATCH whose body goes on until the test says so. */
function startPatch({ port }: TestServer, location: string, headers = {}): ClientRequest {
  const request = httpRequest({ port, host: '127.0.0.1', method: 'PATCH', path: location, headers })
  request.on('error', () => undefined)
  return request
}

describe('what is no HTTP', () => {
  it.each([
    ['garbage', 'garbage\r\n\r\n', 400],
    ['a version that does not exist', 'GET /v2/ HTTP/9.9\r\n\r\n', 400],
    [
      'two lengths',
      'PUT /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
    ],
    [
      'a length and chunks at once',
      'PUT /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['headers beyond every limit', `GET /v2/ HTTP/1.1\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 431],
  ])('%s is answered in the form of errors that clients read', async (_what, text, status) => {
    const { port } = registry
    const connection = await RawConnection.open(port)

    connection.write(text)
    const answer = await connection.answer()

    expect(answer.status).toBe(status)
    expect(answer.head).toMatch(/^docker-distribution-api-version: registry\/2\.0\r$/im)
    expect(JSON.parse(answer.body)).toMatchObject({
      errors: [{ code: expect.any(String) as string }],
    })
    await connection.closed()
  })
})

describe('a path with dots', () => {
  it('is not normalized into another', async () => {
    const { port } = registry
    const connection = await RawConnection.open(port)

    connection.write('GET /v2/a/../b/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n')
    const answer = await connection.answer()

    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('NAME_INVALID')])
  })
})

describe('Expect: 100-continue', () => {
  const put = (digest: string, length: number) =>
    `POST /v2/${name}/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\n` +
    `Content-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`

  it('is invited when the body is wanted', async () => {
    const { port } = registry
    const connection = await RawConnection.open(port)

    connection.write(put(sha256('hello'), 5))
    const invitation = await connection.answer()
    connection.write('hello')
    const answer = await connection.answer()

    expect([invitation.status, answer.status]).toEqual([100, 201])
  })

  it('is refused without an invitation, and the connection ends', async () => {
    const { port } = registry
    const connection = await RawConnection.open(port)

    connection.write(put('nonsense', 5))
    const answer = await connection.answer()
    await connection.closed()

    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('DIGEST_INVALID')])
  })

  it('is invited also for a manifest, and refused for one that is too large', async () => {
    const { port } = registry
    const head = (length: number) =>
      `PUT /v2/${name}/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n` +
      `Expect: 100-continue\r\n\r\n`
    const fits = await RawConnection.open(port)
    const tooLarge = await RawConnection.open(port)

    fits.write(head(2))
    tooLarge.write(head(5_000_000))

    expect((await fits.answer()).status).toBe(100)
    expect((await tooLarge.answer()).status).toBe(413)
  })
})

describe('an upload that is refused early', () => {
  it('is read by a client that sends its whole body first, and leaves the connection usable', async () => {
    const server = registry
    const connection = await RawConnection.open(server.port)
    const body = bytesOf(3_000_000)

    connection.write(
      `PATCH /v2/${name}/blobs/uploads/none HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    connection.write(body)
    const refused = await connection.answer()
    connection.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    const next = await connection.answer()

    expect([refused.status, refused.body]).toEqual([
      404,
      expect.stringContaining('BLOB_UPLOAD_UNKNOWN'),
    ])
    expect([next.status, next.body]).toEqual([200, '{}'])
  })

  it('because of its range leaves the connection and the session usable', async () => {
    const server = registry
    const location = await open(server)
    const connection = await RawConnection.open(server.port)
    const body = bytesOf(200_000)
    const patch = (first: number) =>
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n` +
      `Content-Range: ${first}-${first + body.length - 1}\r\n\r\n`

    connection.write(patch(7))
    connection.write(body)
    const refused = await connection.answer()
    connection.write(patch(0))
    connection.write(body)
    const taken = await connection.answer()

    expect([refused.status, taken.status]).toEqual([416, 202])
  })
})

describe('a client that goes away in the middle of a body', () => {
  it('leaves the session at an offset from which it can go on', async () => {
    const server = await startTestServer()
    const location = await open(server)
    const bytes = bytesOf(3_000_000)
    const sent = 2_500_000
    const request = startPatch(server, location, { 'content-length': bytes.length })
    request.write(bytes.subarray(0, sent))
    await hasReceived(server, 1024 * 1024)

    request.destroy()
    const range = await eventually(
      () => offsetOf(server, location),
      (text) => text !== '0-0',
    )

    const offset = Number(range.split('-')[1]) + 1
    expect(offset).toBeLessThanOrEqual(sent)
    // The offset can be read a moment before the session is free.
    const rest = await eventually(
      () =>
        server.app.inject({
          method: 'PATCH',
          url: location,
          headers: { 'content-range': `${offset}-${bytes.length - 1}` },
          payload: bytes.subarray(offset),
        }),
      ({ statusCode }) => statusCode !== 416,
    )
    const done = await server.app.inject({
      method: 'PUT',
      url: `${location}?digest=${sha256(bytes)}`,
    })
    expect([rest.statusCode, done.statusCode]).toEqual([202, 201])
    const read = await server.app.inject(`/v2/${name}/blobs/${sha256(bytes)}`)
    expect(read.rawPayload.equals(bytes)).toBe(true)
  })

  it.each([10, 1_000_000])('of a PUT of %i bytes has stored no blob', async (size) => {
    const server = registry
    const location = await open(server)
    const bytes = bytesOf(size)
    const connection = await RawConnection.open(server.port)

    connection.write(
      `PUT ${location}?digest=${sha256(bytes)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`,
    )
    connection.write(bytes.subarray(0, size - 1))
    connection.socket.end()
    await connection.closed()

    const done = await finish(server, location, bytes)
    expect(done.statusCode).toBe(201)
  })

  it.each([
    ['nothing', 0, 1000],
    ['little', 2, 1000],
    ['all but one byte of little', 999, 1000],
    ['little of much', 10, 1_000_000],
    ['much', 300_000, 1_000_000],
    ['all but one byte of much', 999_999, 1_000_000],
  ])('keeps what it has sent: %s', async (_, sent, sizeBytes) => {
    const server = registry
    const location = await open(server)
    const bytes = bytesOf(sizeBytes)
    const connection = await RawConnection.open(server.port)

    connection.write(
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${sizeBytes}\r\n\r\n`,
    )
    if (sent > 0) connection.write(bytes.subarray(0, sent))
    connection.socket.end()
    await connection.closed()

    const range = `0-${Math.max(sent - 1, 0)}`
    await eventually(
      () => offsetOf(server, location),
      (text) => text === range,
    )
    expect((await finish(server, location, bytes)).statusCode).toBe(201)
  })

  it('of a monolithic POST leaves nothing', async () => {
    const server = await startTestServer()
    const bytes = bytesOf(1_000_000)
    const connection = await RawConnection.open(server.port)
    const url = `/v2/${name}/blobs/uploads/?digest=${sha256(bytes)}`

    connection.write(`POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length}\r\n\r\n`)
    connection.write(bytes.subarray(0, 500_000))
    connection.socket.end()
    await connection.closed()
    await eventually(
      () => uploadFileSizes(server),
      (sizes) => sizes.length === 0,
    )
    const again = await server.app.inject({ method: 'POST', url, payload: bytes })

    expect(again.statusCode).toBe(201)
  })

  it('of a manifest changes nothing', async () => {
    const server = await startTestServer()
    const connection = await RawConnection.open(server.port)

    connection.write(
      `PUT /v2/${name}/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"schemaVersion"`,
    )
    connection.socket.end()
    await connection.closed()

    expect((await server.app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })
  })

  it('with a broken chunk leaves the session at a consistent offset', async () => {
    const server = registry
    const location = await open(server)
    const connection = await RawConnection.open(server.port)

    connection.write(
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n`,
    )
    await connection.closed()

    expect((await finish(server, location, Buffer.from('hello world'))).statusCode).toBe(201)
  })
})

describe('a second writer of one session', () => {
  it('is refused with 416 while the first is writing, which is not disturbed', async () => {
    const server = await startTestServer()
    const location = await open(server)
    const bytes = bytesOf(200_000)
    const first = startPatch(server, location, { 'transfer-encoding': 'chunked' })
    const firstAnswer = once(first, 'response') as Promise<[{ statusCode: number }]>
    first.write(bytes.subarray(0, 100_000))
    await hasReceived(server, 0)

    const patch = () =>
      server.app.inject({ method: 'PATCH', url: location, payload: bytes.subarray(0, 10) })
    const put = () =>
      server.app.inject({ method: 'PUT', url: `${location}?digest=${ABSENT}`, payload: 'x' })
    const refused = await put()
    const alsoRefused = await patch()
    first.end(bytes.subarray(100_000))
    const [{ statusCode }] = await firstAnswer
    const done = await server.app.inject({
      method: 'PUT',
      url: `${location}?digest=${sha256(bytes)}`,
    })

    expect([refused.statusCode, alsoRefused.statusCode]).toEqual([416, 416])
    expect(statusCode).toBe(202)
    expect(done.statusCode).toBe(201)
  })

  it('may cancel it', async () => {
    const server = await startTestServer()
    const location = await open(server)
    const first = startPatch(server, location, { 'transfer-encoding': 'chunked' })
    const firstAnswer = once(first, 'response') as Promise<[{ statusCode: number }]>
    first.write(bytesOf(100_000))
    await hasReceived(server, 0)

    const cancelled = await server.app.inject({ method: 'DELETE', url: location })
    first.end()
    const [{ statusCode }] = await firstAnswer

    expect([cancelled.statusCode, statusCode]).toEqual([204, 404])
    expect((await server.app.inject(location)).statusCode).toBe(404)
  })
})

describe('a docker client', () => {
  it('sends its layer in chunks without a type, and computes the size from Range', async () => {
    const server = registry
    const location = await open(server)
    const connection = await RawConnection.open(server.port)
    const piece = bytesOf(32 * 1024)

    connection.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`)
    for (let count = 0; count < 40; count++) {
      connection.write(`${piece.length.toString(16)}\r\n`)
      connection.write(piece)
      connection.write('\r\n')
    }
    connection.write('0\r\n\r\n')
    const answer = await connection.answer()

    expect(answer.status).toBe(202)
    expect(answer.head).toMatch(new RegExp(`^range: 0-${40 * piece.length - 1}\\r$`, 'im'))
  })
})

describe('one connection', () => {
  it('serves pipelined requests in order', async () => {
    const server = registry
    const digest = await pushBlob(server.app, name, bytesOf(300_000))
    const connection = await RawConnection.open(server.port)
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

    connection.write(
      get('/v2/') + get(`/v2/${name}/blobs/${digest}`) + get('/v2/_catalog') + get('/v2/none'),
    )

    const answers = []
    for (let count = 0; count < 4; count++) answers.push(await connection.answer())
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 404])
    expect(Buffer.from(answers[1]!.body, 'latin1').equals(bytesOf(300_000))).toBe(true)
  })

  it('that stops reading a blob ends its reading', async () => {
    const server = await startTestServer()
    const digest = await pushBlob(server.app, name, bytesOf(20_000_000))
    const connection = await RawConnection.open(server.port)

    connection.write(`GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await once(connection.socket, 'data')
    connection.socket.destroy()

    // Nothing is left that would keep the server from closing.
    await eventually(
      () =>
        new Promise<number>((resolve) => server.app.server.getConnections((_e, n) => resolve(n))),
      (connections) => connections === 0,
    )
  })
})
