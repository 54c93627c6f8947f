import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { syncPath } from '../../durable-files.js'
import type { Connection } from './connection.js'

/** `NNNN_what_changes.sql` */
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/

interface Migration {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly sql: string
}

/** The database and the program do not belong together; the message says what to do. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

/**
 * Brings a database to the newest schema: forward only, each file in one transaction with the row
 * that remembers it. Before existing data is changed, a copy of the database is written beside it.
 *
 * @param directory - the files, one for each step, numbered from 0001 without a gap
 * @returns the file of the copy, when one was made
 * @throws {@link MigrationError} when a file has changed since it was applied, or the database is
 *   newer than this program or lacks a step before another
 */
export function migrate(connection: Connection, directory: string): string | undefined {
  connection.exec(`
    create table if not exists schema_migrations (
      number integer primary key,
      name text not null,
      checksum text not null,
      applied_at integer not null
    ) strict`)
  const migrations = readMigrations(directory)
  const appliedCount = requireSameHistory(connection, migrations)
  const pending = migrations.slice(appliedCount)
  if (pending.length === 0) return undefined

  const copy = appliedCount === 0 ? undefined : copyDatabase(connection, appliedCount)
  const remember = connection.prepare(
    'insert into schema_migrations (number, name, checksum, applied_at) values (?, ?, ?, ?)',
  )
  for (const { number, name, checksum, sql } of pending) {
    connection
      .transaction(() => {
        connection.exec(sql)
        remember.run(number, name, checksum, Date.now())
      })
      .immediate()
  }
  return copy
}

function readMigrations(directory: string): Migration[] {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.sql'))
    .sort()
  return names.map((name, index) => {
    const number = Number(FILE_NAME.exec(name)?.[1])
    if (number !== index + 1) {
      throw new MigrationError(`migration ${name} is not number ${index + 1} as its place says`)
    }
    const bytes = readFileSync(path.join(directory, name))
    const checksum = createHash('sha256').update(bytes).digest('hex')
    return { number, name, checksum, sql: bytes.toString('utf8') }
  })
}

/** @returns how many of them the database has */
function requireSameHistory(connection: Connection, migrations: readonly Migration[]): number {
  const applied = connection
    .prepare<[], { number: number; name: string; checksum: string }>(
      'select number, name, checksum from schema_migrations order by number',
    )
    .all()
  for (const [index, { number, name, checksum }] of applied.entries()) {
    if (number !== index + 1) {
      throw new MigrationError(
        `the database has migration ${name} but not number ${index + 1}; restore it from a copy`,
      )
    }
    const known = migrations[index]
    if (known === undefined) {
      throw new MigrationError(
        `the database has migration ${name}, which this version of Berth does not know; start the newer version that wrote it`,
      )
    }
    if (known.name !== name || known.checksum !== checksum) {
      throw new MigrationError(
        `migration ${known.name} is not the one that the database was made with (${name}); start the version of Berth that made it, or reinstall this one`,
      )
    }
  }
  return applied.length
}

/** `berth.db` → `berth.db.before-0002`, safe on disk before the first change. */
function copyDatabase(connection: Connection, appliedCount: number): string {
  const suffix = String(appliedCount + 1).padStart(4, '0')
  const copy = `${connection.name}.before-${suffix}-${Date.now()}`
  closeSync(openSync(copy, 'wx', 0o600))
  connection.prepare('vacuum into ?').run(copy)
  syncPath(copy)
  syncPath(path.dirname(copy))
  return copy
}
