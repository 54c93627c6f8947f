import type { Statement } from 'better-sqlite3'
import type { DeletedTags } from '../manifests.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'

/** A manifest that has just been deleted. */
interface DeletedManifest {
  readonly manifestId: number
  readonly generation: number
  readonly repositoryId: number
  readonly at: number
  readonly identity: string
}

interface UntaggingRow {
  readonly manifest_id: number
  readonly generation: number
  readonly repository_id: number
  readonly deleted_at: number
  readonly deleted_by: string
}

/** About as many tags as can be removed in half a millisecond; and how many are named. */
const removedAtOnceMax = 100

/**
 * The tags of deleted manifests. Few go with the delete; of many it is only remembered that they
 * are gone, and their rows are removed a few at a time, so that no transaction is a long one. Either
 * way each leaves the same row in the history.
 */
export class Untagging {
  readonly #firstTags: Statement<[number, number, number, number], string>
  readonly #recordRemovals: Statement<[UntaggingRow & { readonly limit: number }]>
  readonly #removeTags: Statement<[UntaggingRow & { readonly limit: number }]>
  readonly #begin: Statement<[UntaggingRow]>
  readonly #beginGeneration: Statement<[number]>
  readonly #find: Statement<[], UntaggingRow>
  readonly #end: Statement<[number, number]>

  constructor(connection: Connection) {
    this.#firstTags = connection
      .prepare<[number, number, number, number], string>(
        `select name from tags where manifest_id = ? and generation = ? and repository_id = ?
         order by name limit ?`,
      )
      .pluck()
    // Both in the same order, so that the limit cuts off the same tags.
    const someTags = `from tags
      where manifest_id = @manifest_id and generation = @generation
        and repository_id = @repository_id
      order by name limit @limit`
    this.#recordRemovals = connection.prepare(
      `insert into history (repository_id, tag, action, from_digest, to_digest, changed_at, changed_by)
       select repository_id, name, 'deleted', (select digest from manifests where id = @manifest_id),
         null, @deleted_at, @deleted_by ${someTags}`,
    )
    this.#removeTags = connection.prepare(
      `delete from tags where repository_id = @repository_id and name in (select name ${someTags})`,
    )
    this.#begin = connection.prepare(
      `insert into untaggings (manifest_id, generation, repository_id, deleted_at, deleted_by)
       values (@manifest_id, @generation, @repository_id, @deleted_at, @deleted_by)`,
    )
    this.#beginGeneration = connection.prepare(
      'update manifests set generation = generation + 1 where id = ?',
    )
    this.#find = connection.prepare('select * from untaggings limit 1')
    this.#end = connection.prepare(
      'delete from untaggings where manifest_id = ? and generation = ?',
    )
  }

  /**
   * To be called once for each delete of a manifest, in its transaction.
   *
   * @returns the tags that it had, as far as they are named, and whether {@link removeSome} has to
   *   remove some of them
   */
  begin({ manifestId, generation, repositoryId, at, identity }: DeletedManifest): DeletedTags {
    const untagging = {
      manifest_id: manifestId,
      generation,
      repository_id: repositoryId,
      deleted_at: at,
      deleted_by: identity,
    }
    const { entries: tags, hasMore } = pageOf(
      this.#firstTags.all(manifestId, generation, repositoryId, removedAtOnceMax + 1),
      removedAtOnceMax,
    )
    if (hasMore) {
      this.#begin.run(untagging)
      this.#beginGeneration.run(manifestId)
    } else {
      this.#remove(untagging, removedAtOnceMax)
    }
    return { tagsAreLeft: hasMore, tags, hasMoreTags: hasMore }
  }

  /**
   * Removes up to `limit` tags that count as gone.
   *
   * @returns whether there may be more
   */
  removeSome(limit: number): boolean {
    const untagging = this.#find.get()
    if (untagging === undefined) return false
    if (this.#remove(untagging, limit) === limit) return true
    this.#end.run(untagging.manifest_id, untagging.generation)
    return this.#find.get() !== undefined
  }

  #remove(untagging: UntaggingRow, limit: number): number {
    this.#recordRemovals.run({ ...untagging, limit })
    return this.#removeTags.run({ ...untagging, limit }).changes
  }
}
