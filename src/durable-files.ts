import { closeSync, constants, fsyncSync, openSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { DurabilityLostError } from './errors.js'

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

function durabilityLost(cause: unknown): DurabilityLostError {
  return new DurabilityLostError('a file or folder could not be synced to disk', { cause })
}
