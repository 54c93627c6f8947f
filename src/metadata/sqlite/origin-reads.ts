import type { Statement } from 'better-sqlite3'
import type { Origin } from '../copies.js'
import type { Connection } from './connection.js'

/** What tells one registry from another. */
export class OriginReads {
  readonly #find: Statement<[], Origin>

  constructor(connection: Connection) {
    this.#find = connection.prepare('select registry, created_at as createdAt from origin')
  }

  get(): Origin {
    const origin = this.#find.get()
    if (origin === undefined) throw new Error('the database does not say which registry it is of')
    return origin
  }
}
