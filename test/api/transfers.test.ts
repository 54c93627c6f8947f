import { once } from 'node:events'
import { readdirSync, readlinkSync, truncateSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hexOf, type Digest } from '../../src/oci/digest.js'
import { eventually } from '../support/eventually.js'
import { ABSENT, bytesOf, pushBlob } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { startTestServer, type TestServer } from '../support/server.js'

const name = 'team/app'

/** Above what goes piece by piece in any case, and not a whole number of anything. */
const largeBytes = 3 * 1024 * 1024 + 17
const mediumBytes = 300_001

/** More than the buffers of a connection take, so that its reader is really waited for. */
const hugeBytes = 24 * 1024 * 1024 + 5

interface Store extends TestServer {
  readonly largeDigest: Digest
  readonly mediumDigest: Digest
}

/** Made once: making it takes longer than sending it. */
const large = bytesOf(largeBytes, 'large')
const medium = bytesOf(mediumBytes, 'medium')
const huge = Buffer.alloc(hugeBytes, large)

async function startStore(sendfile: boolean): Promise<Store> {
  const server = await startTestServer({ config: { storage: { sendfile } } })
  return {
    ...server,
    largeDigest: await pushBlob(server.app, name, large),
    mediumDigest: await pushBlob(server.app, name, medium),
  }
}

function request(digest: Digest, headers = '', method = 'GET'): string {
  return `${method} /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`
}

function openBlobs({ dataDirectory }: TestServer): string[] {
  const blobs = path.join(dataDirectory, 'blobs')
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(blobs)
    } catch {
      return false
    }
  })
}

function connectionsTo({ app }: TestServer): Promise<number> {
  return new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)))
}

/** Reads so many bytes of an answer, then hangs up. */
async function readAndHangUp({ port }: TestServer, text: string, byteCount: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let received = 0
  await new Promise<void>((resolve) => {
    socket.on('data', (piece) => {
      received += piece.byteLength
      if (received >= byteCount) resolve()
    })
    socket.write(text, () => {
      if (byteCount === 0) resolve()
    })
  })
  socket.destroy()
}

function bodyIn(answer: string): Buffer {
  return Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1')
}

function isSame(body: string, bytes: Buffer): boolean {
  return Buffer.from(body, 'latin1').equals(bytes)
}

describe.each([
  ['with the help of the kernel', true],
  ['piece by piece', false],
])('a blob that is sent %s', (_, sendfile) => {
  it('is whole each time on one connection, between answers of every other kind', async () => {
    const store = await startStore(sendfile)
    const { largeDigest, mediumDigest } = store
    const connection = await RawConnection.open(store.port)

    for (let round = 0; round < 15; round++) {
      const first = 17 * round
      connection.write(request(largeDigest))
      const whole = await connection.answer()
      connection.write(request(mediumDigest))
      const other = await connection.answer()
      connection.write(request(largeDigest, `Range: bytes=${first}-${first + 999_999}\r\n`))
      const part = await connection.answer()
      connection.write(request(ABSENT))
      const absent = await connection.answer()

      expect([whole, other, part, absent].map(({ status }) => status)).toEqual([200, 200, 206, 404])
      expect(isSame(whole.body, large)).toBe(true)
      expect(isSame(other.body, medium)).toBe(true)
      expect(isSame(part.body, large.subarray(first, first + 1_000_000))).toBe(true)
    }
  })

  it('is whole and in its place when many requests are sent ahead', async () => {
    const store = await startStore(sendfile)
    const { largeDigest, mediumDigest } = store
    const connection = await RawConnection.open(store.port)
    const text = [
      request(largeDigest),
      request(mediumDigest),
      request(ABSENT),
      request(largeDigest, 'Range: bytes=1000-\r\n'),
      request(mediumDigest, `If-None-Match: "${mediumDigest}"\r\n`),
      request(mediumDigest),
    ].join('')

    connection.write(text.repeat(3))

    for (let round = 0; round < 3; round++) {
      expect(isSame((await connection.answer()).body, large)).toBe(true)
      expect(isSame((await connection.answer()).body, medium)).toBe(true)
      expect((await connection.answer()).status).toBe(404)
      expect(isSame((await connection.answer()).body, large.subarray(1000))).toBe(true)
      expect((await connection.answer()).status).toBe(304)
      expect(isSame((await connection.answer()).body, medium)).toBe(true)
    }
    expect(connection.received).toBe('')
  })

  it('ends when its client hangs up, wherever that is, and disturbs nobody', async () => {
    const store = await startStore(sendfile)
    const { largeDigest, mediumDigest } = store
    const points = [0, 1, 200, 1_000, 65_536, 300_000, 1_000_000, 2_500_000, largeBytes]

    // New connections get the numbers of the descriptors that have just become free.
    const hangUps = Array.from({ length: 6 }, async (__, worker) => {
      for (const point of points) {
        await readAndHangUp(store, request(worker % 2 ? largeDigest : mediumDigest), 0)
        await readAndHangUp(store, request(largeDigest).repeat(worker % 3), point)
      }
    })
    const pulls = Array.from({ length: 6 }, async () => {
      const results = []
      for (let round = 0; round < 4; round++) {
        const connection = await RawConnection.open(store.port)
        connection.write(request(largeDigest) + request(mediumDigest))
        results.push(isSame((await connection.answer()).body, large))
        results.push(isSame((await connection.answer()).body, medium))
        connection.socket.destroy()
      }
      return results
    })
    // Those who ask for nothing wait for nothing.
    await Promise.all(hangUps.slice(1).filter((__, index) => index % 3 !== 2))

    expect((await Promise.all(pulls)).flat()).not.toContain(false)
    await eventually(
      () => openBlobs(store).length,
      (count) => count === 0,
    )
  })

  it('waits for readers that stall, and for nobody else', async () => {
    const store = await startStore(sendfile)
    const { mediumDigest } = store
    const hugeDigest = await pushBlob(store.app, name, huge)
    const stalled = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const connection = await RawConnection.open(store.port)
        connection.socket.pause()
        connection.write(request(hugeDigest))
        return connection
      }),
    )
    await eventually(
      () => openBlobs(store).length,
      (count) => count === stalled.length,
    )
    const other = await RawConnection.open(store.port)
    other.write(request(mediumDigest))
    const answer = await other.answer()

    expect(isSame(answer.body, medium)).toBe(true)
    for (const connection of stalled.slice(0, 3)) {
      connection.socket.resume()
      expect(isSame((await connection.answer()).body, huge)).toBe(true)
    }
    for (const connection of stalled) connection.socket.destroy()
    await eventually(
      () => openBlobs(store).length,
      (count) => count === 0,
    )
  })

  it('ends its connection, instead of the answer, when the file is cut meanwhile', async () => {
    const store = await startStore(sendfile)
    const digest = await pushBlob(store.app, name, huge)
    const hex = hexOf(digest)
    const file = path.join(store.dataDirectory, 'blobs/sha256', hex.slice(0, 2), hex)
    const connection = await RawConnection.open(store.port)
    connection.write(request(digest))
    await once(connection.socket, 'data')
    connection.socket.pause()

    // To nothing: what the kernel is sending is the file's own memory, and of a page that the end of
    // the file is in, the rest becomes zeros there too.
    truncateSync(file, 0)
    connection.socket.resume()
    await connection.closed()

    const body = bodyIn(connection.received)
    expect(body.byteLength).toBeLessThan(hugeBytes)
    expect(body.equals(huge.subarray(0, body.byteLength))).toBe(true)
    const url = `/v2/${name}/blobs/${digest}`
    const head = await store.app.inject({ method: 'HEAD', url })
    await pushBlob(store.app, name, huge)
    const healed = await store.app.inject(url)
    expect([head.statusCode, healed.statusCode]).toEqual([404, 200])
    expect(healed.rawPayload.equals(huge)).toBe(true)
  })

  it('is not mixed with the refusal of what is no request behind it', async () => {
    const store = await startStore(sendfile)
    const digest = await pushBlob(store.app, name, huge)
    const connection = await RawConnection.open(store.port)
    connection.write(request(digest))
    await once(connection.socket, 'data')
    connection.socket.pause()

    connection.write('garbage that is no HTTP\r\n\r\n')
    await setImmediate()
    connection.socket.resume()
    await connection.closed()

    const body = bodyIn(connection.received)
    expect(body.equals(huge.subarray(0, body.byteLength))).toBe(true)
  })

  it('goes on while the server closes', async () => {
    const store = await startTestServer({
      config: { storage: { sendfile }, http: { shutdownSeconds: 30 } },
    })
    const digest = await pushBlob(store.app, name, huge)
    const connection = await RawConnection.open(store.port)
    connection.write(request(digest))
    await once(connection.socket, 'data')
    connection.socket.pause()

    const closed = store.server.close()
    connection.socket.resume()
    const answer = await connection.answer()
    await closed

    expect(isSame(answer.body, huge)).toBe(true)
  })

  it('leaves no connection behind whose client is gone before its turn', async () => {
    const store = await startStore(sendfile)
    const digest = await pushBlob(store.app, name, huge)
    const connection = await RawConnection.open(store.port)
    connection.socket.pause()
    connection.write(request(digest).repeat(20))
    await eventually(
      () => openBlobs(store).length,
      (count) => count > 1,
    )

    connection.socket.destroy()

    await eventually(
      async () => (await connectionsTo(store)) + openBlobs(store).length,
      (count) => count === 0,
    )
  })
})

it('says the same with every path switched off', async () => {
  const [kernel, pieces] = [await startStore(true), await startStore(false)]
  const headers = ['', 'Range: bytes=5-\r\n', 'Range: bytes=0-9,500000-1500000\r\n']
  const answersOf = async ({ port, largeDigest }: Store) => {
    const connection = await RawConnection.open(port)
    onTestFinished(() => void connection.socket.destroy())
    const answers = []
    for (const header of headers) {
      connection.write(request(largeDigest, header))
      const { head, body } = await connection.answer()
      const boundary = /boundary=(\S+)/.exec(head)?.[1] ?? 'none'
      const lines = head.split('\r\n').filter((line) => !/^(date|x-request-id):/i.test(line))
      answers.push([...lines, body].map((text) => text.replaceAll(boundary, 'boundary')))
    }
    return answers
  }

  const [first, second] = [await answersOf(kernel), await answersOf(pieces)]

  expect(JSON.stringify(first) === JSON.stringify(second)).toBe(true)
})
