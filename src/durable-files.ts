import { closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { DurabilityLostError, errorCode } from './errors.js'

/**
 * Waits until a file or folder is on disk. Whatever a failed sync says, nobody knows any more what
 * the disk holds: it is never retried.
 *
 * @throws {@link DurabilityLostError}
 */
export async function sync(file: FileHandle): Promise<void> {
  try {
    await file.datasync()
  } catch (error) {
    throw durabilityLost(error)
  }
}

/** A name in a folder is durable only once the folder is: after a rename, after a new file. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await sync(handle)
  } finally {
    await handle.close()
  }
}

/**
 * Changes the names in a folder, durably. The folder is opened before: once they have changed, nothing
 * can fail but the sync.
 *
 * @throws {@link DurabilityLostError}; what opening and the change throw, with nothing changed
 */
export async function changeFolder(folder: string, change: () => Promise<void>): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await change()
    await sync(handle)
  } finally {
    await handle.close()
  }
}

/** As `sync` for a file or folder by its path, for the start, when nobody is waiting yet. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(descriptor)
  } catch (error) {
    throw durabilityLost(error)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Makes a folder and those on the way to it, unless they are there; their names survive a power cut, too.
 *
 * Each is made once: what Node calls `recursive` never comes to an end where a folder that is there
 * says that it is not, as /proc does to whoever makes one in it.
 *
 * @throws what the system says of the first that cannot be made; {@link DurabilityLostError}
 */
export function makeFolder(folder: string): void {
  const missing: string[] = []
  let last = path.resolve(folder)
  for (; !existsSync(last); last = path.dirname(last)) missing.unshift(last)
  for (const one of missing) {
    if (makeOne(one)) syncPath(path.dirname(one))
  }
}

/** False when somebody else has made it meanwhile. */
function makeOne(folder: string): boolean {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST' && existsSync(folder)) return false
    throw error
  }
}

function durabilityLost(cause: unknown): DurabilityLostError {
  return new DurabilityLostError('a file or folder could not be synced to disk', { cause })
}
