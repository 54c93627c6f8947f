import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import type { StoredManifest } from '../manifests.js'
import type { Page, PageRequest } from '../pages.js'
import type { Connection } from './connection.js'
import type { ManifestContents } from './manifest-contents.js'
import { manifestColumns, manifestLease, type ManifestRow } from './manifest-rows.js'
import { pageOf } from './pages.js'

/** A place among the tags of a repository, in the order in which they moved. */
interface Moment {
  readonly updated_at: number
  readonly name: string
}

/** How many rows are walked at once where many count as gone: half a millisecond. */
const stretchLength = 1_000

/** Sorts behind every tag. */
const LAST = '\u{10ffff}'

/** Behind every tag that ever moved, and before. */
const END_OF_TIME: Moment = { updated_at: Number.MAX_SAFE_INTEGER, name: LAST }
const BEGINNING_OF_TIME: Moment = { updated_at: Number.MIN_SAFE_INTEGER, name: '' }

/**
 * Tags in their order. Usually one statement has the answer. While a deleted manifest still has
 * rows of tags, which count as gone, any number of them may lie before the next one that is there:
 * then the walk is made in stretches, and everybody else has a turn between two of them. What is
 * found in a stretch was all there at one moment.
 */
export class TagReads {
  readonly #contents: ManifestContents
  readonly #namesIfNoneIsGone: Statement<
    [{ repositoryId: number; after: string; limit: number }],
    string
  >
  readonly #names: Statement<
    [{ repositoryId: number; after: string; last: string; limit: number }],
    string
  >
  readonly #endOfNames: Statement<[number, string], string>
  readonly #newest: Statement<[number], ManifestRow>
  readonly #newestIn: Statement<[number, number, string, number, string], ManifestRow>
  readonly #endOfMoments: Statement<[number, number, string], Moment>

  constructor(connection: Connection, contents: ManifestContents) {
    this.#contents = contents
    this.#namesIfNoneIsGone = connection
      .prepare<[{ repositoryId: number; after: string; limit: number }], string>(
        `select name from tags
         where repository_id = @repositoryId and name > @after
           and not exists (select 1 from untaggings where repository_id = @repositoryId)
         order by name limit @limit`,
      )
      .pluck()
    this.#names = connection
      .prepare<[{ repositoryId: number; after: string; last: string; limit: number }], string>(
        `select name from tags t
         where repository_id = @repositoryId and name > @after and name <= @last
           and not exists (select 1 from untaggings u
             where u.manifest_id = t.manifest_id and u.generation = t.generation)
         order by name limit @limit`,
      )
      .pluck()
    this.#endOfNames = connection
      .prepare<[number, string], string>(
        `select name from tags where repository_id = ? and name > ?
         order by name limit 1 offset ${stretchLength - 1}`,
      )
      .pluck()
    this.#newest = connection.prepare(
      `select ${manifestColumns} from
         (select manifest_id, generation from tags where repository_id = ?
          order by updated_at desc limit 1) t
       join manifests m on m.id = t.manifest_id and m.generation = t.generation
       ${manifestLease}`,
    )
    this.#newestIn = connection.prepare(
      `select ${manifestColumns} from tags t
       cross join manifests m on m.id = t.manifest_id and m.generation = t.generation
       ${manifestLease}
       where t.repository_id = ? and (t.updated_at, t.name) < (?, ?)
         and (t.updated_at, t.name) >= (?, ?)
       order by t.updated_at desc, t.name desc limit 1`,
    )
    this.#endOfMoments = connection.prepare(
      `select updated_at, name from tags where repository_id = ? and (updated_at, name) < (?, ?)
       order by updated_at desc, name desc limit 1 offset ${stretchLength - 1}`,
    )
  }

  async list(repositoryId: number, { after = '', limit }: PageRequest): Promise<Page<string>> {
    const names = this.#namesIfNoneIsGone.all({ repositoryId, after, limit: limit + 1 })
    if (names.length > 0) return pageOf(names, limit)
    for (let last = after; ;) {
      // First where the stretch ends: in between, what counts as gone may really go.
      const end = this.#endOfNames.get(repositoryId, last)
      const room = limit + 1 - names.length
      names.push(...this.#names.all({ repositoryId, after: last, last: end ?? LAST, limit: room }))
      if (end === undefined || names.length > limit) return pageOf(names, limit)
      last = end
      await nextTurn()
    }
  }

  /** The manifest of the tag that moved last. */
  async findNewestManifest(repositoryId: number): Promise<StoredManifest | undefined> {
    const newest = this.#newest.get(repositoryId)
    if (newest) return this.#contents.of(newest)
    for (let from = END_OF_TIME; ;) {
      const end = this.#endOfMoments.get(repositoryId, from.updated_at, from.name)
      const to = end ?? BEGINNING_OF_TIME
      const row = this.#newestIn.get(
        repositoryId,
        from.updated_at,
        from.name,
        to.updated_at,
        to.name,
      )
      if (row) return this.#contents.of(row)
      if (end === undefined) return undefined
      from = end
      await nextTurn()
    }
  }
}
