import type { Statement } from 'better-sqlite3'
import type { RepositoryName } from '../../oci/reference.js'
import type { Connection } from './connection.js'

/** The characters of repository names: a term with any other is in none. */
const POSSIBLE = /^[a-z0-9._/-]*$/

/** What the trigram index needs to look anything up. */
const indexedLengthMin = 3

/** How many names are read for a term that no index has. */
const readMax = 10_000

/** Sorts behind every character of a name. */
const LAST = '\u{10ffff}'

/** Repositories by a part of their name. */
export class RepositorySearch {
  readonly #exact: Statement<[string], RepositoryName>
  readonly #beginning: Statement<[string, string, number], RepositoryName>
  readonly #containing: Statement<[string, number], RepositoryName>
  readonly #containingShort: Statement<[string, number], RepositoryName>

  constructor(connection: Connection) {
    this.#exact = connection
      .prepare<[string], RepositoryName>(
        'select name from repositories where listed = 1 and name = ?',
      )
      .pluck()
    this.#beginning = connection
      .prepare<[string, string, number], RepositoryName>(
        'select name from repositories where listed = 1 and name >= ? and name < ? order by name limit ?',
      )
      .pluck()
    this.#containing = connection
      .prepare<[string, number], RepositoryName>(
        'select name from repository_names where name match ? limit ?',
      )
      .pluck()
    // No index has terms of one or two characters. They are in so many names that the first few
    // thousand have enough of them, or that nobody will look through what was found.
    this.#containingShort = connection
      .prepare<[string, number], RepositoryName>(
        `select name from (select name from repositories where listed = 1 order by name limit ${readMax})
         where instr(name, ?) > 0 limit ?`,
      )
      .pluck()
  }

  find(text: string, limit: number): RepositoryName[] {
    const term = text.toLowerCase()
    if (!POSSIBLE.test(term)) return []
    const found = new Set([
      ...this.#exact.all(term),
      ...this.#beginning.all(term, term + LAST, limit),
    ])
    if (found.size < limit && term !== '') {
      // Twice the limit: those that begin with the term are among them again.
      const others =
        term.length >= indexedLengthMin
          ? this.#containing.all(`"${term}"`, 2 * limit)
          : this.#containingShort.all(term, 2 * limit)
      for (const name of others) found.add(name)
    }
    return [...found].slice(0, limit)
  }
}
