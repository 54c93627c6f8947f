import path from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { storageFull } from '../../src/errors.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { DiskFloor } from '../../src/registry/disk-floor.js'
import { Leases } from '../../src/registry/leases.js'
import { Quotas } from '../../src/registry/quotas.js'
import { Uploads } from '../../src/registry/uploads.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { sha256 } from '../support/images.js'
import { APP } from '../support/records.js'
import { sourceOf } from '../support/sources.js'

const MIB = 1024 * 1024

/** Uploads on a disk of a gibibyte that has so much room left. */
async function startUploads(roomBytes: number) {
  const directory = await temporaryDirectory()
  const blobs = await FsBlobStore.open(directory)
  const metadata = await SqliteMetadataStore.open({ file: path.join(directory, 'berth.db') })
  onTestFinished(() => metadata.close())
  const disk = { freeBytes: roomBytes, totalBytes: 1024 * MIB }
  let clock = 0
  const floor = new DiskFloor({
    freeSpace: async () => ({ ...disk }),
    reserveBytes: 100 * MIB,
    now: () => (clock += 1000),
  })
  const log = pino({ level: 'silent' })
  const leases = new Leases(metadata, log, { now: Date.now, leaseSeconds: 60 })
  const uploads = new Uploads({ metadata, blobs }, leases, new Quotas(metadata, []), {
    now: Date.now,
    floor,
    finishRemovals: () => undefined,
    inlineBytesMax: 65_536,
    expireMs: 60_000,
    sessionsMax: 10,
  })
  return { disk, uploads, metadata }
}

it('stops a body of unknown length at the floor, and goes on with it when there is room', async () => {
  const { disk, uploads } = await startUploads(180 * MIB)
  const { id } = await uploads.open(APP, 'sha256', 'tester')
  const piece = Buffer.alloc(MIB)
  const pieces = function* (count: number) {
    for (let index = 0; index < count; index++) {
      disk.freeBytes -= piece.length
      yield piece
    }
  }

  const refused = await uploads
    .append(APP, id, { source: sourceOf(pieces(170)) })
    .catch((error: unknown) => error)
  const { offsetBytes } = await uploads.get(APP, id)
  disk.freeBytes = 500 * MIB
  const rest = 170 - offsetBytes / MIB
  const whole = Buffer.alloc(170 * MIB)
  await uploads.commit(APP, id, sha256(whole), { source: sourceOf(pieces(rest)) })

  expect(refused).toMatchObject({ code: 'STORAGE_FULL' })
  // The second look at the disk finds that it has less than a hundred.
  expect(offsetBytes).toBeGreaterThanOrEqual(128 * MIB)
  expect(offsetBytes).toBeLessThan(170 * MIB)
})

it.each([40_000, 100_000])(
  'takes no byte of a body of %i that would leave too little',
  async (size) => {
    const { disk, uploads } = await startUploads(300 * MIB)
    const { id } = await uploads.open(APP, 'sha256', 'tester')
    disk.freeBytes = 100 * MIB + size - 1
    let isOpened = false
    const source = {
      open: () => {
        isOpened = true
        return { pause: () => undefined, resume: () => undefined, stop: () => undefined }
      },
    }
    const body = { source, announcedBytes: size }
    const digest = sha256('never asked for')

    const answers = await Promise.all([
      uploads.append(APP, id, body).catch((error: unknown) => error),
      uploads.putWhole(APP, digest, body, 'tester').catch((error: unknown) => error),
    ])
    const committed = await uploads.commit(APP, id, digest, body).catch((error: unknown) => error)

    for (const answer of [...answers, committed]) {
      expect(answer).toMatchObject({ code: 'STORAGE_FULL', statusCode: 507 })
    }
    expect(isOpened).toBe(false)
    expect((await uploads.get(APP, id)).offsetBytes).toBe(0)
  },
)

it('commits what has come before the disk was too full for more', async () => {
  const { disk, uploads } = await startUploads(300 * MIB)
  const bytes = Buffer.alloc(100_000)
  const { id } = await uploads.open(APP, 'sha256', 'tester')
  await uploads.append(APP, id, { source: sourceOf([bytes]) })
  disk.freeBytes = 0

  await uploads.commit(APP, id, sha256(bytes), { source: sourceOf([]), announcedBytes: 0 })

  await expect(uploads.open(APP, 'sha256', 'tester')).rejects.toMatchObject({ statusCode: 507 })
})

it.each(['a request of its own', 'a session'])(
  'leaves nothing of a blob whose row cannot be written: %s',
  async (way) => {
    const { uploads, metadata } = await startUploads(500 * MIB)
    const bytes = Buffer.alloc(MIB, way)
    const digest = sha256(bytes)
    vi.spyOn(metadata, 'putBlob').mockRejectedValueOnce(storageFull(undefined))
    const { id } = await uploads.open(APP, 'sha256', 'tester')
    const body = { source: sourceOf([bytes]) }

    const refused = await (
      way === 'a session'
        ? uploads.commit(APP, id, digest, body)
        : uploads.putWhole(APP, digest, body, 'tester')
    ).catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'STORAGE_FULL' })
    expect(await metadata.listFileRemovals(10)).toMatchObject([{ digest, destination: 'nowhere' }])
    await metadata.forgetFileRemovals([digest])
    await uploads.putWhole(APP, digest, { source: sourceOf([bytes]) }, 'tester')
  },
)
