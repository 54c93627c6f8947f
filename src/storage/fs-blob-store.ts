import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import {
  cp,
  lstat,
  mkdir,
  open,
  rename,
  rm,
  statfs,
  unlink,
  writeFile,
  type FileHandle,
} from 'node:fs/promises'
import path from 'node:path'
import { changeFolder, sync, syncFolder } from '../durable-files.js'
import { errorCode, RegistryError } from '../errors.js'
import {
  algorithmOf,
  hexOf,
  requireSameDigest,
  type Digest,
  type RunningDigest,
} from '../oci/digest.js'
import type {
  Appended,
  BlobStore,
  CheckOptions,
  FreeSpace,
  OpenBlob,
  StoredFiles,
  StoredFilesRequest,
  UploadedBlob,
} from './blob-store.js'
import type { ByteSource } from './byte-source.js'
import { digestOfFile } from './file-digest.js'
import { FileReceiver } from './file-receiver.js'
import { isAbsent, writeFailure } from './fs-errors.js'
import {
  ALGORITHM_FOLDERS,
  BLOBS,
  blobName,
  locationOf,
  QUARANTINE,
  READINESS_PROBE,
  uploadName,
  UPLOADS,
} from './fs-layout.js'
import { listBlobFiles, listUploadFiles, removeStrayFile } from './fs-listing.js'
import { FsOpenBlob } from './fs-open-blob.js'
import { checkWhole, openWhole } from './fs-whole-file.js'
import type { Sendfile } from './sendfile.js'
import { WriteBuffers } from './write-buffers.js'

/**
 * Blobs as files below one folder, as `fs-layout.ts` says.
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
    const blobFolders = ALGORITHM_FOLDERS.map((algorithm) => `${BLOBS}/${algorithm}`)
    for (const folder of [...blobFolders, UPLOADS, QUARANTINE]) {
      await mkdir(path.join(root, folder), { recursive: true })
    }
    const store = new FsBlobStore(root, sendfile)
    // Of those of digests too: the process before may have been killed between making a folder in
    // one and syncing it, and nobody who finds that folder there can tell.
    for (const folder of [...blobFolders, BLOBS, '.']) await syncFolder(path.join(root, folder))
    return store
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
      return { receivedBytes: 0, failure: writeFailure(error) }
    }
    try {
      const { receivedBytes, failure } = await FileReceiver.receive(file, source, {
        buffers: this.#buffers,
        atByte,
        ...(digest && { digest }),
      })
      return failure === undefined
        ? { receivedBytes }
        : { receivedBytes, failure: writeFailure(failure) }
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
    await this.#moveIntoPlace(source, blob.digest)
  }

  async abort(uploadId: string): Promise<void> {
    await rm(this.#uploadPath(uploadId), { force: true })
  }

  async open(digest: Digest, sizeBytes: number): Promise<OpenBlob> {
    return new FsOpenBlob(await openWhole(this.#blobPath(digest), sizeBytes), this.#sendfile)
  }

  check(digest: Digest, sizeBytes: number, options?: CheckOptions): Promise<void> {
    return checkWhole(this.#blobPath(digest), digest, sizeBytes, options)
  }

  async locate(digest: Digest, sizeBytes: number): Promise<string> {
    const file = await openWhole(this.#blobPath(digest), sizeBytes)
    await file.close()
    return locationOf(digest)
  }

  async remove(digest: Digest): Promise<void> {
    const file = this.#blobPath(digest)
    try {
      await unlink(file)
    } catch (error) {
      if (isAbsent(error)) return
      if (!(await isFolder(file))) throw writeFailure(error)
      // That is in the way of the next push.
      await rm(file, { recursive: true, force: true })
    }
  }

  quarantine(digest: Digest): Promise<string | undefined> {
    return this.#putAside(this.#blobPath(digest), digest)
  }

  listBlobs(page: StoredFilesRequest): Promise<StoredFiles> {
    return listBlobFiles(this.#root, page)
  }

  listUploads(page: StoredFilesRequest): Promise<StoredFiles> {
    return listUploadFiles(this.#root, page)
  }

  removeStray(name: string): Promise<boolean> {
    return removeStrayFile(this.#root, name)
  }

  async freeSpace(): Promise<FreeSpace | undefined> {
    const { bavail, blocks, bsize } = await statfs(path.join(this.#root, UPLOADS))
    // Some file systems have no size of their own and say 0.
    return blocks === 0 ? undefined : { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  }

  async checkReady(): Promise<void> {
    const probe = path.join(this.#root, UPLOADS, READINESS_PROBE)
    try {
      await writeFile(probe, 'x')
    } finally {
      await rm(probe, { force: true })
    }
  }

  async #openUpload(uploadId: string, mayBeMissing = false): Promise<FileHandle> {
    const create = mayBeMissing ? constants.O_CREAT : 0
    try {
      return await open(this.#uploadPath(uploadId), constants.O_RDWR | create)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw bytesLost(error)
      throw writeFailure(error)
    }
  }

  async #moveIntoPlace(source: string, digest: Digest): Promise<void> {
    const target = this.#blobPath(digest)
    const folder = path.dirname(target)
    const move = () => changeFolder(folder, () => rename(source, target))
    try {
      await move()
    } catch (error) {
      await this.#makeWay(digest, error)
      await move().catch((again: unknown) => {
        throw errorCode(again) === 'ENOENT' ? bytesLost(again) : writeFailure(again)
      })
    }
    // Another upload may have made it a moment ago.
    await this.#foldersUnderWay.get(folder)
  }

  /** Does something about what has kept a file from its place, or throws it. */
  async #makeWay(digest: Digest, error: unknown): Promise<void> {
    const target = this.#blobPath(digest)
    const folder = path.dirname(target)
    switch (errorCode(error)) {
      // The first blob with these two digits.
      case 'ENOENT':
        await this.#makeFolder(folder)
        break
      // A folder. With the slash nothing else is ever moved, whoever has made way meanwhile.
      case 'EISDIR':
        await this.#putAside(`${target}/`, digest)
        break
      default:
        throw writeFailure(error)
    }
  }

  /** Moves something to the quarantine, under a name that nothing has there. */
  async #putAside(source: string, digest: Digest): Promise<string | undefined> {
    const folder = path.join(this.#root, QUARANTINE)
    const hex = hexOf(digest)
    const isTaken = await lstat(path.join(folder, hex)).then(
      () => true,
      () => false,
    )
    const name = isTaken ? `${hex}.${randomUUID()}` : hex
    try {
      await moveAnywhere(source, path.join(folder, name))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw writeFailure(error)
    }
    return `${QUARANTINE}/${name}`
  }

  /** Makes a folder, durably; whoever finds it there meanwhile has to wait for that. */
  async #makeFolder(folder: string): Promise<void> {
    // Not `recursive`: that answers ENOENT when there is no room.
    const make = () =>
      mkdir(folder).catch((error: unknown) => {
        if (errorCode(error) !== 'EEXIST') throw error
      })
    let underWay = this.#foldersUnderWay.get(folder)
    if (underWay === undefined) {
      underWay = changeFolder(path.dirname(folder), make)
        .catch((error: unknown) => {
          throw writeFailure(error)
        })
        .finally(() => this.#foldersUnderWay.delete(folder))
      this.#foldersUnderWay.set(folder, underWay)
    }
    await underWay
  }

  #uploadPath(uploadId: string): string {
    return path.join(this.#root, uploadName(uploadId))
  }

  #blobPath(digest: Digest): string {
    return path.join(this.#root, blobName(digest))
  }
}

async function requireDigest(file: FileHandle, blob: UploadedBlob): Promise<void> {
  const { digest, sizeBytes, receivedDigest } = blob
  const isComparable = receivedDigest && algorithmOf(receivedDigest) === algorithmOf(digest)
  const actual = isComparable
    ? receivedDigest
    : await digestOfFile(file, algorithmOf(digest), sizeBytes)
  if (actual === undefined) throw bytesLost()
  requireSameDigest(actual, digest)
}

/** The blobs may have been given a disk of their own: then their bytes are copied. */
async function moveAnywhere(source: string, target: string): Promise<void> {
  try {
    await rename(source, target)
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error
    await cp(source, target, { recursive: true })
    await rm(source, { recursive: true })
  }
}

async function isFolder(name: string): Promise<boolean> {
  return lstat(name).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
}

function bytesLost(cause?: unknown): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_INVALID',
    'bytes of this upload have been lost; start it again',
    { cause },
  )
}
