import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { algorithmOf, type Digest } from '../oci/digest.js'
import { BlobDamagedError, type CheckOptions } from './blob-store.js'
import { digestOfFile } from './file-digest.js'
import { otherContent, readFailure } from './fs-errors.js'

/** Something else than a file, a pipe for one, must not keep a thread waiting. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * Opens a file that has a known size.
 *
 * @throws {@link BlobDamagedError} when it is missing, unreadable, no file, or has another size;
 *   {@link RegistryError} `UNAVAILABLE`
 */
export async function openWhole(path: string, sizeBytes: number): Promise<FileHandle> {
  let file: FileHandle | undefined
  try {
    file = await open(path, flags)
    const stats = await file.stat()
    if (!stats.isFile()) throw new BlobDamagedError('unreadable', 'the blob is not a file')
    if (stats.size !== sizeBytes) {
      throw new BlobDamagedError('size', `the blob has ${stats.size} bytes instead of ${sizeBytes}`)
    }
    return file
  } catch (error) {
    await file?.close()
    throw readFailure(error)
  }
}

/**
 * Reads a whole file, and compares its digest.
 *
 * @throws as {@link openWhole}; {@link BlobDamagedError} also when it has another digest; the reason of
 *   {@link CheckOptions.signal}
 */
export async function checkWhole(
  path: string,
  digest: Digest,
  sizeBytes: number,
  options?: CheckOptions,
): Promise<void> {
  const file = await openWhole(path, sizeBytes)
  try {
    const actual = await digestOfFile(file, algorithmOf(digest), sizeBytes, options)
    if (actual !== digest) throw otherContent(actual)
  } catch (error) {
    options?.signal?.throwIfAborted()
    throw readFailure(error)
  } finally {
    await file.close()
  }
}
