import { rm, statfs, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from '../../support/directories.js'
import { run } from './run.js'

/** The disk may fill up to its last byte. */
export const noFloor = { BERTH_STORAGE_RESERVE_BYTES: '0' }

/** A real file system with so much room, gone with the test. */
export async function smallDisk(sizeBytes: number): Promise<string> {
  const directory = await temporaryDirectory()
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', directory])
  onTestFinished(async () => void (await run('umount', ['--lazy', directory])))
  return directory
}

/** Fills a disk, or empties it again, until it has so much room. */
export async function leaveFree(disk: string, freeBytes: number): Promise<void> {
  const ballast = path.join(disk, 'ballast')
  await rm(ballast, { force: true })
  const { bavail, bsize } = await statfs(disk)
  await writeFile(ballast, new Uint8Array(Math.max(0, bavail * bsize - freeBytes)))
}
