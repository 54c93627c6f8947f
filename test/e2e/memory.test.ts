import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { startBerth, type Berth } from './support/berth.js'
import { MIB } from './support/images.js'

const blobBytes = 768 * MIB
const residentBytesMax = 256 * MIB

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
