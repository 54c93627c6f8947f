import { stat } from 'node:fs/promises'
import type { MetadataStore } from '../../metadata/metadata-store.js'
import type { KeptBlob } from '../../metadata/metadata-verification.js'
import type { Digest } from '../../oci/digest.js'
import type { BackupFiles, Transfer } from '../../storage/backup-files.js'
import { BlobDamagedError } from '../../storage/blob-store.js'
import type { Damage } from '../damage.js'
import type { FileRemovals } from '../file-removals.js'
import { keptBlobs, pairs } from '../verify/blob-files.js'
import { sha256OfFile, type BackupFolder } from './backup-folder.js'

/** How far a backup has come. */
export interface BackupTally {
  /** Blobs in files, and their bytes. */
  readonly blobs: number
  readonly blobBytes: number
  /** How they have come there: see `Transfer`. */
  readonly transfers: Readonly<Record<Transfer, number>>
  /** Blobs that the registry has lost, and the backup has still: they are among {@link blobs}. */
  readonly kept: number
  /** Blobs that the registry has lost, and the backup cannot have. */
  readonly missing: number
  /** Blobs of earlier backups that this one does not need, and that were removed. */
  readonly removed: number
  /** Those that the next backup removes. */
  readonly left: number
  readonly databaseBytes: number
}

export interface BackupContext {
  readonly metadata: MetadataStore
  readonly removals: FileRemovals
  readonly damage: Damage
  /** Opens a copy of the database, as a store of its own. */
  readonly openCopy: (file: string) => Promise<MetadataStore>
  readonly openFiles: (directory: string) => Promise<BackupFiles>
  readonly berth: string
  readonly now: () => number
  /** The share of the blobs it looks for that may be lost; when more are, the disk may be missing. */
  readonly brakePercent: number
  /** At which what the folder has is read again. */
  readonly bytesPerSecond: number
  readonly signal: AbortSignal
}

/** What a backup is asked for. */
export interface BackupRequest {
  /** Reads and hashes also what the folder has from backups before. */
  readonly content: boolean
}

/** So much seems to be lost that the disk may be missing: nothing was marked, and nothing backed up. */
export class BlobsAwayError extends Error {
  override readonly name = 'BlobsAwayError'
}

/** So few may be lost for any reason. */
const lostMin = 20

const EMPTY: BackupTally = {
  ...{ blobs: 0, blobBytes: 0, kept: 0, missing: 0, removed: 0, left: 0, databaseBytes: 0 },
  transfers: { present: 0, cloned: 0, linked: 0, copied: 0 },
}

/** What is removed after one backup; the next one finds the rest. */
const staleMax = 100_000

/**
 * Brings a registry that is being used into a folder: its database as it is at one moment, and every
 * blob that this needs. Meanwhile no blob is removed.
 */
export class Backup {
  readonly #context: BackupContext
  readonly #folder: BackupFolder
  readonly #stale: Digest[] = []
  /** Blobs stored before this were read when they came into the folder, and have not changed since. */
  readonly #trustedBefore: number
  /** Not found whole at the first look. */
  readonly #lost: KeptBlob[] = []
  #tally: BackupTally = EMPTY

  constructor(context: BackupContext, folder: BackupFolder, { content }: BackupRequest) {
    this.#context = context
    this.#folder = folder
    this.#trustedBefore = folder.latest && !content ? Date.parse(folder.latest.madeAt) : 0
  }

  get tally(): BackupTally {
    return this.#tally
  }

  /**
   * @param onProgress - told after each blob; what it throws ends the backup
   * @throws what the stores and the folder throw; the folder has the backup before then
   */
  async make(onProgress: () => Promise<void>): Promise<void> {
    const folder = this.#folder
    await folder.clear()
    const files = await this.#context.openFiles(folder.directory)
    try {
      await this.#complete(files, onProgress)
    } catch (error) {
      // On a full disk others need the room; that it cannot be given back is not what has failed.
      await Promise.allSettled([folder.clear(), files.giveUp()])
      throw error
    }
    await this.#removeStale(files)
  }

  async #complete(files: BackupFiles, onProgress: () => Promise<void>): Promise<void> {
    const { metadata, berth, now, signal } = this.#context
    const folder = this.#folder
    const at = now()
    const copy = await this.#copy(files, onProgress)
    try {
      await this.#verify(copy, files)
      await copy.forgetUnfinished()
      signal.throwIfAborted()
    } finally {
      // As long as it is open, a part of it may be in its log.
      await copy.close()
    }
    const { size: databaseBytes } = await stat(folder.partialDatabase)
    const databaseDigest = await sha256OfFile(folder.partialDatabase, databaseBytes)
    if (databaseDigest === undefined) throw new Error('the database has become shorter')
    this.#tally = { ...this.#tally, databaseBytes }
    const { blobs, blobBytes, kept, missing } = this.#tally
    const { registry } = await metadata.getOrigin()
    const backup = { berth, databaseBytes, databaseDigest, blobs, blobBytes, kept, missing }
    await folder.complete(registry, at, backup)
  }

  /** The database first, and then, as long as nothing is removed, what it needs. */
  async #copy(files: BackupFiles, onProgress: () => Promise<void>): Promise<MetadataStore> {
    const { metadata, removals, openCopy } = this.#context
    const release = await removals.hold()
    try {
      await metadata.copyInto(this.#folder.partialDatabase)
      const copy = await openCopy(this.#folder.partialDatabase)
      try {
        await this.#transferAll(copy, files, onProgress)
        await files.finish()
        return copy
      } catch (error) {
        await copy.close()
        throw error
      }
    } finally {
      release()
      // What has waited for us; the collector finds it, too.
      removals.finishSoon()
    }
  }

  async #transferAll(
    copy: MetadataStore,
    files: BackupFiles,
    onProgress: () => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#context
    const blobCount = await this.#countBlobs(copy)
    for await (const blob of keptBlobs({ metadata: copy, signal })) {
      if (blob.damaged) await this.#keep(copy, files, blob)
      else if (!blob.inline) await this.#bring(files, blob, blobCount)
      await onProgress()
    }
    const { blobs, transfers } = this.#tally
    this.#requireFewLost(blobs - transfers.present + this.#lost.length)
    for (const blob of this.#lost) await this.#noteLost(copy, files, blob)
  }

  /** Those that should have a file. */
  async #countBlobs(metadata: MetadataStore): Promise<number> {
    const { signal } = this.#context
    let count = 0
    for await (const { inline, damaged } of keptBlobs({ metadata, signal })) {
      if (!inline && !damaged) count++
    }
    return count
  }

  async #bring(files: BackupFiles, blob: KeptBlob, blobCount: number): Promise<void> {
    const lost = await this.#transfer(files, blob, blob.storedAt < this.#trustedBefore)
    if (lost === undefined) return
    this.#lost.push(blob)
    this.#requireFewLost(blobCount)
  }

  /** Before any is marked: what is away for a moment must not count as absent for good. */
  #requireFewLost(blobCount: number): void {
    const { brakePercent } = this.#context
    const { length } = this.#lost
    if (brakePercent === 100 || length < lostMin || length * 100 <= blobCount * brakePercent) return
    throw new BlobsAwayError(
      `${length} blobs have no bytes in the registry, more than gc.brakePercent (${brakePercent} %) of those it should bring: is a disk missing? None was marked as damaged; when they are lost, berth verify --repair --confirm marks them, and a backup has the rest`,
    )
  }

  async #noteLost(copy: MetadataStore, files: BackupFiles, blob: KeptBlob): Promise<void> {
    const { damage, now } = this.#context
    // It may have been pushed again meanwhile, or have been out of reach for a moment only.
    const lost = await this.#transfer(files, blob, false)
    if (lost === undefined) return
    await damage.note(blob, lost)
    // So that rows and files of the backup agree, and a registry made of it says what it lacks.
    await copy.markBlobDamaged(blob, now())
    this.#tally = { ...this.#tally, missing: this.#tally.missing + 1 }
  }

  /** What the folder has of a blob that the registry has lost before may be the last there is. */
  async #keep(copy: MetadataStore, files: BackupFiles, blob: KeptBlob): Promise<void> {
    const { digest } = blob
    const { kept, missing } = this.#tally
    if ((await this.#transfer(files, blob, false)) === undefined) {
      await copy.markBlobWhole(digest)
      this.#tally = { ...this.#tally, kept: kept + 1 }
    } else if ((await copy.findHolders(digest)).isReferredTo) {
      this.#tally = { ...this.#tally, missing: missing + 1 }
    }
  }

  /** @returns why the backup cannot have it */
  async #transfer(
    files: BackupFiles,
    { digest, sizeBytes }: KeptBlob,
    trust: boolean,
  ): Promise<BlobDamagedError | undefined> {
    const { bytesPerSecond, signal } = this.#context
    let transfer: Transfer
    try {
      transfer = await files.transfer(digest, sizeBytes, { trust, bytesPerSecond, signal })
    } catch (error) {
      if (error instanceof BlobDamagedError) return error
      throw error
    }
    const { blobs, blobBytes, transfers } = this.#tally
    this.#tally = {
      ...this.#tally,
      ...{ blobs: blobs + 1, blobBytes: blobBytes + sizeBytes },
      transfers: { ...transfers, [transfer]: transfers[transfer] + 1 },
    }
    return undefined
  }

  /**
   * Looks at what has come to be: the database is sound, and every blob that it has is there. What else
   * is there is remembered.
   */
  async #verify(copy: MetadataStore, files: BackupFiles): Promise<void> {
    const { signal } = this.#context
    for (const part of await copy.listParts()) {
      signal.throwIfAborted()
      const [problem] = await copy.checkPart(part)
      if (problem !== undefined) throw new Error(`the database is damaged (${part}): ${problem}`)
    }
    for await (const { blob, file } of this.#pairs(copy, files)) {
      if (blob) {
        if (blob.damaged || file?.sizeBytes === blob.sizeBytes) continue
        throw new Error(`${blob.digest} has vanished from the backup`)
      }
      if (file === undefined) continue
      if (this.#stale.length < staleMax) this.#stale.push(file.digest)
      else this.#tally = { ...this.#tally, left: this.#tally.left + 1 }
    }
  }

  async #removeStale(files: BackupFiles): Promise<void> {
    await this.#folder.removeOldDatabases()
    for (const digest of this.#stale) {
      await files.remove(digest)
      this.#tally = { ...this.#tally, removed: this.#tally.removed + 1 }
    }
  }

  #pairs(metadata: MetadataStore, files: BackupFiles) {
    const ignore = async () => undefined
    const blobs = { listBlobs: files.list.bind(files) }
    return pairs({ metadata, blobs, signal: this.#context.signal }, ignore, ignore)
  }
}
