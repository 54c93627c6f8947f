import { closeSync, fchmodSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { DurabilityLostError, errorCode, RegistryError, storageFull } from '../../errors.js'
import { keep } from './kept.js'

export type Connection = Database.Database

/** Longer than any transaction of the writer; another process (a backup) may hold the file. */
const busyTimeoutMs = 10_000

/** What the event loop's reads keep of the database in memory, four times SQLite's usual. */
const readCacheKiB = 64 * 1024

/** Opens the database for its one writer, and makes it when it is not there. */
export function openForWriting(file: string): Connection {
  keepToOwner(file)
  const connection = new Database(file, { timeout: busyTimeoutMs })
  connection.exec('pragma journal_mode = WAL')
  return setUp(connection)
}

/** It has what bearer tokens are signed with. SQLite gives its log the mode of the database. */
function keepToOwner(file: string): void {
  const descriptor = openSync(file, 'a', 0o600)
  try {
    fchmodSync(descriptor, 0o600)
  } catch (error) {
    // Of somebody else, who lets us write to it: it is theirs to say who reads it.
    if (errorCode(error) !== 'EPERM') throw error
  } finally {
    closeSync(descriptor)
  }
}

/** Opens a database that a writer has open already. */
export function openForReading(file: string): Connection {
  const connection = new Database(file, {
    readonly: true,
    fileMustExist: true,
    timeout: busyTimeoutMs,
  })
  // Negative: in KiB, not in pages.
  connection.exec(`pragma cache_size = -${readCacheKiB}`)
  return setUp(connection)
}

function setUp(connection: Connection): Connection {
  // better-sqlite3 is built to fall back to NORMAL in WAL mode, where a power cut takes the last
  // commits along; so this must be said after journal_mode, on every connection.
  connection.exec('pragma synchronous = FULL')
  connection.exec('pragma foreign_keys = ON')
  const prepare = connection.prepare.bind(connection)
  connection.prepare = (sql: string) => keep(prepare(sql))
  return keep(connection)
}

/**
 * Asks something of the database.
 *
 * @throws what {@link translated} makes of its errors
 */
export async function reading<T>(question: () => T | Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    throw translated(error)
  }
}

/**
 * What an error of SQLite means to the rest of Berth; other errors as they are.
 *
 * @returns a {@link DurabilityLostError} for a failed sync, a {@link RegistryError} for a full or
 *   unusable disk
 */
export function translated(error: unknown): unknown {
  const code = errorCode(error)
  if (code === undefined || !code.startsWith('SQLITE_')) return error
  if (code === 'SQLITE_FULL') return storageFull(error)
  if (code === 'SQLITE_IOERR_FSYNC' || code === 'SQLITE_IOERR_DIR_FSYNC') {
    return new DurabilityLostError('the database could not be synced to disk', { cause: error })
  }
  if (code.startsWith('SQLITE_IOERR') || code.startsWith('SQLITE_BUSY')) {
    return new RegistryError('UNAVAILABLE', 'the registry cannot use its database right now', {
      cause: error,
    })
  }
  return error
}
