import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf, type Digest } from '../../src/oci/digest.js'
import { bytesOf, codesOf, pushBlob, sha256 } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { startTestServer, type TestServer } from '../support/server.js'

const name = 'team/app'
const content = bytesOf(2_000_000)
const digest = sha256(content)
const url = `/v2/${name}/blobs/${digest}`

async function startStore(verifyReads = true): Promise<TestServer> {
  const server = await startTestServer({ config: { storage: { verifyReads } } })
  await pushBlob(server.app, name, content)
  return server
}

async function flip({ dataDirectory }: TestServer, of: Digest, position: number): Promise<void> {
  const hex = hexOf(of)
  const file = path.join(dataDirectory, 'blobs/sha256', hex.slice(0, 2), hex)
  const bytes = await readFile(file)
  bytes[position] = ~(bytes[position] ?? 0)
  await writeFile(file, bytes)
}

/** What a client gets before the connection is cut. */
async function readToCut({ port }: TestServer, headers = ''): Promise<string> {
  const connection = await RawConnection.open(port)
  connection.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
  await connection.closed()
  return connection.received
}

describe('with storage.verifyReads', () => {
  it('good blobs are read as ever, whole and in parts', async () => {
    const { app } = await startStore()

    const whole = await app.inject(url)
    const part = await app.inject({ url, headers: { range: 'bytes=1000000-1999999' } })
    const open = await app.inject({ url, headers: { range: 'bytes=0-' } })
    const parts = await app.inject({ url, headers: { range: 'bytes=5-9,1999990-' } })
    const outside = await app.inject({ url, headers: { range: 'bytes=2000000-' } })

    const answers = [whole, part, open, parts, outside]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 206, 206, 206, 416])
    expect(whole.rawPayload.equals(content)).toBe(true)
    expect(part.rawPayload.equals(content.subarray(1_000_000))).toBe(true)
    expect(open.rawPayload.equals(content)).toBe(true)
    expect(parts.rawPayload.includes(content.subarray(1_999_990))).toBe(true)
  })

  it.each([
    [0, ''],
    [1_000_000, ''],
    [1_999_999, ''],
    [1_000_000, 'Range: bytes=0-\r\n'],
  ])(
    'a blob with a bad byte at %i is cut before its end, counts as absent, and heals: %j',
    async (position, headers) => {
      const server = await startStore()
      await flip(server, digest, position)

      const received = await readToCut(server, headers)
      const [head, again] = [
        await server.app.inject({ method: 'HEAD', url }),
        await server.app.inject(url),
      ]
      await pushBlob(server.app, name, content)
      const healed = await server.app.inject(url)

      const body = received.slice(received.indexOf('\r\n\r\n') + 4)
      expect(received).toMatch(/^content-length: 2000000\r$/im)
      expect(body.length).toBeLessThan(content.length)
      expect([head.statusCode, again.statusCode]).toEqual([404, 404])
      expect(codesOf(again)).toEqual(['BLOB_UNKNOWN'])
      expect(healed.rawPayload.equals(content)).toBe(true)
    },
  )

  it.each(['bytes=0-9', 'bytes=1999990-', 'bytes=0-9,500-509'])(
    'no part of a blob with a bad byte elsewhere is given: %s',
    async (range) => {
      const server = await startStore()
      await flip(server, digest, 1_000_000)

      const part = await server.app.inject({ url, headers: { range } })
      const head = await server.app.inject({ method: 'HEAD', url })

      expect([part.statusCode, head.statusCode]).toEqual([404, 404])
      expect(codesOf(part)).toEqual(['BLOB_UNKNOWN'])
    },
  )

  it('other requests on the connection of a part are answered in their turn', async () => {
    const server = await startStore()
    const connection = await RawConnection.open(server.port)
    const request = `GET ${url} HTTP/1.1\r\nHost: x\r\n`

    connection.write(`${request}Range: bytes=0-99\r\n\r\n${request}\r\n`)
    const [part, whole] = [await connection.answer(), await connection.answer()]

    expect([part.status, whole.status]).toEqual([206, 200])
    expect(sha256(Buffer.from(whole.body, 'latin1'))).toBe(digest)
  })
})

it('without storage.verifyReads a bad byte passes, as the file has its size', async () => {
  const server = await startStore(false)
  await flip(server, digest, 1_000_000)

  const { statusCode, rawPayload } = await server.app.inject(url)

  expect(statusCode).toBe(200)
  expect(rawPayload.equals(content)).toBe(false)
})
