import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { makeFolder } from './durable-files.js'
import { errorCode } from './errors.js'
import { keep } from './metadata/sqlite/kept.js'

/** The data directory cannot be used; the message says why, for a person. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError'

  /** Whether nothing is wrong with it, but another process has it. */
  get isInUse(): boolean {
    return errorCode(this.cause) === inUse
  }
}

/** Is in a directory that a backup is being restored into, until that is done. */
export const UNFINISHED = 'berth.restoring'

/** What a directory has in it while it is taken, and keeps. */
export const LOCK_FILES: ReadonlySet<string> = new Set(['berth.lock', 'berth.pid'])

/** What a file system may have in its root: a folder with nothing else in it is empty. */
export const LOST_AND_FOUND = 'lost+found'

/** What SQLite says of a lock that somebody else has. */
const inUse = 'SQLITE_BUSY'

/**
 * Makes the data directory if it is not there, and takes it for this process alone.
 *
 * Node.js has no file locks, SQLite does: an exclusive transaction in a database of its own, which
 * the kernel lets go of when the process ends, however it ends.
 *
 * @returns what gives it back
 * @throws {@link DataDirectoryError} when another process has it, or it cannot be written
 */
export function takeDataDirectory(directory: string): () => void {
  return takeDirectory(directory, 'data directory')
}

/**
 * As {@link takeDataDirectory}, any directory that only one process may write to.
 *
 * @param kind - what a person calls it
 */
export function takeDirectory(directory: string, kind: string): () => void {
  const pidFile = path.join(directory, 'berth.pid')
  let lock: Database.Database | undefined
  try {
    makeFolder(directory)
    lock = keep(new Database(path.join(directory, 'berth.lock'), { timeout: 0 }))
    lock.exec('begin exclusive')
    writeFileSync(pidFile, `${process.pid}\n`)
  } catch (error) {
    lock?.close()
    throw new DataDirectoryError(explain(error, `the ${kind} ${directory}`, pidFile), {
      cause: error,
    })
  }
  const held = lock
  return () => held.close()
}

/**
 * A directory that a backup was being restored into is no registry yet, and must not become an empty one.
 *
 * @throws {@link DataDirectoryError}
 */
export function requireFinished(directory: string): void {
  if (!existsSync(path.join(directory, UNFINISHED))) return
  throw new DataDirectoryError(
    `a backup was being restored into ${directory}, and has not come to its end: run berth restore-backup again`,
  )
}

function explain(error: unknown, directory: string, pidFile: string): string {
  const code = errorCode(error)
  if (code === inUse) return `${directory} is in use by another Berth${holder(pidFile)}`
  const reason = error instanceof Error ? error.message : String(error)
  return `${directory} cannot be used: ${reason}`
}

function holder(pidFile: string): string {
  try {
    return ` (process ${readFileSync(pidFile, 'utf8').trim()})`
  } catch {
    return ''
  }
}
