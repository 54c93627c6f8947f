import path from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, onTestFinished } from 'vitest'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { makeDirectory, removeDirectory, temporaryDirectory } from '../support/directories.js'
import { accountsContract } from './accounts-contract.js'
import { auditContract } from './audit-contract.js'
import { inspectionContract } from './inspection-contract.js'
import { metadataStoreContract } from './metadata-store-contract.js'
import { metadataVerificationContract } from './metadata-verification-contract.js'
import { quotasContract } from './quotas-contract.js'
import { tagRulesContract } from './tag-rules-contract.js'
import { visibilityContract } from './visibility-contract.js'

metadataStoreContract('SQLite', openEmptied)
auditContract('SQLite', openEmptied)
metadataVerificationContract('SQLite', openEmptied)
inspectionContract('SQLite', openEmptied)
// What a quota holds is added up in memory, where it cannot be emptied.
quotasContract('SQLite', openNew)
tagRulesContract('SQLite', openEmptied)
accountsContract('SQLite', openEmptied)
visibilityContract('SQLite', openEmptied)

async function openNew(): Promise<SqliteMetadataStore> {
  const file = path.join(await temporaryDirectory(), 'berth.db')
  const store = await SqliteMetadataStore.open({ file })
  onTestFinished(() => store.close())
  return store
}

/** One without a thing in it: new, or emptied after the test before. Opening costs more than most tests do. */
async function openEmptied(): Promise<SqliteMetadataStore> {
  const reused = idle.pop() ?? (await ReusedStore.open())
  onTestFinished(async ({ task }) => {
    // What is left by a failed test, or closed, is in no state to go on with.
    if (task.result?.state === 'pass' && (await reused.isOpen())) {
      reused.empty()
      idle.push(reused)
    } else {
      await reused.close()
    }
  })
  return reused.store
}

/** Of those that no test has at the moment; all are empty. */
const idle: ReusedStore[] = []

afterAll(async () => {
  for (const reused of idle.splice(0)) await reused.close()
})

/** What a new database has too, and the version that only ever grows. */
const KEPT: ReadonlySet<string> = new Set([
  'schema_migrations',
  'origin',
  'access_version',
  'sqlite_schema',
])

/** A store for several tests, one after the other. */
class ReusedStore {
  readonly store: SqliteMetadataStore
  readonly #directory: string
  readonly #connection: Database.Database
  readonly #emptying: string

  private constructor(directory: string, file: string, store: SqliteMetadataStore) {
    this.store = store
    this.#directory = directory
    this.#connection = new Database(file)
    // Parents may go before their children: all go.
    this.#connection.exec('pragma foreign_keys = OFF; pragma synchronous = OFF')
    const tables = this.#connection
      .prepare<[], string>(
        `select name from pragma_table_list where schema = 'main' and type = 'table'`,
      )
      .pluck()
      .all()
      .filter((table) => !KEPT.has(table))
    const deletes = tables.map((table) => `delete from "${table}";`)
    this.#emptying = `begin;${deletes.join('')}commit`
  }

  static async open(): Promise<ReusedStore> {
    const directory = await makeDirectory()
    const file = path.join(directory, 'berth.db')
    return new ReusedStore(directory, file, await SqliteMetadataStore.open({ file }))
  }

  async isOpen(): Promise<boolean> {
    try {
      await this.store.listRepositories({ limit: 1 })
      return true
    } catch {
      return false
    }
  }

  empty(): void {
    this.#connection.exec(this.#emptying)
  }

  async close(): Promise<void> {
    this.#connection.close()
    await this.store.close()
    await removeDirectory(this.#directory)
  }
}
