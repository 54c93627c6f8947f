import { copyFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  LOCK_FILES,
  LOST_AND_FOUND,
  takeDataDirectory,
  takeDirectory,
  UNFINISHED,
} from '../../data-directory.js'
import { errorCode } from '../../errors.js'
import type { MetadataStore } from '../../metadata/metadata-store.js'
import type { KeptBlob } from '../../metadata/metadata-verification.js'
import type { BackupFiles } from '../../storage/backup-files.js'
import { BlobDamagedError, type BlobStore } from '../../storage/blob-store.js'
import { keptBlobs, pairs } from '../verify/blob-files.js'
import { readDescription, sha256OfFile, syncFile, type CompleteBackup } from './backup-folder.js'

export interface RestoreContext {
  /** The folder of the backup. */
  readonly from: string
  /** The data directory that it becomes: absolute, and empty or not there. */
  readonly to: string
  /** Opens a database, and brings it to the schema of this version. */
  readonly openMetadata: (file: string) => Promise<MetadataStore>
  readonly openBlobs: (directory: string) => Promise<BlobStore>
  readonly openFiles: (from: string, to: string) => Promise<BackupFiles>
  readonly now: () => number
}

export interface RestoredBackup {
  readonly backup: CompleteBackup
  readonly blobs: number
  readonly blobBytes: number
  /** Blobs that the backup has lost since it was made: marked so. */
  readonly lost: number
}

/**
 * Makes a data directory of a backup. Every blob is hashed on its way; the database comes last, so that
 * one which was interrupted is no registry, and the next try goes on with it.
 *
 * @throws an error whose message says why it cannot be done
 */
export async function restoreBackup(context: RestoreContext): Promise<RestoredBackup> {
  const { from, to } = context
  const backup = await findComplete(from)
  await requireEmpty(to)
  const releases = [takeDataDirectory(to)]
  try {
    releases.push(...takeUnlessReadOnly(from))
    await writeFile(path.join(to, UNFINISHED), `${from}\n`)
    const database = path.join(to, 'berth.db.partial')
    await removeDatabase(database)
    await copyDatabase(from, backup, database)
    const restored = await restoreInto(context, database)
    const count = restored.blobs + restored.lost
    if (count !== backup.blobs) {
      throw damaged(from, `its database knows ${count} blobs instead of ${backup.blobs}`)
    }
    await syncFile(database)
    await rename(database, path.join(to, 'berth.db'))
    await removeDatabase(database)
    await syncFile(to)
    await rm(path.join(to, UNFINISHED))
    await syncFile(to)
    return { backup, ...restored }
  } finally {
    for (const release of releases) release()
  }
}

/** An empty one is a database, too: what was lost with it would never be missed. */
async function copyDatabase(from: string, backup: CompleteBackup, to: string): Promise<void> {
  const { database, databaseBytes, databaseDigest } = backup
  const file = path.join(from, database)
  const size = await sizeOf(file)
  if (size === undefined) throw damaged(from, `${database} is missing`)
  if (size !== databaseBytes) {
    throw damaged(from, `${database} has ${size} bytes instead of ${databaseBytes}`)
  }
  await copyFile(file, to)
  if ((await sha256OfFile(to, databaseBytes)) !== databaseDigest) {
    throw damaged(from, `${database} has other bytes than it was made with`)
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function damaged(from: string, reason: string): Error {
  return new Error(`the backup in ${from} is damaged: ${reason}`)
}

async function findComplete(from: string): Promise<CompleteBackup> {
  let description
  try {
    description = await readDescription(from)
  } catch (error) {
    throw new Error(`${from} cannot be restored: ${reasonOf(error)}`, { cause: error })
  }
  if (description === undefined) throw new Error(`there is no backup in ${from}`)
  if (description.complete === undefined) {
    throw new Error(`the backup in ${from} has never been completed`)
  }
  return description.complete
}

/** In a folder that counts as empty. */
const MAY_BE_THERE: ReadonlySet<string> = new Set([...LOCK_FILES, LOST_AND_FOUND])

/** Empty, or left by a try that was interrupted. */
async function requireEmpty(to: string): Promise<void> {
  let names: string[]
  try {
    names = await readdir(to)
  } catch (error) {
    // Whoever takes it makes it, durably.
    if (errorCode(error) === 'ENOENT') return
    throw new Error(`${to} cannot be used: ${reasonOf(error)}`, { cause: error })
  }
  if (names.includes(UNFINISHED) || names.every((name) => MAY_BE_THERE.has(name))) return
  throw new Error(`${to} is not empty: a backup is restored into a new directory`)
}

/** Keeps away who would change the backup meanwhile; on a disk that nobody can write to nobody does. */
function takeUnlessReadOnly(from: string): (() => void)[] {
  try {
    return [takeDirectory(from, 'backup')]
  } catch (error) {
    const code = errorCode((error as Error).cause) ?? ''
    if (/READONLY|CANTOPEN|PERM|EROFS|EACCES/.test(code)) return []
    throw error
  }
}

/** With what SQLite, or a migration, has put beside it. */
async function removeDatabase(database: string): Promise<void> {
  const folder = path.dirname(database)
  for (const name of await readdir(folder)) {
    if (name.startsWith(path.basename(database))) await rm(path.join(folder, name))
  }
}

async function restoreInto(
  context: RestoreContext,
  database: string,
): Promise<Omit<RestoredBackup, 'backup'>> {
  const { from, to, openMetadata, openBlobs, openFiles, now } = context
  const files = await openFiles(from, to)
  const blobs = await openBlobs(to)
  const metadata = await openMetadata(database)
  const signal = new AbortController().signal
  const restored = { blobs: 0, blobBytes: 0, lost: 0 }
  try {
    for await (const blob of keptBlobs({ metadata, signal })) {
      if (blob.inline || blob.damaged) continue
      if (await bringOver(files, blobs, blob)) {
        restored.blobs++
        restored.blobBytes += blob.sizeBytes
      } else {
        restored.lost++
        await metadata.markBlobDamaged(blob, now())
      }
    }
    await removeUnneeded(metadata, blobs)
    await files.finish()
    await metadata.forgetUnfinished()
    // Else both would be backed up into one folder, and each remove what only the other has.
    await metadata.renewOrigin()
    return restored
  } finally {
    await metadata.close()
  }
}

/** What a try with another backup, or with what was the backup then, has left. */
async function removeUnneeded(metadata: MetadataStore, blobs: BlobStore): Promise<void> {
  const signal = new AbortController().signal
  const ignore = async () => undefined
  for await (const { blob, file } of pairs({ metadata, blobs, signal }, ignore, ignore)) {
    if (file && (blob === undefined || blob.damaged)) await blobs.remove(file.digest)
  }
}

/** @returns whether its bytes are there, and right */
async function bringOver(files: BackupFiles, blobs: BlobStore, blob: KeptBlob): Promise<boolean> {
  const { digest, sizeBytes } = blob
  try {
    await files.transfer(digest, sizeBytes)
    return true
  } catch (error) {
    if (!(error instanceof BlobDamagedError)) throw error
    // Left by a try before.
    await blobs.remove(digest)
    return false
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
