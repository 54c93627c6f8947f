import { setImmediate as turn } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import type { RepositoryName } from '../../oci/reference.js'
import type { Viewer } from '../viewers.js'
import type { Connection } from './connection.js'
import { FIRST_NAME, LAST_NAME, type VisibleRepositories } from './visible-repositories.js'

/** The characters of repository names: a term with any other is in none. */
const POSSIBLE = /^[a-z0-9._/-]*$/

/** What the trigram index needs to look anything up. */
const indexedLengthMin = 3

/** How many names are read for a term that no index has. */
const readMax = 10_000

/** How many names with a term in them are read for somebody who may see only some. */
const batch = 500

/** Repositories by a part of their name. */
export class RepositorySearch {
  readonly #visible: VisibleRepositories
  readonly #exact: Statement<[string], RepositoryName>
  readonly #beginning: Statement<[string, string, number], RepositoryName>
  readonly #containing: Statement<[string, number], RepositoryName>
  readonly #containingShort: Statement<[string, number], RepositoryName>
  readonly #containingAfter: Statement<
    [string, number, number],
    { readonly id: number; readonly name: RepositoryName }
  >

  constructor(connection: Connection, visible: VisibleRepositories) {
    this.#visible = visible
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
    this.#containingAfter = connection.prepare(
      `select rowid as id, name from repository_names where name match ? and rowid > ?
       order by rowid limit ?`,
    )
  }

  find(text: string, limit: number): RepositoryName[] {
    const term = text.toLowerCase()
    if (!POSSIBLE.test(term)) return []
    const found = new Set([
      ...this.#exact.all(term),
      ...this.#beginning.all(term, term + LAST_NAME, limit),
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

  /** As `find`, for somebody who may see only some. */
  async findVisible(text: string, limit: number, viewer: Viewer): Promise<RepositoryName[]> {
    const term = text.toLowerCase()
    if (!POSSIBLE.test(term)) return []
    const range = { from: term, below: term + LAST_NAME }
    // By name, so the one that is called exactly so comes first.
    const found = new Set((await this.#visible.list(viewer, range, limit)).entries)
    if (found.size < limit && term !== '') {
      for (const name of await this.#containingVisible(term, limit, viewer)) found.add(name)
    }
    return [...found].slice(0, limit)
  }

  async #containingVisible(
    term: string,
    limit: number,
    viewer: Viewer,
  ): Promise<readonly RepositoryName[]> {
    const found = new Set<RepositoryName>()
    let isWhole = false
    if (term.length >= indexedLengthMin) {
      let last = 0
      for (let read = 0; read < readMax && found.size < 2 * limit && !isWhole; read += batch) {
        const rows = this.#containingAfter.all(`"${term}"`, last, batch)
        const names = rows.map(({ name }) => name)
        for (const name of this.#visible.visibleOf(viewer, names)) found.add(name)
        isWhole = rows.length < batch
        last = rows.at(-1)?.id ?? last
        await turn()
      }
    }
    // Many have it in their names whom they may not see: among those whom they may it is found as well.
    if (!isWhole && found.size < 2 * limit) {
      const all = await this.#visible.list(viewer, { from: FIRST_NAME, below: LAST_NAME }, readMax)
      for (const name of all.entries) if (name.includes(term)) found.add(name)
    }
    return [...found]
  }
}
