import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, lstat, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { errorCode } from '../errors.js'
import { algorithmOf, type Digest } from '../oci/digest.js'
import {
  BlobDamagedError,
  type CheckOptions,
  type StoredFiles,
  type StoredFilesRequest,
} from './blob-store.js'
import { digestOfFile } from './file-digest.js'
import { isAbsent, otherContent, readFailure } from './fs-errors.js'
import { BLOBS, blobName } from './fs-layout.js'
import { listBlobFiles } from './fs-listing.js'
import { checkWhole, openWhole } from './fs-whole-file.js'

export interface BackupFilesOptions {
  /** The folder of the store that is read. It may be in use. */
  readonly from: string
  /** The folder that gets the same layout; of this caller alone. */
  readonly to: string
  /**
   * Whether both may be names of the same file. For a backup: files of blobs are never changed in
   * place. Not for a store that is made from one, or else what damages the store damages the backup.
   */
  readonly mayLink: boolean
}

export interface TransferOptions extends CheckOptions {
  /** Takes a file of the right size that is there before for the blob, and does not read it. */
  readonly trust?: boolean
}

/**
 * How a blob has come to where it is now:
 * - `present`: it was there before
 * - `cloned`: its bytes are shared until one of the two is changed, which the file system sees to
 * - `linked`: it is the same file
 * - `copied`: byte by byte
 */
export type Transfer = 'present' | 'cloned' | 'linked' | 'copied'

/** Whatever is not whole yet lies here, and goes with it. */
const PARTIAL = 'partial'

/**
 * Brings blobs from the folder of one store into that of another, the cheapest way there is: for a
 * backup, and for a store that is made from one.
 *
 * What `transfer` has done is durable once `finish` has returned, and not before: each folder is
 * synced once and not for each blob. Without `finish` nothing is lost either: what a next time finds
 * with its right size was whole before it got its name.
 */
export class BackupFiles {
  readonly #options: BackupFilesOptions
  /** Those with blobs in them, be it from an earlier time that did not come to its end. */
  readonly #folders = new Set<string>()
  #canClone = true
  #canLink: boolean

  private constructor(options: BackupFilesOptions) {
    this.#options = options
    this.#canLink = options.mayLink
  }

  /** Makes the folder, and removes what an earlier time has left half done. */
  static async open(options: BackupFilesOptions): Promise<BackupFiles> {
    const files = new BackupFiles(options)
    await mkdir(path.join(options.to, BLOBS), { recursive: true })
    await files.#removePartial()
    await mkdir(path.join(options.to, PARTIAL))
    return files
  }

  /**
   * Brings one blob over, and has read every byte of it then, but for what is trusted. What is in its
   * place with another size or digest is replaced in one step, by what is right and nothing else.
   *
   * @param options - {@link CheckOptions.bytesPerSecond} is for what is there before
   * @throws {@link BlobDamagedError} when the blob is missing, unreadable, or has another size or
   *   digest: what is in its place stays then. What the system throws when the other folder cannot be
   *   written; the reason of {@link CheckOptions.signal}
   */
  async transfer(
    digest: Digest,
    sizeBytes: number,
    { trust = false, ...options }: TransferOptions = {},
  ): Promise<Transfer> {
    const target = path.join(this.#options.to, blobName(digest))
    const folder = path.dirname(target)
    if (trust ? await hasSize(target, sizeBytes) : await this.has(digest, sizeBytes, options)) {
      this.#folders.add(folder)
      return 'present'
    }
    const reading = options.signal && { signal: options.signal }
    const source = path.join(this.#options.from, blobName(digest))
    const file = await openWhole(source, sizeBytes)
    const partial = path.join(this.#options.to, PARTIAL, randomUUID())
    try {
      const shared = (await this.#clone(source, partial)) ?? (await this.#link(source, partial))
      // The registry may have bytes that have rotted, and nobody has read them since.
      if (shared) await checkWhole(partial, digest, sizeBytes, reading)
      const transfer = shared ?? (await copy(file, partial, digest, sizeBytes, reading))
      await mkdir(folder, { recursive: true })
      await rename(partial, target)
      this.#folders.add(folder)
      return transfer
    } catch (error) {
      await rm(partial, { force: true })
      throw error
    } finally {
      await file.close()
    }
  }

  /**
   * Reads a blob that may be there by now.
   *
   * @returns whether it is, with its bytes
   */
  async has(digest: Digest, sizeBytes: number, options?: CheckOptions): Promise<boolean> {
    try {
      const file = path.join(this.#options.to, blobName(digest))
      await checkWhole(file, digest, sizeBytes, options)
      return true
    } catch (error) {
      if (error instanceof BlobDamagedError) return false
      throw error
    }
  }

  /** What lies there by now, in the order of digests: as `BlobStore.listBlobs`. */
  list(page: StoredFilesRequest): Promise<StoredFiles> {
    return listBlobFiles(this.#options.to, page)
  }

  /** Removes one that is not needed any more, if it is there. */
  async remove(digest: Digest): Promise<void> {
    await rm(path.join(this.#options.to, blobName(digest)), { recursive: true, force: true })
  }

  /** Makes durable what has been done, and leaves nothing but blobs behind. */
  async finish(): Promise<void> {
    await this.#removePartial()
    const blobs = path.join(this.#options.to, BLOBS)
    const parents = new Set([...this.#folders].map((folder) => path.dirname(folder)))
    for (const folder of [...this.#folders, ...parents, blobs, this.#options.to]) {
      await syncAt(folder)
    }
  }

  /** Gives back the room of what is not whole; blobs that are stay for the next time. */
  async giveUp(): Promise<void> {
    await this.#removePartial()
  }

  async #clone(source: string, partial: string): Promise<Transfer | undefined> {
    if (!this.#canClone) return undefined
    try {
      await copyFile(source, partial, constants.COPYFILE_FICLONE_FORCE)
    } catch (error) {
      this.#canClone = !isImpossible(error)
      return undefined
    }
    await syncAt(partial)
    return 'cloned'
  }

  /** The bytes have been durable since the blob was pushed. */
  async #link(source: string, partial: string): Promise<Transfer | undefined> {
    if (!this.#canLink) return undefined
    try {
      await link(source, partial)
    } catch (error) {
      this.#canLink = !isImpossible(error)
      return undefined
    }
    return 'linked'
  }

  async #removePartial(): Promise<void> {
    await rm(path.join(this.#options.to, PARTIAL), { recursive: true, force: true })
  }
}

/** From the file that is open, which is whole also when its name is gone by now. */
async function copy(
  source: FileHandle,
  partial: string,
  digest: Digest,
  sizeBytes: number,
  reading: CheckOptions | undefined,
): Promise<Transfer> {
  const target = await open(partial, 'w')
  try {
    const write = (piece: Buffer, atByte: number) => writeAll(target, piece, atByte)
    const actual = await readBlob(source, digest, sizeBytes, write, reading)
    if (actual !== digest) throw otherContent(actual)
    await target.datasync()
  } finally {
    await target.close()
  }
  return 'copied'
}

/** Tells what reading throws from what writing does. */
async function readBlob(
  source: FileHandle,
  digest: Digest,
  sizeBytes: number,
  write: (piece: Buffer, atByte: number) => Promise<void>,
  reading: CheckOptions | undefined,
): Promise<Digest | undefined> {
  let writeFailed = false
  const take = async (piece: Buffer, atByte: number) => {
    writeFailed = true
    await write(piece, atByte)
    writeFailed = false
  }
  try {
    return await digestOfFile(source, algorithmOf(digest), sizeBytes, { ...reading, take })
  } catch (error) {
    reading?.signal?.throwIfAborted()
    throw writeFailed ? error : readFailure(error)
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}

async function hasSize(file: string, sizeBytes: number): Promise<boolean> {
  try {
    const stats = await lstat(file)
    return stats.isFile() && stats.size === sizeBytes
  } catch (error) {
    if (isAbsent(error)) return false
    throw error
  }
}

/** A failure is the backup's, and not that of the store that is served: it ends the one alone. */
async function syncAt(file: string): Promise<void> {
  const handle = await open(file, constants.O_RDONLY)
  try {
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

/** Whether file systems say so when they cannot do something at all, or not between two of them. */
function isImpossible(error: unknown): boolean {
  const codes = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOTTY', 'EXDEV', 'EINVAL', 'EPERM']
  return codes.includes(errorCode(error) ?? '')
}
