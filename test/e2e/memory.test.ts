import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startBerth, type Berth } from './support/berth.js'
import { MIB } from './support/images.js'
import { pushLarge } from './support/large-blob.js'

const blobBytes = 768 * MIB
const residentBytesMax = 256 * MIB

const uploadsAtOnce = 64
const uploadBytes = 32 * MIB
const uploadsResidentBytesMax = 250 * MIB

const readersAtOnce = 500
const readersResidentBytesMax = 250 * MIB

const fullCollectionsMax = 4

/** A layer that nobody holds in memory: one piece again and again. */
function* layerOf(piece: Uint8Array): Generator<Uint8Array> {
  for (let sent = 0; sent < blobBytes; sent += piece.byteLength) yield piece
}

/** The most memory that the process has ever had. */
async function peakResidentBytes({ pid }: Berth): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

describe('a layer far larger than the heap', () => {
  it('goes in and out of a small process', async () => {
    const berth = await startBerth({ nodeOptions: ['--max-old-space-size=128'] })
    const piece = new Uint8Array(randomBytes(MIB))
    const hash = createHash('sha256')
    for (const part of layerOf(piece)) hash.update(part)
    const digest = `sha256:${hash.digest('hex')}`
    const opened = await fetch(`${berth.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
    const location = `${berth.url}${opened.headers.get('location')}`

    const patched = await fetch(location, {
      method: 'PATCH',
      body: Readable.toWeb(Readable.from(layerOf(piece))),
      duplex: 'half',
    })
    const done = await fetch(`${location}?digest=${digest}`, { method: 'PUT' })
    const read = await fetch(`${berth.url}/v2/team/app/blobs/${digest}`)
    const out = createHash('sha256')
    for await (const piece of read.body ?? []) out.update(piece as Uint8Array)

    expect([patched.status, done.status, read.status]).toEqual([202, 201, 200])
    expect(`sha256:${out.digest('hex')}`).toBe(digest)
    expect(await peakResidentBytes(berth)).toBeLessThan(residentBytesMax)
  })
})

/** Begins a session and brings it bytes in one PATCH. */
async function bring({ port }: Berth, piece: Uint8Array, sizeBytes: number): Promise<number> {
  const agent = new Agent({ keepAlive: true })
  const send = (method: string, path: string, length: number) =>
    request({ agent, host: '127.0.0.1', port, method, path, headers: { 'content-length': length } })
  const opening = send('POST', '/v2/team/app/blobs/uploads/', 0).end()
  const [opened] = (await once(opening, 'response')) as [IncomingMessage]
  opened.resume()
  const patch = send('PATCH', String(opened.headers.location), sizeBytes)
  const answered = once(patch, 'response') as Promise<[IncomingMessage]>
  for (let sent = 0; sent < sizeBytes; sent += piece.byteLength) {
    if (!patch.write(piece)) await once(patch, 'drain')
  }
  patch.end()
  const [{ statusCode = 0, headers }] = await answered
  agent.destroy()
  return headers['range'] === `0-${sizeBytes - 1}` ? statusCode : 0
}

describe('many uploads at once', () => {
  it('share a bounded memory', async () => {
    const berth = await startBerth()
    const piece = new Uint8Array(randomBytes(MIB))

    const statuses = await Promise.all(
      Array.from({ length: uploadsAtOnce }, () => bring(berth, piece, uploadBytes)),
    )

    expect(new Set(statuses)).toEqual(new Set([202]))
    expect(await peakResidentBytes(berth)).toBeLessThan(uploadsResidentBytesMax)
  })

  it('may be a thousand', async () => {
    const berth = await startBerth()
    const piece = new Uint8Array(randomBytes(100_000))

    const statuses = await Promise.all(
      Array.from({ length: 1_000 }, () => bring(berth, piece, 2 * piece.byteLength)),
    )

    expect(new Set(statuses)).toEqual(new Set([202]))
    expect(await peakResidentBytes(berth)).toBeLessThan(2 * uploadsResidentBytesMax)
  })
})

/** Asks for a blob, and takes no more than the first bytes of it until it is resumed. */
async function readSlowly({ port }: Berth, digest: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(`GET /v2/team/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  await once(socket, 'readable')
  return socket
}

/** The rest of what a socket gives, behind the head of the answer. */
async function digestOfBody(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  let head: Buffer | undefined = Buffer.of()
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (head === undefined) {
      hash.update(chunk)
      continue
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) continue
    hash.update(head.subarray(end + 4))
    head = undefined
  }
  return `sha256:${hash.digest('hex')}`
}

describe.each([
  ['with the help of the kernel', {}],
  ['without the help of the kernel', { BERTH_STORAGE_SENDFILE: 'false' }],
])('many readers that take nothing, %s,', (_, settings) => {
  it('hold little memory, and are sent all when they go on', async () => {
    const berth = await startBerth({ settings })
    const digest = await pushLarge(berth, new Uint8Array(randomBytes(MIB)), 64)

    const sockets = await Promise.all(
      Array.from({ length: readersAtOnce }, () => readSlowly(berth, digest)),
    )
    const other = await fetch(`${berth.url}/v2/team/app/blobs/${digest}`)
    const bytes = await other.arrayBuffer()
    const peak = await peakResidentBytes(berth)
    const digests = await Promise.all(sockets.slice(-8).map(digestOfBody))

    expect(bytes.byteLength).toBe(64 * MIB)
    expect(peak).toBeLessThan(readersResidentBytesMax)
    expect(new Set(digests)).toEqual(new Set([digest]))
  })
})

describe('an upload', () => {
  it('does not make the whole heap be collected again and again', async () => {
    const berth = await startBerth({ nodeOptions: ['--trace-gc'] })
    const full = () => berth.output().split('Mark-Compact').length
    const before = full()

    await bring(berth, new Uint8Array(randomBytes(MIB)), 512 * MIB)

    expect(full() - before).toBeLessThanOrEqual(fullCollectionsMax)
  })
})
