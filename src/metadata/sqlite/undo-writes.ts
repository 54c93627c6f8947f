import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { RepositoryName, Tag } from '../../oci/reference.js'
import type { RepositoryRemoval } from '../repositories.js'
import type {
  RestoredTag,
  RestoredTags,
  RestoredTagsAt,
  RestoreManifest,
  RestoreRepository,
  RestoreTag,
  RestoreTagsAt,
  RestoreTagsOf,
} from '../undo.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { HistoryWrites } from './history-writes.js'
import type { Keeping } from './keeping.js'
import type { Repositories } from './repositories.js'
import type { KeptTagsLook, TagGuard } from './tag-guard.js'
import type { TagTarget, TagWrites } from './tag-writes.js'

/** With what {@link KeptTags.requireNone} has found, when there are rules. */
export type CheckedRepositoryRemoval = RepositoryRemoval & {
  readonly look: KeptTagsLook | undefined
}

interface KeptManifest {
  readonly id: number
  readonly digest: Digest
  readonly generation: number
  readonly size_bytes: number
  readonly deleted_at: number | null
}

interface LastChange {
  readonly id: number
  readonly from_digest: Digest | null
}

/** A tag that went with a manifest, and the id of that in the history. */
interface GoneTag {
  readonly tag: string
  readonly id: number
}

interface Author {
  readonly identity: string
  readonly at: number
}

interface Change extends Author {
  /** When what it frees may be looked at. */
  readonly reviewAt: number
}

type TagAtTime = Pick<RestoreTag, 'tag' | 'at' | 'reviewAt'> & { readonly time: number }

/** What brings back what was deleted or overwritten; each method runs inside a transaction. */
export class UndoWrites {
  readonly #repositories: Repositories
  readonly #tags: TagWrites
  readonly #history: HistoryWrites
  readonly #counting: Counting
  readonly #guard: TagGuard
  readonly #keeping: Keeping
  readonly #storeDeleted: Statement<[number, string, number, string]>
  readonly #giveNameBack: Statement<[{ readonly id: number }]>
  readonly #findDeleted: Statement<[string, number], number>
  readonly #forgetDeleted: Statement<[number]>
  readonly #takeName: Statement<[{ readonly id: number; readonly name: string }]>
  readonly #isListed: Statement<[number], number>
  readonly #lastChange: Statement<[number, string], LastChange>
  readonly #atTime: Statement<[number, string, number], { to_digest: Digest | null }>
  readonly #afterTime: Statement<[number, string, number], { from_digest: Digest | null }>
  readonly #findKept: Statement<[number, string], KeptManifest>
  readonly #revive: Statement<[number]>
  readonly #relink: Statement<[number, number, number], string>
  readonly #deletedChildren: Statement<[number], KeptManifest>
  readonly #deletion: Statement<[number, string], number>
  readonly #tagsOf: Statement<[number, string, number, string, number], GoneTag>

  constructor(
    connection: Connection,
    rows: {
      readonly repositories: Repositories
      readonly tags: TagWrites
      readonly history: HistoryWrites
      readonly counting: Counting
      readonly guard: TagGuard
      readonly keeping: Keeping
    },
  ) {
    this.#repositories = rows.repositories
    this.#tags = rows.tags
    this.#history = rows.history
    this.#counting = rows.counting
    this.#guard = rows.guard
    this.#keeping = rows.keeping
    this.#storeDeleted = connection.prepare(
      `insert into deleted_repositories (repository_id, name, deleted_at, deleted_by)
       values (?, ?, ?, ?)`,
    )
    this.#giveNameBack = connection.prepare(
      `update repositories set name = '#' || id, listed = 0 where id = @id`,
    )
    this.#findDeleted = connection
      .prepare<[string, number], number>(
        `select repository_id from deleted_repositories where name = ? and deleted_at > ?
         order by deleted_at desc limit 1`,
      )
      .pluck()
    this.#forgetDeleted = connection.prepare(
      'delete from deleted_repositories where repository_id = ?',
    )
    this.#takeName = connection.prepare(
      `update repositories set name = @name, listed = description <> '' or exists (
         select 1 from manifests where repository_id = @id and deleted_at is null) where id = @id`,
    )
    this.#isListed = connection
      .prepare<[number], number>('select listed from repositories where id = ?')
      .pluck()
    this.#lastChange = connection.prepare(
      `select id, from_digest from history where repository_id = ? and tag = ?
       order by id desc limit 1`,
    )
    this.#atTime = connection.prepare(
      `select to_digest from history where repository_id = ? and tag = ? and changed_at <= ?
       order by id desc limit 1`,
    )
    this.#afterTime = connection.prepare(
      `select from_digest from history where repository_id = ? and tag = ? and changed_at > ?
       order by id limit 1`,
    )
    const keptColumns = 'm.id, m.digest, m.generation, m.size_bytes, m.deleted_at'
    this.#findKept = connection.prepare(
      `select ${keptColumns} from manifests m where m.repository_id = ? and m.digest = ?`,
    )
    this.#revive = connection.prepare(
      `update manifests set deleted_at = null, deleted_by = null
       where id = ? and deleted_at is not null`,
    )
    // A blob may have been taken away from the repository meanwhile; its bytes are held. Of an index,
    // those that are no manifests are blobs.
    this.#relink = connection
      .prepare<[number, number, number], string>(
        `insert into repository_blobs (repository_id, digest, linked_at)
         select distinct ?, r.digest, ? from manifest_references r join blobs b on b.digest = r.digest
         where r.manifest_id = ? and (r.kind <> 'child' or not exists (
           select 1 from manifests m
           where m.repository_id = r.repository_id and m.digest = r.digest))
         on conflict do nothing returning digest`,
      )
      .pluck()
    this.#deletedChildren = connection.prepare(
      `select ${keptColumns} from manifest_references r
       cross join manifests m on m.repository_id = r.repository_id and m.digest = r.digest
       where r.manifest_id = ? and r.kind = 'child' and m.deleted_at is not null`,
    )
    this.#deletion = connection
      .prepare<[number, string], number>(
        `select changed_at from history indexed by history_deleted_idx
         where repository_id = ? and from_digest = ? and tag = '' and action = 'deleted'
         order by changed_at desc limit 1`,
      )
      .pluck()
    this.#tagsOf = connection.prepare(
      `select tag, max(id) as id from history indexed by history_deleted_idx
       where repository_id = ? and from_digest = ? and changed_at = ? and action = 'deleted'
         and tag > ?
       group by tag order by tag limit ?`,
    )
  }

  deleteRepository(removal: CheckedRepositoryRemoval): void {
    const { repository, tagRules, look } = removal
    const repositoryId = this.#repositories.get(repository)
    this.#guard.requireNoneSince({ repository, repositoryId }, tagRules, look)
    this.#delete(repositoryId, repository, removal)
  }

  restoreRepository(restore: RestoreRepository): void {
    const { repository, as: name = repository, deletedSince, identity, at } = restore
    const id = this.#findDeleted.get(repository, deletedSince)
    if (id === undefined) {
      throw new RegistryError(
        'NAME_UNKNOWN',
        'no repository of this name was deleted that can still be brought back',
        { details: [{ name: repository }] },
      )
    }
    const inItsPlace = this.#repositories.find(name)
    if (inItsPlace !== undefined) {
      if (this.#isListed.get(inItsPlace) === 1) {
        throw new RegistryError(
          'CONFLICT',
          `there is a repository ${name} again; delete that first, or restore under another name`,
          { details: [{ name }] },
        )
      }
      // Nothing but what a push has left that never ended, or will begin again.
      this.#delete(inItsPlace, name, { identity, at })
    }
    this.#forgetDeleted.run(id)
    this.#takeName.run({ id, name })
    this.#history.record({ repositoryId: id, action: 'repository restored', identity, at })
  }

  restoreTag(restore: RestoreTag): RestoredTag {
    const { repository, tag, time, tagRules } = restore
    const repositoryId = this.#repositories.get(repository)
    const current = this.#tags.settle(repositoryId, tag)
    const digest =
      time === undefined
        ? this.#targetBefore(repositoryId, tag)
        : this.#targetAt(repositoryId, { ...restore, time }, current)
    if (digest === undefined) throw unknown('the tag was not there at that time', { tag })
    if (current?.digest === digest) return { digest, changed: false }
    const manifest = this.#findKept.get(repositoryId, digest)
    if (manifest === undefined) {
      throw unknown('what the tag pointed to is gone for good', { tag, digest })
    }
    const manifestId = manifest.id
    this.#guard.requireMovable({ repository, repositoryId, tag, manifestId }, tagRules)
    this.#bringBack(repositoryId, manifest, restore)
    this.#point(repositoryId, tag, manifest, restore)
    return { digest, changed: true }
  }

  restoreTagsAt(restore: RestoreTagsAt): RestoredTagsAt {
    const repositoryId = this.#repositories.get(restore.repository)
    const tags: Tag[] = []
    let [lostCount, keptCount] = [0, 0]
    for (const tag of restore.tags) {
      const current = this.#tags.settle(repositoryId, tag)
      const digest = this.#targetAt(repositoryId, { ...restore, tag }, current)
      if (digest === undefined || digest === current?.digest) continue
      const manifest = this.#findKept.get(repositoryId, digest)
      if (manifest === undefined) {
        lostCount++
        continue
      }
      const manifestId = manifest.id
      if (!this.#guard.isMovable({ repositoryId, tag, manifestId }, restore.tagRules)) {
        keptCount++
        continue
      }
      this.#bringBack(repositoryId, manifest, restore)
      this.#point(repositoryId, tag, manifest, restore)
      tags.push(tag)
    }
    return { tags, lostCount, keptCount }
  }

  restoreManifest({ repository, digest, identity, at, leaseUntil }: RestoreManifest) {
    const repositoryId = this.#repositories.get(repository)
    const manifest = this.#findKept.get(repositoryId, digest)
    const deletedAt = this.#deletion.get(repositoryId, digest)
    if (manifest === undefined || deletedAt === undefined) {
      throw unknown('no manifest of this digest was deleted that can still be brought back', {
        digest,
      })
    }
    this.#bringBack(repositoryId, manifest, { identity, at })
    this.#keeping.lease(repositoryId, digest, leaseUntil)
    return { deletedAt }
  }

  restoreTagsOf(restore: RestoreTagsOf): RestoredTags {
    const { repository, digest, deletedAt, after, limit } = restore
    const repositoryId = this.#repositories.get(repository)
    const manifest = this.#findKept.get(repositoryId, digest)
    // Deleted again in between.
    if (manifest === undefined || manifest.deleted_at !== null) return { tags: [] }
    const gone = this.#tagsOf.all(repositoryId, digest, deletedAt, after, limit)
    const tags: string[] = []
    for (const { tag, id } of gone) {
      // What has happened to it since was somebody's wish, be it there or not.
      if (this.#lastChange.get(repositoryId, tag)?.id !== id) continue
      this.#point(repositoryId, tag, manifest, restore)
      tags.push(tag)
    }
    const next = gone.length < limit ? undefined : gone.at(-1)?.tag
    return { tags, ...(next !== undefined && { next }) }
  }

  #delete(id: number, name: RepositoryName, { identity, at }: Author): void {
    this.#storeDeleted.run(id, name, at, identity)
    this.#giveNameBack.run({ id })
    this.#history.record({ repositoryId: id, action: 'repository deleted', identity, at })
  }

  /** What a tag pointed to before its last change. */
  #targetBefore(repositoryId: number, tag: string): Digest {
    const last = this.#lastChange.get(repositoryId, tag)
    if (last === undefined) throw unknown('the repository never had this tag', { tag })
    if (last.from_digest !== null) return last.from_digest
    throw unknown('the tag has never been moved or deleted: there is nothing to go back to', {
      tag,
    })
  }

  /**
   * What a tag pointed to at a time; undefined when it was not there. Inside the undo window, how it came to be so may be forgotten by
   * now: then the change that came next tells it, or, without one, what the tag points to still.
   */
  #targetAt(
    repositoryId: number,
    { tag, time, at, reviewAt }: TagAtTime,
    current: TagTarget | undefined,
  ): Digest | undefined {
    const change = this.#atTime.get(repositoryId, tag, time)
    if (change) return change.to_digest ?? undefined
    if (time < at - (reviewAt - at)) return undefined
    const next = this.#afterTime.get(repositoryId, tag, time)
    return next ? (next.from_digest ?? undefined) : (current?.digest as Digest | undefined)
  }

  #point(repositoryId: number, tag: string, manifest: KeptManifest, change: Change): void {
    const { id: manifestId, generation, digest } = manifest
    const { identity, at, reviewAt } = change
    const move = { repositoryId, tag, manifestId, generation, digest, identity, at, reviewAt }
    this.#tags.move({ ...move, action: 'restored' })
  }

  /** Makes a manifest be there again, and what it cannot be used without. */
  #bringBack(repositoryId: number, manifest: KeptManifest, author: Author): void {
    const { identity, at } = author
    for (const digest of this.#relink.all(repositoryId, at, manifest.id)) {
      this.#counting.blobCame(repositoryId, digest)
    }
    for (const child of this.#deletedChildren.all(manifest.id)) {
      this.#bringBack(repositoryId, child, author)
    }
    const { id, digest, size_bytes: sizeBytes } = manifest
    // A child may have come back with another index a moment ago.
    if (this.#revive.run(id).changes === 0) return
    this.#history.record({ repositoryId, action: 'restored', to: digest, identity, at })
    this.#counting.manifestCame({ id, repositoryId, sizeBytes })
  }
}

function unknown(reason: string, detail: object): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', reason, { details: [detail] })
}
