import { translated, type Connection } from './connection.js'

/** What became of one operation of a group. */
export type Outcome = { readonly result: unknown } | { readonly error: unknown }

/** Whether the commit of a group waits until the disk has it. */
export type Durability = 'synced' | 'unsynced'

/**
 * Pages of the log before it is copied into the database, four times SQLite's usual: 16 MiB. What many
 * pushes change again and again is copied once; small images cost a tenth less.
 */
const checkpointPages = 4000

const SETTINGS: Readonly<Record<Durability, string>> = {
  synced: `pragma synchronous = FULL; pragma wal_autocheckpoint = ${checkpointPages}`,
  // When a checkpoint cannot sync the log SQLite tells nobody, and the kernel does not say it twice.
  // So there is none but behind a commit that has just synced all of it.
  unsynced: 'pragma synchronous = NORMAL; pragma wal_autocheckpoint = 0',
}

/**
 * Runs operations in one transaction with one sync, or none. Each stands in a savepoint of its own: one
 * that throws has changed nothing, and the others go on. If the commit itself fails, none has
 * happened and each outcome is its error.
 */
export class GroupCommit {
  readonly #connection: Connection
  readonly #statements

  constructor(connection: Connection) {
    this.#connection = connection
    this.#statements = {
      begin: connection.prepare('begin immediate'),
      commit: connection.prepare('commit'),
      rollback: connection.prepare('rollback'),
      savepoint: connection.prepare('savepoint operation'),
      release: connection.prepare('release operation'),
      undo: connection.prepare('rollback to operation'),
    }
  }

  /**
   * @param durability - `unsynced` leaves the transaction in the log, which grows until the next
   *   synced one takes it along
   */
  run(operations: readonly (() => unknown)[], durability: Durability): Outcome[] {
    try {
      // Said each time: what a commit promises must not hang on how the one before it ended. SQLite
      // refuses it inside a transaction, and then the group has failed.
      this.#connection.exec(SETTINGS[durability])
      this.#statements.begin.run()
      const outcomes = this.#runAll(operations)
      this.#statements.commit.run()
      return outcomes
    } catch (error) {
      if (this.#connection.inTransaction) this.#statements.rollback.run()
      return operations.map(() => ({ error: translated(error) }))
    }
  }

  #runAll(operations: readonly (() => unknown)[]): Outcome[] {
    const [first, ...others] = operations
    // With it fails the whole group, so SQLite need not note what a savepoint would undo: each page
    // that it changes.
    if (first && others.length === 0) return [{ result: first() }]
    return operations.map((operation) => this.#runOne(operation))
  }

  #runOne(operation: () => unknown): Outcome {
    this.#statements.savepoint.run()
    try {
      const result = operation()
      this.#statements.release.run()
      return { result }
    } catch (error) {
      // After some errors (a full disk) SQLite has rolled back everything by itself: then the
      // whole group has failed.
      if (!this.#connection.inTransaction) throw error
      this.#statements.undo.run()
      this.#statements.release.run()
      return { error: translated(error) }
    }
  }
}
