import { constants } from 'node:fs'
import { access, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import {
  DataDirectoryError,
  LOCK_FILES,
  LOST_AND_FOUND,
  takeDirectory,
} from '../../data-directory.js'
import { errorCode, RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import { digestOfFile } from '../../storage/file-digest.js'

/** What `backup.json` says of a backup: the one file by whose change a new backup comes to be. */
export interface BackupDescription {
  readonly format: 1
  /** Which registry it is of. */
  readonly registry: string
  /** Absent as long as there is no complete one. */
  readonly complete?: CompleteBackup
}

export interface CompleteBackup {
  /** The version of Berth that has made it. */
  readonly berth: string
  /** It has what the registry had then. */
  readonly madeAt: string
  /** The file with its database, beside. */
  readonly database: string
  readonly databaseBytes: number
  readonly databaseDigest: Digest
  readonly blobs: number
  readonly blobBytes: number
  /** Blobs that the registry had lost, and that are here. */
  readonly kept: number
  /** Blobs that the registry had lost, and that are not here: they are marked so in the database. */
  readonly missing: number
}

const DESCRIPTION = 'backup.json'
const PARTIAL_DATABASE = 'berth.db.partial'
const DATABASE = /^berth-\d{8}T\d{9}Z\.db$/

/**
 * A folder that keeps one backup:
 *
 * ```
 * backup.json              what is in it; names the database
 * berth-<time>.db          the database of the backup
 * blobs/sha256/ab/<hex>    every blob that it needs, as in a registry
 * ```
 *
 * The next backup adds its blobs, then its database, and then puts its `backup.json` in the place of
 * this one; only after that what it does not need is removed. So whenever it is interrupted, there is
 * one backup, and all of it.
 */
export class BackupFolder {
  readonly directory: string
  readonly #release: () => void
  #description: BackupDescription | undefined

  private constructor(directory: string, release: () => void) {
    this.directory = directory
    this.#release = release
  }

  /**
   * Takes a folder for a backup of a registry, and makes it when it is not there.
   *
   * @throws {@link RegistryError} `REQUEST_INVALID` when it cannot be used for that, `CONFLICT` when
   *   another process has it
   */
  static async take(
    directory: string,
    registry: { readonly id: string; readonly dataDirectory: string },
  ): Promise<BackupFolder> {
    if (!path.isAbsolute(directory)) throw unusable(directory, 'its path is not absolute')
    await requireApart(directory, registry.dataDirectory)
    try {
      await requireUsable(directory, registry.id)
    } catch (error) {
      throw error instanceof RegistryError ? error : unusable(directory, reasonOf(error), error)
    }
    const folder = new BackupFolder(directory, take(directory))
    try {
      folder.#description = await readDescription(directory)
      if (folder.#description === undefined) {
        const description = { format: 1, registry: registry.id } as const
        await folder.#write(description)
        await folder.#publish(description)
      }
      return folder
    } catch (error) {
      folder.close()
      throw unusable(directory, reasonOf(error), error)
    }
  }

  /** The backup that it has. */
  get latest(): CompleteBackup | undefined {
    return this.#description?.complete
  }

  /** Where the next database is put together. */
  get partialDatabase(): string {
    return path.join(this.directory, PARTIAL_DATABASE)
  }

  /** Removes what a backup that has failed has left, but for its blobs. */
  async clear(): Promise<void> {
    for (const suffix of ['', '-wal', '-shm']) {
      await rm(this.partialDatabase + suffix, { force: true })
    }
    await rm(this.#partialDescription, { force: true })
  }

  /** Makes the database that was put together, and the blobs that are there, the backup. */
  async complete(
    registry: string,
    at: number,
    backup: Omit<CompleteBackup, 'database' | 'madeAt'>,
  ): Promise<CompleteBackup> {
    const madeAt = new Date(at).toISOString()
    const database = `berth-${madeAt.replace(/[-:.]/g, '')}.db`
    await syncFile(this.partialDatabase)
    const complete = { madeAt, database, ...backup }
    const description = { format: 1, registry, complete } as const
    // Before the database has its name: on a full disk both are given back.
    await this.#write(description)
    await rename(this.partialDatabase, path.join(this.directory, database))
    await syncFile(this.directory)
    await this.#publish(description)
    return complete
  }

  /** Removes the databases of earlier backups. */
  async removeOldDatabases(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      if (DATABASE.test(name) && name !== this.latest?.database) {
        await rm(path.join(this.directory, name))
      }
    }
  }

  close(): void {
    this.#release()
  }

  get #partialDescription(): string {
    return path.join(this.directory, `${DESCRIPTION}.partial`)
  }

  async #write(description: BackupDescription): Promise<void> {
    const handle = await open(this.#partialDescription, 'w')
    try {
      await handle.writeFile(`${JSON.stringify(description, null, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** The one step by which a backup comes to be. */
  async #publish(description: BackupDescription): Promise<void> {
    await rename(this.#partialDescription, path.join(this.directory, DESCRIPTION))
    this.#description = description
    await syncFile(this.directory)
  }
}

/**
 * What a folder says it is a backup of; undefined when it says nothing.
 *
 * @throws an error whose message says why it cannot be understood
 */
export async function readDescription(directory: string): Promise<BackupDescription | undefined> {
  let text: string
  try {
    text = await readFile(path.join(directory, DESCRIPTION), 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  let description: Partial<BackupDescription>
  try {
    description = JSON.parse(text) as Partial<BackupDescription>
  } catch (cause) {
    throw new Error(`its ${DESCRIPTION} is damaged`, { cause })
  }
  if (typeof description.format !== 'number' || typeof description.registry !== 'string') {
    throw new Error(`its ${DESCRIPTION} is not one of Berth`)
  }
  if (description.format !== 1) throw new Error('a newer version of Berth has made it')
  return description as BackupDescription
}

/** Neither may be in the other: a backup of backups never ends, and a lost disk takes both. */
async function requireApart(directory: string, dataDirectory: string): Promise<void> {
  const [target, data] = [await resolved(directory), await resolved(dataDirectory)]
  if (isWithin(target, data)) throw unusable(directory, 'it is in the data directory')
  if (isWithin(data, target)) throw unusable(directory, 'the data directory is in it')
}

/** With symbolic links followed as far as there is anything. */
async function resolved(directory: string): Promise<string> {
  try {
    return await realpath(directory)
  } catch {
    const parent = path.dirname(directory)
    if (parent === directory) return directory
    return path.join(await resolved(parent), path.basename(directory))
  }
}

function isWithin(directory: string, other: string): boolean {
  return directory === other || directory.startsWith(other.endsWith('/') ? other : `${other}/`)
}

/** One that is not there yet is made by whoever takes it, durably. */
async function requireUsable(directory: string, registry: string): Promise<void> {
  try {
    await access(directory, constants.W_OK)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  const description = await readDescription(directory)
  if (description === undefined) {
    const others = (await readdir(directory)).filter((name) => !isOurs(name))
    if (others.length > 0) throw new Error('it is not empty, and no backup')
  } else if (description.registry !== registry) {
    throw new Error(
      'it is the backup of another registry; one that was restored needs a folder of its own',
    )
  }
}

/** What the first moment of a backup has there, before it says what it is. */
function isOurs(name: string): boolean {
  return [...LOCK_FILES, LOST_AND_FOUND, `${DESCRIPTION}.partial`].includes(name)
}

function take(directory: string): () => void {
  try {
    return takeDirectory(directory, 'backup')
  } catch (error) {
    if (!(error instanceof DataDirectoryError)) throw error
    if (!error.isInUse) throw unusable(directory, reasonOf(error.cause), error)
    throw new RegistryError('CONFLICT', error.message, { cause: error })
  }
}

function unusable(directory: string, reason: string, cause?: unknown): RegistryError {
  return new RegistryError(
    'REQUEST_INVALID',
    `${directory} cannot be used for a backup: ${reason}`,
    { cause },
  )
}

function reasonOf(error: unknown): string {
  const code = errorCode(error)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'it cannot be written to'
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'it is not a folder'
  return error instanceof Error ? error.message : String(error)
}

/** Of the first bytes of a file; undefined when it has fewer. */
export async function sha256OfFile(file: string, sizeBytes: number): Promise<Digest | undefined> {
  const handle = await open(file, 'r')
  try {
    return await digestOfFile(handle, 'sha256', sizeBytes)
  } finally {
    await handle.close()
  }
}

/** A failure is the backup's, and not that of the registry: it ends the one alone. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
