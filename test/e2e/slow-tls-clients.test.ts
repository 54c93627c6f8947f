import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, pushBlob } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { connectionCount, openUpload, sendInBursts } from '../support/slow-clients.js'
import { makeClientCertificate, startTlsServer, type TlsServer } from '../support/tls.js'

const name = 'team/app'
const ping = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'

/** The shortest there is for whoever is slow, and enough for a handshake of who is not. */
const impatient = { headersSeconds: 4, slowSeconds: 1, minBytesPerSecond: 100 }

function startImpatientServer(mode: 'only' | 'both'): Promise<TlsServer> {
  return startTlsServer(mode, { config: { http: impatient } })
}

/** Sends something a byte at a time until the other side has closed. */
function trickle(connection: RawConnection, text: string | Buffer): void {
  let at = 0
  const timer = setInterval(() => connection.write(text.slice(at, ++at)), 100)
  connection.socket.once('close', () => clearInterval(timer))
}

/** What a client begins a handshake with. */
async function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => undefined,
      write(bytes: Buffer, _encoding, done) {
        resolve(bytes)
        done()
      },
    })
    connect({ socket: wire, host: 'localhost' }).on('error', () => undefined)
  })
}

describe.each(['both', 'only'] as const)('a port with http.tls.mode %s', (mode) => {
  it('cuts clients whose handshake or headers take too long, and nobody else', async () => {
    const server = await startImpatientServer(mode)
    const hello = await clientHello()
    const inHandshake = await Promise.all([1, 2, 3, 4].map(() => RawConnection.open(server.port)))
    const behindIt = await Promise.all(
      [1, 2, 3].map(() => RawConnection.openTls(server.port, server.trust)),
    )

    // The first one says nothing at all, neither here nor there.
    inHandshake[1]?.write(hello.subarray(0, hello.length / 2))
    inHandshake[2]?.write(hello)
    trickle(inHandshake[3] as RawConnection, hello)
    behindIt[1]?.write('GET /v2/ HT')
    behindIt[2]?.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n')
    trickle(behindIt[2] as RawConnection, 'X-A: b\r\n'.repeat(1000))
    const answers = await Promise.all(behindIt.map((connection) => connection.answer()))
    await Promise.all([...inHandshake, ...behindIt].map((connection) => connection.closed()))
    const other = await RawConnection.openTls(server.port, server.trust)
    other.write(ping)

    expect((await other.answer()).status).toBe(200)
    for (const { status, body } of answers) {
      expect([status, body]).toEqual([408, expect.stringContaining('UNSUPPORTED')])
    }
  })

  it('tells clients that send a body too slowly, and cuts them', async () => {
    const server = await startImpatientServer(mode)
    const locations = [await openUpload(server, name), await openUpload(server, name)]
    const connections = await Promise.all(
      locations.map(() => RawConnection.openTls(server.port, server.trust)),
    )

    for (const [index, location] of locations.entries()) {
      const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`
      connections[index]?.write(head)
    }
    trickle(connections[1] as RawConnection, 'x'.repeat(1000))
    const answers = await Promise.all(connections.map((connection) => connection.answer()))
    await Promise.all(connections.map((connection) => connection.closed()))

    for (const [index, { status, body }] of answers.entries()) {
      expect([status, body]).toEqual([408, expect.stringContaining('the body came too slowly')])
      expect((await server.app.inject(locations[index] ?? '')).statusCode).toBe(204)
    }
  })

  it('cuts a client that reads an answer too slowly', async () => {
    const server = await startImpatientServer(mode)
    const digest = await pushBlob(server.app, name, bytesOf(20_000_000))
    const connection = await RawConnection.openTls(server.port, server.trust)
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

describe('a port that speaks TLS alone', () => {
  it('takes a body that comes in bursts', async () => {
    const http = { ...impatient, slowSeconds: 2 }
    const server = await startTlsServer('only', { config: { http } })
    const location = await openUpload(server, name)
    const connection = await RawConnection.openTls(server.port, server.trust)

    await sendInBursts(connection, location)

    expect((await connection.answer()).status).toBe(202)
  })

  it('cuts a client that has not the certificate it should have, and never asks for anything', async () => {
    const clientCaFile = path.join(await temporaryDirectory(), 'clients.crt')
    await writeFile(clientCaFile, (await makeClientCertificate()).ca)
    const server = await startTlsServer('only', {
      config: { http: impatient },
      tls: { clientCertificates: 'required', clientCaFile },
    })
    const connection = await RawConnection.openTls(server.port, server.trust)

    await connection.closed()

    expect(connection.received).toBe('')
  })
})
