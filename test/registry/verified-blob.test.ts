import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { VerifiedBlob } from '../../src/registry/verified-blob.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import { bytesFrom, HeldSink, put } from '../storage/blob-store-contract.js'
import { temporaryDirectory } from '../support/directories.js'
import { bytesOf } from '../support/images.js'

const good = bytesOf(1_500_000)
const whole = { firstByte: 0, lastByte: good.length - 1 }
const part = { firstByte: 1000, lastByte: 1_000_000 }

/** A blob that is open, with other bytes in its file than its digest says. */
async function openVerified(bytes = good): Promise<VerifiedBlob> {
  const root = await temporaryDirectory()
  const store = await FsBlobStore.open(root)
  const digest = await put(store, good)
  await writeFile(path.join(root, 'blobs', await store.locate(digest, good.length)), bytes)
  const opened = await store.open(digest, good.length)
  onTestFinished(() => opened.close())
  const row = { digest, sizeBytes: good.length, inline: false, storedAt: 0, leasedUntil: 0 }
  return new VerifiedBlob(opened, row)
}

function flippedAt(position: number): Buffer {
  const bytes = Buffer.from(good)
  bytes[position] = ~(bytes[position] ?? 0)
  return bytes
}

describe('a blob whose reads are verified', () => {
  it('is given whole when it is what it should be', async () => {
    const blob = await openVerified()

    expect((await bytesFrom(blob, whole)).equals(good)).toBe(true)
    expect((await bytesFrom(blob, whole)).equals(good)).toBe(true)
  })

  it('is given in parts when all of it is what it should be', async () => {
    const blob = await openVerified()
    await blob.verify()

    const bytes = await bytesFrom(blob, part)

    expect(bytes.equals(good.subarray(part.firstByte, part.lastByte + 1))).toBe(true)
  })

  it.each([0, 700_000, good.length - 1])(
    'keeps its last piece back when byte %i has rotted',
    async (position) => {
      const rotten = flippedAt(position)
      const blob = await openVerified(rotten)
      const sink = new HeldSink()
      sink.release()

      const sent = blob.send(whole, sink)

      await expect(sent).rejects.toMatchObject({ name: 'BlobDamagedError', damage: 'content' })
      const given = Buffer.concat(sink.pieces)
      expect(given.length).toBeLessThan(good.length)
      expect(given.equals(rotten.subarray(0, given.length))).toBe(true)
    },
  )

  it.each([0, 700_000, good.length - 1])(
    'gives no byte of a part when byte %i has rotted, be that in the part or not',
    async (position) => {
      const blob = await openVerified(flippedAt(position))
      const sink = new HeldSink()
      sink.release()

      await expect(blob.verify()).rejects.toMatchObject({ damage: 'content' })
      await expect(blob.send(part, sink)).rejects.toMatchObject({ damage: 'content' })

      expect(sink.pieces).toEqual([])
    },
  )

  it('is read no further when nobody wants it any more', async () => {
    const blob = await openVerified()
    let asked = 0

    const verified = blob.verify(() => asked++ < 2)

    await expect(verified).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' })
    expect(asked).toBe(3)
  })

  it('never leaves its bytes to the kernel', async () => {
    const blob = await openVerified(flippedAt(5))
    const direct = {
      get socket(): never {
        throw new Error('nobody may ask for it')
      },
      flush: async () => undefined,
      sent: () => undefined,
    }
    const sink = { write: async () => undefined, direct }

    await expect(blob.send(whole, sink)).rejects.toMatchObject({ damage: 'content' })
  })
})
