import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, pushBlob, sha256 } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { makeClientCertificate, startTlsServer, type TlsServer } from '../support/tls.js'

const name = 'team/app'
const ping = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'

/** More than lies between a server and a client that does not read. */
const large = bytesOf(32 * 1024 * 1024, 'large')

function pull(digest: string): string {
  return `GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`
}

function overTls({ port, trust }: TlsServer): Promise<RawConnection> {
  return RawConnection.openTls(port, trust)
}

function openEither(server: TlsServer, kind: string): Promise<RawConnection> {
  return kind === 'TLS' ? overTls(server) : RawConnection.open(server.port)
}

function isLarge(body: string): boolean {
  return Buffer.from(body, 'latin1').equals(large)
}

/** The server's ends of its connections, as the routes see them. */
function socketsOf({ app }: TlsServer): Socket[] {
  const sockets: Socket[] = []
  app.server.on('request', ({ socket }: { socket: Socket }) => sockets.push(socket))
  return sockets
}

/** The socket of a client of which the server knows by now. */
async function connected(server: TlsServer): Promise<Socket> {
  const accepted = once(server.app.server, 'connection')
  const socket = createConnection(server.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  await accepted
  return socket
}

describe.each(['TLS', 'plain HTTP'])('a port that speaks both, over %s', (kind) => {
  it('answers one request after the other on one connection', async () => {
    const connection = await openEither(await startTlsServer('both'), kind)

    for (let round = 0; round < 3; round++) {
      connection.write(ping)
      const { status, body } = await connection.answer()
      expect([status, body]).toEqual([200, '{}'])
    }
  })

  it('answers requests that came in one piece, in their order', async () => {
    const server = await startTlsServer('both')
    const digest = await pushBlob(server.app, name, large)
    const connection = await openEither(server, kind)

    connection.write(ping + pull(digest) + ping)

    expect((await connection.answer()).body).toBe('{}')
    expect(isLarge((await connection.answer()).body)).toBe(true)
    expect((await connection.answer()).body).toBe('{}')
  })

  it('invites a body that it wants, takes it, and gives it back', async () => {
    const server = await startTlsServer('both')
    const connection = await openEither(server, kind)
    const digest = sha256(large)

    connection.write(
      `POST /v2/${name}/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\n` +
        `Content-Length: ${large.length}\r\nExpect: 100-continue\r\n\r\n`,
    )
    const invitation = await connection.answer()
    connection.write(large)
    const stored = await connection.answer()
    connection.write(pull(digest))
    const pulled = await connection.answer()

    expect([invitation.status, stored.status, pulled.status]).toEqual([100, 201, 200])
    expect(isLarge(pulled.body)).toBe(true)
  })

  it('says what is wrong with what is no HTTP', async () => {
    const connection = await openEither(await startTlsServer('both'), kind)

    connection.write('garbage\r\n\r\n')
    const { status, body } = await connection.answer()
    await connection.closed()

    expect([status, body]).toEqual([400, expect.stringContaining('UNSUPPORTED')])
  })

  it('lets a pull under way end when it closes', async () => {
    const server = await startTlsServer('both', { config: { http: { shutdownSeconds: 15 } } })
    const digest = await pushBlob(server.app, name, large)
    const connection = await openEither(server, kind)
    connection.socket.pause()
    connection.write(pull(digest))
    await once(server.app.server, 'request')

    const closed = server.server.close()
    connection.socket.resume()
    const { body } = await connection.answer()
    await closed

    expect(isLarge(body)).toBe(true)
  })

  it('cuts a pull that takes longer than it may when it closes', async () => {
    const server = await startTlsServer('both', { config: { http: { shutdownSeconds: 0 } } })
    const digest = await pushBlob(server.app, name, large)
    const connection = await openEither(server, kind)
    connection.socket.pause()
    connection.write(pull(digest))
    await once(server.app.server, 'request')

    await server.server.close()
    connection.socket.resume()
    await connection.closed()

    expect(connection.received.length).toBeLessThan(large.length)
  })

  it('ends a connection between two requests when it closes', async () => {
    const server = await startTlsServer('both', { config: { http: { shutdownSeconds: 15 } } })
    const connection = await openEither(server, kind)
    connection.write(ping)
    await connection.answer()

    await server.server.close()

    await connection.closed()
  })
})

describe.each(['both', 'only'] as const)('a port with http.tls.mode %s', (mode) => {
  it('has no less than TLS 1.2, and HTTP/1.1 for those who ask', async () => {
    const server = await startTlsServer(mode)
    const { trust } = server

    const version = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
    const modest = await RawConnection.openTls(server.port, {
      ...{ ...trust, ...version },
      ALPNProtocols: ['h2', 'http/1.1'],
    })
    const old = RawConnection.openTls(server.port, {
      ...{ ...trust, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' },
      ciphers: 'DEFAULT:@SECLEVEL=0',
    })

    expect(modest.socket).toMatchObject({ alpnProtocol: 'http/1.1' })
    await expect(old).rejects.toThrow()
  })

  it('closes a connection on which nothing moves', async () => {
    const server = await startTlsServer(mode, { config: { http: { idleSeconds: 1 } } })
    const connection = await overTls(server)

    connection.write('GET /v2/ HTTP/1.1\r\n')

    await connection.closed()
  })

  it('is not held up by clients that say nothing when it closes', async () => {
    const server = await startTlsServer(mode, { config: { http: { shutdownSeconds: 15 } } })
    const silent = await connected(server)
    const inHandshake = await connected(server)
    inHandshake.write(Buffer.of(0x16, 3, 1))
    const quiet = await overTls(server)

    const gone = Promise.all([once(silent, 'close'), once(inHandshake, 'close'), quiet.closed()])
    await server.server.close()

    await gone
  })

  it('goes on after clients that leave in the middle, or do not trust it', async () => {
    const server = await startTlsServer(mode)

    for (const bytes of [[], [0x16], [0x16, 3, 1, 0xff, 0xff, 1], [0x16, 0, 0, 0, 0, 0, 0, 0]]) {
      const socket = await connected(server)
      socket.write(Buffer.from(bytes))
      socket.resetAndDestroy()
    }
    await expect(RawConnection.openTls(server.port, {})).rejects.toThrow(/certificate/)
    const halfClosed = await connected(server)
    halfClosed.end()
    await once(halfClosed.resume(), 'close')

    const connection = await overTls(server)
    connection.write(ping)
    expect((await connection.answer()).status).toBe(200)
  })

  it('counts connections of either kind', async () => {
    const server = await startTlsServer(mode, { config: { http: { connectionsMax: 1 } } })
    const first = await overTls(server)
    first.write(ping)
    await first.answer()

    await expect(overTls(server)).rejects.toThrow()
    first.socket.destroy()
    const second = await eventually(
      () => overTls(server).catch(() => undefined),
      (connection) => connection !== undefined,
    )

    second?.write(ping)
    expect((await second?.answer())?.status).toBe(200)
  })
})

describe('a port that speaks TLS alone', () => {
  it('tells a client that speaks plain HTTP what it speaks', async () => {
    const server = await startTlsServer('only')
    const connection = await RawConnection.open(server.port)

    connection.write(ping)
    const { status, head, body } = await connection.answer()
    await connection.closed()

    expect(status).toBe(400)
    expect(head).toMatch(/^content-type: application\/json\r$/im)
    expect(body).toContain('this port speaks HTTPS')
  })

  it('tells it also when it sends a body first', async () => {
    const server = await startTlsServer('only')
    const connection = await RawConnection.open(server.port)

    connection.write(`POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: ${large.length}\r\n\r\n`)
    connection.write(large)
    const { status } = await connection.answer()

    expect(status).toBe(400)
  })
})

describe('large blobs on a port that speaks both', () => {
  it('are sent by the kernel over plain HTTP, and never over TLS', async () => {
    const server = await startTlsServer('both')
    const digest = await pushBlob(server.app, name, large)
    const sockets = socketsOf(server)
    const written: number[] = []

    for (const kind of ['plain HTTP', 'TLS']) {
      const connection = await openEither(server, kind)
      connection.write(pull(digest))
      expect(isLarge((await connection.answer()).body)).toBe(true)
      written.push(sockets.at(-1)?.bytesWritten ?? 0)
    }

    const [plain = 0, secure = 0] = written
    // What the kernel sends Node.js does not count.
    expect(plain).toBeLessThan(large.length / 2)
    expect(secure).toBeGreaterThanOrEqual(large.length)
  })
})

describe('certificates of clients', () => {
  async function startAsking(clientCertificates: 'optional' | 'required') {
    const { ca, client } = await makeClientCertificate()
    const clientCaFile = path.join(await temporaryDirectory(), 'clients.crt')
    await writeFile(clientCaFile, ca)
    const server = await startTlsServer('only', { tls: { clientCertificates, clientCaFile } })
    const { client: stranger } = await makeClientCertificate()
    const ask = async (pair?: { certificate: string; key: string }) => {
      const shown = pair && { cert: pair.certificate, key: pair.key }
      const connection = await RawConnection.openTls(server.port, { ...server.trust, ...shown })
      connection.write(ping)
      const { status, body } = await connection.answer()
      return { status, body }
    }
    return { client, stranger, ask }
  }

  it('let in those of the CA alone where one is required', async () => {
    const { client, stranger, ask } = await startAsking('required')

    expect((await ask(client)).status).toBe(200)
    for (const refused of [await ask(), await ask(stranger)]) {
      expect(refused.status).toBe(400)
      expect(refused.body).toContain('asks for a certificate')
    }
  })

  it('let in those without one where they are optional, and nobody with a wrong one', async () => {
    const { client, stranger, ask } = await startAsking('optional')

    expect((await ask(client)).status).toBe(200)
    expect((await ask()).status).toBe(200)
    expect((await ask(stranger)).status).toBe(400)
  })
})
