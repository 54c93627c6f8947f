import { constants } from 'node:fs'
import { mkdir, open, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { sync, syncFolder } from '../durable-files.js'
import { errorCode, isDiskFull, RegistryError, storageFull } from '../errors.js'
import { algorithmOf, hexOf, requireSameDigest, RunningDigest, type Digest } from '../oci/digest.js'
import {
  BlobDamagedError,
  type Appended,
  type BlobStore,
  type OpenBlob,
  type UploadedBlob,
} from './blob-store.js'
import type { ByteSource } from './byte-source.js'
import { FileReceiver } from './file-receiver.js'
import { FsOpenBlob } from './fs-open-blob.js'
import type { Sendfile } from './sendfile.js'
import { WriteBuffers } from './write-buffers.js'

/** Upload ids name files; anything else in one would be a way out of the folder. */
const SAFE_FILE_NAME = /^[A-Za-z0-9-]{1,64}$/

/**
 * Blobs as files below one folder:
 *
 * ```
 * blobs/sha256/ab/<hex>   whole, verified, never changed
 * uploads/<id>            one file a session
 * ```
 *
 * A commit is: check the digest, sync the file, rename it, sync the folder. Until the rename has
 * happened nobody can read the blob; until the metadata store has a row of it, nobody does.
 */
export class FsBlobStore implements BlobStore {
  readonly #root: string
  readonly #buffers = new WriteBuffers()
  readonly #sendfile: Sendfile | undefined
  /** Folders whose names are not surely on disk yet. */
  readonly #foldersUnderWay = new Map<string, Promise<void>>()

  private constructor(root: string, sendfile: Sendfile | undefined) {
    this.#root = root
    this.#sendfile = sendfile
  }

  /**
   * Opens the store in a folder, and makes it there on the first start.
   *
   * @param options - `sendfile`: lets the kernel send files where it can
   */
  static async open(
    root: string,
    { sendfile }: { readonly sendfile?: Sendfile } = {},
  ): Promise<FsBlobStore> {
    for (const folder of ['blobs/sha256', 'blobs/sha512', 'uploads']) {
      await mkdir(path.join(root, folder), { recursive: true })
    }
    // Of those of digests too: the process before may have been killed between making a folder in
    // one and syncing it, and nobody who finds that folder there can tell.
    for (const folder of ['blobs/sha256', 'blobs/sha512', 'blobs', '.']) {
      await syncFolder(path.join(root, folder))
    }
    return new FsBlobStore(root, sendfile)
  }

  async append(
    uploadId: string,
    atByte: number,
    source: ByteSource,
    digest?: RunningDigest,
  ): Promise<Appended> {
    let file: FileHandle
    try {
      file = await open(this.#uploadPath(uploadId), constants.O_WRONLY | constants.O_CREAT)
    } catch (error) {
      return { receivedBytes: 0, failure: translated(error) }
    }
    try {
      const { receivedBytes, failure } = await FileReceiver.receive(file, source, {
        buffers: this.#buffers,
        atByte,
        ...(digest && { digest }),
      })
      return failure === undefined
        ? { receivedBytes }
        : { receivedBytes, failure: translated(failure) }
    } finally {
      await file.close()
    }
  }

  async readUpload(uploadId: string, sizeBytes: number): Promise<Buffer> {
    if (sizeBytes === 0) return Buffer.alloc(0)
    const file = await this.#openUpload(uploadId)
    try {
      const bytes = Buffer.alloc(sizeBytes)
      const { bytesRead } = await file.read(bytes, 0, sizeBytes, 0)
      if (bytesRead < sizeBytes) throw bytesLost()
      return bytes
    } finally {
      await file.close()
    }
  }

  async commit(uploadId: string, blob: UploadedBlob): Promise<void> {
    const source = this.#uploadPath(uploadId)
    const file = await this.#openUpload(uploadId, blob.sizeBytes === 0)
    try {
      const { size } = await file.stat()
      if (size < blob.sizeBytes) throw bytesLost()
      // A PATCH that was taken back has left bytes behind the offset.
      if (size > blob.sizeBytes) await file.truncate(blob.sizeBytes)
      await requireDigest(file, blob)
      await sync(file)
    } finally {
      await file.close()
    }
    await this.#moveIntoPlace(source, this.#blobPath(blob.digest))
  }

  async abort(uploadId: string): Promise<void> {
    await rm(this.#uploadPath(uploadId), { force: true })
  }

  async open(digest: Digest, sizeBytes: number): Promise<OpenBlob> {
    return new FsOpenBlob(await this.#openBlob(digest, sizeBytes), this.#sendfile)
  }

  async locate(digest: Digest, sizeBytes: number): Promise<string> {
    const file = await this.#openBlob(digest, sizeBytes)
    await file.close()
    return blobName(digest)
  }

  async checkReady(): Promise<void> {
    const probe = path.join(this.#root, 'uploads', 'readiness-probe')
    try {
      await writeFile(probe, 'x')
    } finally {
      await rm(probe, { force: true })
    }
  }

  /** @throws {@link BlobDamagedError} */
  async #openBlob(digest: Digest, sizeBytes: number): Promise<FileHandle> {
    let file: FileHandle
    try {
      file = await open(this.#blobPath(digest), constants.O_RDONLY)
    } catch (error) {
      // Too many open files say nothing about this one.
      if (isShortage(error)) throw error
      throw new BlobDamagedError('the blob is missing or cannot be opened', { cause: error })
    }
    try {
      const { size } = await file.stat()
      if (size !== sizeBytes) {
        throw new BlobDamagedError(`the blob has ${size} bytes instead of ${sizeBytes}`)
      }
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async #openUpload(uploadId: string, mayBeMissing = false): Promise<FileHandle> {
    const create = mayBeMissing ? constants.O_CREAT : 0
    try {
      return await open(this.#uploadPath(uploadId), constants.O_RDWR | create)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw bytesLost(error)
      throw translated(error)
    }
  }

  async #moveIntoPlace(source: string, target: string): Promise<void> {
    const folder = path.dirname(target)
    try {
      await rename(source, target)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw translated(error)
      // The first blob with these two digits.
      await this.#makeFolder(folder)
      await rename(source, target).catch((again: unknown) => {
        throw errorCode(again) === 'ENOENT' ? bytesLost(again) : translated(again)
      })
    }
    // Another upload may have made it a moment ago.
    await this.#foldersUnderWay.get(folder)
    await syncFolder(folder)
  }

  /** Makes a folder, durably; whoever finds it there meanwhile has to wait for that. */
  async #makeFolder(folder: string): Promise<void> {
    const make = async () => {
      // Not `recursive`: that answers ENOENT when there is no room.
      await mkdir(folder).catch((error: unknown) => {
        if (errorCode(error) !== 'EEXIST') throw translated(error)
      })
      await syncFolder(path.dirname(folder))
    }
    let underWay = this.#foldersUnderWay.get(folder)
    if (underWay === undefined) {
      underWay = make().finally(() => this.#foldersUnderWay.delete(folder))
      this.#foldersUnderWay.set(folder, underWay)
    }
    await underWay
  }

  #uploadPath(uploadId: string): string {
    if (!SAFE_FILE_NAME.test(uploadId)) throw new Error('an upload id that cannot be a file name')
    return path.join(this.#root, 'uploads', uploadId)
  }

  #blobPath(digest: Digest): string {
    return path.join(this.#root, 'blobs', blobName(digest))
  }
}

/** Where a blob is below the folder of all blobs. */
function blobName(digest: Digest): string {
  const hex = hexOf(digest)
  return `${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
}

async function requireDigest(file: FileHandle, blob: UploadedBlob): Promise<void> {
  const { digest, sizeBytes, receivedDigest } = blob
  const isComparable = receivedDigest && algorithmOf(receivedDigest) === algorithmOf(digest)
  const actual = isComparable ? receivedDigest : await digestOfFile(file, digest, sizeBytes)
  requireSameDigest(actual, digest)
}

async function digestOfFile(
  file: FileHandle,
  expected: Digest,
  sizeBytes: number,
): Promise<Digest> {
  const running = new RunningDigest(algorithmOf(expected))
  const piece = Buffer.allocUnsafeSlow(1024 * 1024)
  for (let at = 0; at < sizeBytes;) {
    const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, sizeBytes - at), at)
    if (bytesRead === 0) throw bytesLost()
    running.update(piece.subarray(0, bytesRead))
    at += bytesRead
  }
  return running.current()
}

function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM'].includes(errorCode(error) ?? '')
}

function bytesLost(cause?: unknown): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_INVALID',
    'bytes of this upload have been lost; start it again',
    { cause },
  )
}

function translated(error: unknown): Error {
  if (isDiskFull(error)) return storageFull(error)
  return error instanceof Error ? error : new Error(String(error))
}
