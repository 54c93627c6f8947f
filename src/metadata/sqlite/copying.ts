import { closeSync, openSync } from 'node:fs'
import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

/**
 * Copies the database while others write to it. One statement, and so one moment: it neither keeps
 * writers waiting nor begins anew when one has written, as a copy page by page does. It costs about
 * the same (measured: 0.42 s of CPU instead of 0.33 s for 240 MB), reads every row on its way and so
 * stops at damage instead of copying it, and leaves one file that needs no log. And it needs no object
 * of the library that would be garbage-collected: see `kept.ts`.
 */
export class Copying {
  readonly #copy: Statement<[string]>

  constructor(connection: Connection) {
    this.#copy = connection.prepare('vacuum into ?')
  }

  copyInto(file: string): void {
    // SQLite takes an empty file for none; what is in it is for nobody else to read.
    closeSync(openSync(file, 'wx', 0o600))
    this.#copy.run(file)
  }
}
