import { describe, expect, it } from 'vitest'
import { DiskFloor } from '../../src/registry/disk-floor.js'
import type { FreeSpace } from '../../src/storage/blob-store.js'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

interface Disk {
  space: FreeSpace | undefined
  asked: number
  now: number
}

/** A floor of a disk that a test fills as it likes. */
function floorOf(space: FreeSpace | undefined, reserveBytes = 256 * MIB) {
  const disk: Disk = { space, asked: 0, now: 0 }
  const floor = new DiskFloor({
    freeSpace: async () => {
      disk.asked++
      return disk.space
    },
    reserveBytes,
    now: () => disk.now,
  })
  return { disk, floor }
}

describe('the floor of free space', () => {
  it.each([
    ['with room above it', 257 * MIB, 0],
    ['at it', 256 * MIB, 0],
    ['for what just fits', 300 * MIB, 44 * MIB],
  ])('lets an upload in %s', async (_, freeBytes, byteCount) => {
    const { floor } = floorOf({ freeBytes, totalBytes: 100 * GIB })

    await expect(floor.requireRoom(byteCount)).resolves.toBeUndefined()
  })

  it.each([
    ['below it', 256 * MIB - 1, 0],
    ['for a byte that does not fit', 300 * MIB, 44 * MIB + 1],
    ['for more than the disk has', 300 * MIB, 2 * 1024 * GIB],
    ['on a disk that is full', 0, 0],
  ])('refuses an upload %s', async (_, freeBytes, byteCount) => {
    const { floor } = floorOf({ freeBytes, totalBytes: 100 * GIB })

    await expect(floor.requireRoom(byteCount)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
  })

  it('says what is left, what is kept, and what would be needed', async () => {
    const { floor } = floorOf({ freeBytes: 300 * MIB, totalBytes: 100 * GIB })

    await expect(floor.requireRoom(1.5 * GIB)).rejects.toThrow(
      'the registry has 314.6 MB of disk space left and keeps 268.4 MB of it free: ' +
        'no room for 1.6 GB more; free some and try again',
    )
  })

  it('is a tenth of a small disk', async () => {
    const { disk, floor } = floorOf({ freeBytes: 100 * MIB, totalBytes: GIB })

    await expect(floor.requireRoom(0)).rejects.toThrow('keeps 107.4 MB of it free')
    disk.space = { freeBytes: 103 * MIB, totalBytes: GIB }
    disk.now = 1000
    await expect(floor.requireRoom(0)).resolves.toBeUndefined()
  })

  it('lets manifests in down to half of it', async () => {
    const { disk, floor } = floorOf({ freeBytes: 128 * MIB + 1000, totalBytes: 100 * GIB })

    await expect(floor.requireRoomForManifest(1000)).resolves.toBeUndefined()
    await expect(floor.requireRoomForManifest(1001)).rejects.toMatchObject({ statusCode: 507 })
    disk.space = { freeBytes: 128 * MIB - 1, totalBytes: 100 * GIB }
    disk.now = 1000
    await expect(floor.requireRoomForManifest(0)).rejects.toMatchObject({ statusCode: 507 })
  })

  it('asks the disk once a second, however many ask', async () => {
    const { disk, floor } = floorOf({ freeBytes: GIB, totalBytes: 100 * GIB })

    await Promise.all(Array.from({ length: 100 }, () => floor.requireRoom(0)))
    disk.now = 999
    await floor.requireRoom(0)
    const askedFirst = disk.asked
    disk.space = { freeBytes: 0, totalBytes: 100 * GIB }
    disk.now = 1000
    const refused = await floor.requireRoom(0).catch((error: unknown) => error)

    expect([askedFirst, disk.asked]).toEqual([1, 2])
    expect(refused).toMatchObject({ code: 'STORAGE_FULL' })
  })

  it('is none when nothing is kept free, and then nobody is asked', async () => {
    const { disk, floor } = floorOf({ freeBytes: 0, totalBytes: GIB }, 0)

    await floor.requireRoom(GIB)
    await floor.requireRoomForManifest(GIB)

    expect(disk.asked).toBe(0)
  })

  it('is none where room has no end', async () => {
    const { floor } = floorOf(undefined)

    await expect(floor.requireRoom(1024 * GIB)).resolves.toBeUndefined()
  })
})
