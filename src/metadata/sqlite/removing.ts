import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { ManifestToJudge } from './judgement.js'
import type { ReviewReason } from './keeping.js'

export interface BlobToRemove {
  readonly digest: string
  readonly size_bytes: number
  readonly inline: 0 | 1
}

/** Removes the rows of what nothing can reach, and asks for a look at what they held. */
export class Removing {
  readonly #counting: Counting
  readonly #askAboutHeld: Statement<
    [{ readonly id: number; readonly at: number; readonly reason: ReviewReason }]
  >
  readonly #askAboutReferrers: Statement<
    [
      {
        readonly repositoryId: number
        readonly digest: string
        readonly at: number
        readonly reason: ReviewReason
      },
    ]
  >
  readonly #markDeleted: Statement<[number, number]>
  readonly #removeUntaggings: Statement<[number]>
  readonly #removeManifest: Statement<[number]>
  readonly #removeContents: Statement<[{ readonly digest: string }]>
  readonly #unlink: Statement<[number, string]>
  readonly #findBlob: Statement<[string], BlobToRemove>
  readonly #beginFileRemoval: Statement<[string, number]>
  readonly #removeBlob: Statement<[string]>

  constructor(connection: Connection, counting: Counting) {
    this.#counting = counting
    // What another manifest refers to stays, and is asked about when the last of them goes: of a base
    // layer that is once, not with each image.
    this.#askAboutHeld = connection.prepare(
      `insert into reviews (digest, repository_id, due_at, reason)
       select distinct digest, repository_id, @at, @reason from manifest_references r
       where manifest_id = @id and not exists (
         select 1 from manifest_references o where o.digest = r.digest
           and o.repository_id = r.repository_id and o.manifest_id <> r.manifest_id)
       on conflict do update set due_at = min(due_at, excluded.due_at), reason = excluded.reason`,
    )
    this.#askAboutReferrers = connection.prepare(
      `insert into reviews (digest, repository_id, due_at, reason)
       select digest, repository_id, @at, @reason from manifests
       where repository_id = @repositoryId and subject_digest = @digest and deleted_at is null
       on conflict do update set due_at = min(due_at, excluded.due_at), reason = excluded.reason`,
    )
    this.#markDeleted = connection.prepare('update manifests set deleted_at = ? where id = ?')
    this.#removeUntaggings = connection.prepare('delete from untaggings where manifest_id = ?')
    this.#removeManifest = connection.prepare('delete from manifests where id = ?')
    this.#removeContents = connection.prepare(
      `delete from manifest_contents where digest = @digest
         and not exists (select 1 from manifests where digest = @digest)`,
    )
    this.#unlink = connection.prepare(
      'delete from repository_blobs where repository_id = ? and digest = ?',
    )
    this.#findBlob = connection.prepare(
      'select digest, size_bytes, inline from blobs where digest = ?',
    )
    this.#beginFileRemoval = connection.prepare(
      `insert into file_removals (digest, destination, begun_at) values (?, 'nowhere', ?)
       on conflict do nothing`,
    )
    this.#removeBlob = connection.prepare('delete from blobs where digest = ?')
  }

  /**
   * Removes a manifest that has no tag left.
   *
   * @param reason - why what it held is to be looked at
   * @returns the bytes that this frees: none when another repository has it too
   */
  removeManifest(
    manifest: ManifestToJudge,
    at: number,
    reason: ReviewReason = 'holder collected',
  ): number {
    const { id, digest, repository_id: repositoryId, size_bytes: sizeBytes } = manifest
    if (manifest.deleted_at === null) {
      this.#markDeleted.run(at, id)
      this.#counting.manifestWent({ id, repositoryId, sizeBytes })
    }
    this.#askAboutHeld.run({ id, at, reason })
    this.#removeUntaggings.run(id)
    // Its references go with it.
    this.#removeManifest.run(id)
    this.#askAboutReferrers.run({ repositoryId, digest, at, reason })
    return this.#removeContents.run({ digest }).changes > 0 ? sizeBytes : 0
  }

  unlink(repositoryId: number, digest: string): void {
    this.#unlink.run(repositoryId, digest)
  }

  findBlob(digest: string): BlobToRemove | undefined {
    return this.#findBlob.get(digest)
  }

  /** Removes a blob that no repository has; a file of it is to be removed after the transaction. */
  removeBlob({ digest, inline }: BlobToRemove, at: number): void {
    if (inline === 0) this.#beginFileRemoval.run(digest, at)
    this.#removeBlob.run(digest)
  }
}
