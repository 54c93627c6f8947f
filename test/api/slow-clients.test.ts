import { request as httpRequest, type IncomingMessage } from 'node:http'
import { fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { cutSlowClients } from '../../src/slow-clients.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, pushBlob, sha256 } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { operatorTokenOf, startTestServer, type TestServer } from '../support/server.js'
import { connectionCount, openUpload, sendInBursts } from '../support/slow-clients.js'
import { runSideBySide, whenFinished } from '../support/side-by-side.js'

runSideBySide()

const name = 'team/app'

/** The shortest there is. */
const impatient = { headersSeconds: 1, slowSeconds: 1, minBytesPerSecond: 100 }

function startImpatientServer(http = {}): Promise<TestServer> {
  return startTestServer({ config: { http: { ...impatient, ...http } } })
}

/** Sends something again and again until the other side has closed. */
function trickle(connection: RawConnection, text: string): void {
  const timer = setInterval(() => connection.write(text), 100)
  connection.socket.once('close', () => clearInterval(timer))
}

describe.concurrent('a client that never comes to the end of its headers', () => {
  it.each([
    ['sends nothing', '', ''],
    ['stops in the middle of a line', 'GET /v2/ HT', ''],
    ['sends a header now and then', 'GET /v2/ HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n'],
  ])('is told so and cut: one that %s', async (_, head, more) => {
    const server = await startImpatientServer()
    const connection = await RawConnection.open(server.port)

    connection.write(head)
    if (more !== '') trickle(connection, more)
    const answer = await connection.answer()
    await connection.closed()

    expect(answer.status).toBe(408)
    expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] })
  })
})

describe.concurrent('a client that sends a body too slowly', () => {
  it.each([
    ['nothing of it', ''],
    ['a byte of it now and then', 'x'],
  ])('is told so and cut, and may go on where it was: %s', async (_, more) => {
    const server = await startImpatientServer()
    const location = await openUpload(server, name)
    const bytes = Buffer.from('x'.repeat(100_000))
    const connection = await RawConnection.open(server.port)

    connection.write(
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    )
    if (more !== '') trickle(connection, more)
    const answer = await connection.answer()
    await connection.closed()

    expect(answer.status).toBe(408)
    expect(answer.head).toMatch(/^connection: close\r$/im)
    expect(JSON.parse(answer.body)).toEqual({
      errors: [
        {
          code: 'UNSUPPORTED',
          message: 'the body came too slowly: at less than 100 bytes a second for 1 s',
        },
      ],
    })
    const range = String((await server.app.inject(location)).headers.range)
    const offset = range === '0-0' ? 0 : Number(range.split('-')[1]) + 1
    const done = await server.app.inject({
      method: 'PUT',
      url: `${location}?digest=${sha256(bytes)}`,
      payload: bytes.subarray(offset),
      headers: { 'content-range': `${offset}-${bytes.length - 1}` },
    })
    expect(done.statusCode).toBe(201)
  })

  it('in chunks, or as a manifest, is cut as well', async () => {
    const server = await startImpatientServer()
    const location = await openUpload(server, name)
    const upload = await RawConnection.open(server.port)
    const manifest = await RawConnection.open(server.port)

    upload.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`)
    trickle(upload, '1\r\nx\r\n')
    manifest.write(
      `PUT /v2/${name}/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{`,
    )

    expect([(await upload.answer()).status, (await manifest.answer()).status]).toEqual([408, 408])
    await Promise.all([upload.closed(), manifest.closed()])
    expect((await server.app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })
  })

  it('to the management API is told so in its form', async () => {
    const server = await startImpatientServer()
    const connection = await RawConnection.open(server.port)

    connection.write(
      `POST /api/v1/gc/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${operatorTokenOf(server.app)}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
    )
    const answer = await connection.answer()
    await connection.closed()

    expect(answer.status).toBe(408)
    expect(JSON.parse(answer.body)).toMatchObject({ status: 408, code: 'REQUEST_TIMEOUT' })
  })

  it('is left alone where no client is too slow', async () => {
    const server = await startImpatientServer({ minBytesPerSecond: 0 })
    const location = await openUpload(server, name)
    const connection = await RawConnection.open(server.port)

    connection.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx`)
    // Another one has been cut meanwhile, for its headers.
    await (await RawConnection.open(server.port)).closed()
    await (await RawConnection.open(server.port)).closed()
    connection.write('x')

    expect((await connection.answer()).status).toBe(202)
  })
})

describe.concurrent('a client that reads an answer too slowly', () => {
  it.each([true, false])('is cut (sent by the kernel: %s)', async (sendfile) => {
    const server = await startTestServer({
      config: { http: impatient, storage: { sendfile } },
    })
    const digest = await pushBlob(server.app, name, bytesOf(20_000_000))
    const connection = await RawConnection.open(server.port)
    connection.socket.pause()

    connection.write(`GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await eventually(
      () => connectionCount(server),
      (count) => count === 1,
    )

    await eventually(
      () => connectionCount(server),
      (count) => count === 0,
    )
  })
})

describe.concurrent('a client that is not slow', () => {
  it('may send in bursts', async () => {
    const server = await startImpatientServer({ slowSeconds: 2 })
    const location = await openUpload(server, name)
    const connection = await RawConnection.open(server.port)

    await sendInBursts(connection, location)

    expect((await connection.answer()).status).toBe(202)
  })

  it('may wait for us as long as it takes', async () => {
    const app = fastify()
    whenFinished(() => app.close())
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    cutSlowClients(app, impatient)
    const slowDiskMs = 2500
    app.put('/', async ({ raw }) => {
      let sizeBytes = 0
      raw.on('data', (piece: Buffer) => {
        sizeBytes += piece.length
        if (sizeBytes === piece.length) {
          raw.pause()
          setTimeout(() => raw.resume(), slowDiskMs)
        }
      })
      await new Promise((resolve) => raw.once('end', resolve))
      return { sizeBytes }
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as { port: number }
    const body = Buffer.alloc(5_000_000)

    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'content-length': body.length, 'content-type': 'a/b' }
      const request = httpRequest({ port, host: '127.0.0.1', method: 'PUT', headers }, resolve)
      request.on('error', reject)
      // All but a byte is there at once; the last one comes while the first still wait.
      request.write(body.subarray(1))
      setTimeout(() => request.end(body.subarray(0, 1)), slowDiskMs / 2)
    })

    expect(response.statusCode).toBe(200)
  })
})

describe('many slow clients at once', () => {
  it('are all cut, and others are served meanwhile', async () => {
    const server = await startImpatientServer()
    const digest = await pushBlob(server.app, name, bytesOf(100_000))
    const locations = await Promise.all(Array.from({ length: 100 }, () => openUpload(server, name)))
    const slow = await Promise.all(
      Array.from({ length: 300 }, () => RawConnection.open(server.port)),
    )
    slow.forEach((connection, index) => {
      const head = [
        'GET /v2/ HTTP/1.1\r\nHost: x\r\n',
        `PATCH ${locations[(index - 1) / 3]} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`,
        `PUT /v2/${name}/manifests/v${index} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{`,
      ][index % 3] as string
      connection.write(head)
      trickle(connection, index % 3 === 0 ? 'X-A: b\r\n' : ' ')
    })
    let served = 0
    let areCut = false

    const closed = Promise.all(slow.map((connection) => connection.closed()))
    void closed.then(() => (areCut = true))
    const other = await RawConnection.open(server.port)
    while (!areCut) {
      other.write(`GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const { status, body } = await other.answer()
      expect([status, body.length]).toEqual([200, 100_000])
      if (!areCut) served++
    }

    expect(served).toBeGreaterThan(0)
  })
})

describe('connections of one address', () => {
  const count = (server: TestServer, wanted: number) =>
    eventually(
      () => connectionCount(server),
      (connections) => connections === wanted,
    )

  it('are closed beyond their limit, and may come again when others have gone', async () => {
    const server = await startImpatientServer({ connectionsPerAddressMax: 3, headersSeconds: 60 })
    const first = await Promise.all([1, 2, 3].map(() => RawConnection.open(server.port)))
    await count(server, 3)

    const refused = await RawConnection.open(server.port)
    await refused.closed()
    first[0]?.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    const answer = await first[0]?.answer()
    first[1]?.socket.destroy()
    await count(server, 2)
    const next = await RawConnection.open(server.port)
    next.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')

    expect(refused.received).toBe('')
    expect([answer?.status, (await next.answer()).status]).toEqual([200, 200])
  })

  it('of a trusted proxy are not counted', async () => {
    const server = await startImpatientServer({
      connectionsPerAddressMax: 1,
      headersSeconds: 60,
      trustedProxies: ['127.0.0.0/8'],
    })
    const connections = await Promise.all([1, 2, 3].map(() => RawConnection.open(server.port)))

    const statuses = []
    for (const connection of connections) {
      connection.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
      statuses.push((await connection.answer()).status)
    }

    expect(statuses).toEqual([200, 200, 200])
  })
})

describe('headers', () => {
  it('may have as many bytes as is configured', async () => {
    const server = await startImpatientServer({ headerBytesMax: 8192 })
    const status = async (bytes: number) => {
      const connection = await RawConnection.open(server.port)
      connection.write(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: ${'x'.repeat(bytes)}\r\n\r\n`)
      return (await connection.answer()).status
    }

    expect([await status(8000), await status(8200)]).toEqual([200, 431])
  })
})
