import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { DeletedTags, ManifestRemoval, PutManifest } from '../manifests.js'
import type { SeenTag, TagRemoval } from '../tags.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { HistoryWrites } from './history-writes.js'
import type { Keeping } from './keeping.js'
import type { QuotaGuard } from './quota-guard.js'
import type { Repositories } from './repositories.js'
import type { KeptTagsLook, TagGuard } from './tag-guard.js'
import type { TagTarget, TagWrites } from './tag-writes.js'
import type { Untagging } from './untagging.js'

interface ManifestRow {
  readonly id: number
  readonly generation: number
}

/** A removal with what {@link KeptTags} has found. */
export type CheckedManifestRemoval = ManifestRemoval & {
  readonly look: KeptTagsLook | undefined
}

/** What changes manifests and tags; each method runs inside a transaction of the writer. */
export class ManifestWrites {
  readonly #repositories: Repositories
  readonly #tags: TagWrites
  readonly #guard: TagGuard
  readonly #history: HistoryWrites
  readonly #keeping: Keeping
  readonly #counting: Counting
  readonly #quotas: QuotaGuard
  readonly #untagging: Untagging
  readonly #storeBytes: Statement<[string, Uint8Array]>
  readonly #storeManifest: Statement<unknown[], ManifestRow>
  readonly #storeReference: Statement<[number, string, number, string, number]>
  readonly #retireManifest: Statement<
    [{ readonly id: number; readonly at: number; readonly identity: string }],
    { generation: number; size_bytes: number }
  >

  constructor(
    connection: Connection,
    rows: {
      readonly repositories: Repositories
      readonly tags: TagWrites
      readonly guard: TagGuard
      readonly history: HistoryWrites
      readonly keeping: Keeping
      readonly counting: Counting
      readonly quotas: QuotaGuard
      readonly untagging: Untagging
    },
  ) {
    this.#repositories = rows.repositories
    this.#tags = rows.tags
    this.#guard = rows.guard
    this.#history = rows.history
    this.#keeping = rows.keeping
    this.#counting = rows.counting
    this.#quotas = rows.quotas
    this.#untagging = rows.untagging
    // Written again even when it is there: a push heals what has rotted.
    this.#storeBytes = connection.prepare(
      `insert into manifest_contents (digest, bytes) values (?, ?)
       on conflict do update set bytes = excluded.bytes`,
    )
    this.#storeManifest = connection.prepare(
      `insert into manifests (repository_id, digest, media_type, size_bytes, artifact_type,
         annotations, subject_digest, pushed_at, pushed_by)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict do update set media_type = excluded.media_type,
         artifact_type = excluded.artifact_type, pushed_at = excluded.pushed_at,
         pushed_by = excluded.pushed_by, deleted_at = null, deleted_by = null
       returning id, generation`,
    )
    this.#storeReference = connection.prepare(
      `insert into manifest_references (manifest_id, digest, repository_id, kind, size_bytes)
       values (?, ?, ?, ?, ?)
       on conflict do nothing`,
    )
    // Its tags go with it: should it come back without them, they were lost now.
    this.#retireManifest = connection.prepare(
      `update manifests set deleted_at = @at, deleted_by = @identity,
         released_at = iif(
           exists (select 1 from tags t where t.manifest_id = @id and t.generation = manifests.generation),
           @at, released_at)
       where id = @id returning generation, size_bytes`,
    )
  }

  putManifest(put: PutManifest): void {
    const { digest, manifest, bytes, identity, at } = put
    const repositoryId = this.#repositories.ensure(put.repository, at)
    this.#requireReferences(repositoryId, put)
    const isNew = this.#repositories.findManifest(repositoryId, digest) === undefined

    this.#storeBytes.run(digest, bytes)
    const { id: manifestId, generation } = this.#storeManifest.get(
      repositoryId,
      digest,
      manifest.mediaType,
      bytes.byteLength,
      manifest.artifactType ?? null,
      manifest.annotations ? JSON.stringify(manifest.annotations) : null,
      manifest.subject?.digest ?? null,
      at,
      identity,
    ) as ManifestRow
    for (const reference of manifest.references) {
      const { digest: target, kind, sizeBytes } = reference
      this.#storeReference.run(manifestId, target, repositoryId, kind, sizeBytes)
      this.#keeping.fulfil(repositoryId, target)
    }
    if (isNew) {
      const sizeBytes = bytes.byteLength
      const added = this.#counting.manifestCame({ id: manifestId, repositoryId, sizeBytes })
      this.#quotas.requireHeld(put.quotas, added)
    }

    const move = { repositoryId, manifestId, generation, digest, identity, at }
    for (const tag of put.tags) {
      const target = { repository: put.repository, repositoryId, tag, manifestId }
      this.#guard.requireMovable(target, put.tagRules)
      if (!put.mayOverwrite) this.#guard.requireNew(target, identity)
      this.#tags.move({ ...move, tag, action: 'moved', reviewAt: put.reviewAt })
    }
    if (put.tags.length === 0) this.#keeping.lease(repositoryId, digest, put.leaseUntil)
    else this.#keeping.fulfil(repositoryId, digest)
  }

  deleteTag({ repository, tag, tagRules, seen, ...change }: TagRemoval): void {
    const repositoryId = this.#repositories.get(repository)
    const target = this.#tags.find(repositoryId, tag)
    if (target === undefined) {
      throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such tag', {
        details: [{ tag }],
      })
    }
    this.#guard.requireDeletable({ repository, tag }, tagRules)
    if (seen && !isAsSeen(target, seen)) {
      throw new RegistryError('CONFLICT', 'the tag has moved or was pulled meanwhile', {
        details: [{ tag }],
      })
    }
    this.#tags.remove({ repositoryId, tag, ...change }, target)
  }

  deleteManifest(removal: CheckedManifestRemoval): DeletedTags {
    const { repository, digest, identity, at, reviewAt } = removal
    const repositoryId = this.#repositories.get(repository)
    const id = this.#repositories.findManifest(repositoryId, digest)
    if (id === undefined) {
      throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such manifest', {
        details: [{ digest }],
      })
    }
    const goes = { repository, repositoryId, manifestId: id }
    this.#guard.requireNoneSince(goes, removal.tagRules, removal.look)
    const { generation, size_bytes: sizeBytes } = this.#retireManifest.get({
      ...{ id, at, identity },
    }) as { generation: number; size_bytes: number }
    this.#history.record({ repositoryId, action: 'deleted', from: digest, at, identity })
    // The same bytes may have been promised as a blob.
    if (!this.#repositories.hasBlob(repositoryId, digest)) {
      this.#keeping.dropLease(repositoryId, digest)
    }
    this.#keeping.review(repositoryId, digest, reviewAt, 'manifest deleted')
    this.#counting.manifestWent({ id, repositoryId, sizeBytes })
    return this.#untagging.begin({ manifestId: id, generation, repositoryId, at, identity })
  }

  #requireReferences(repositoryId: number, { requiredBlobs, requiredChildren }: PutManifest): void {
    const hasBlob = (digest: Digest) => this.#repositories.hasBlob(repositoryId, digest)
    const hasManifest = (digest: Digest) =>
      this.#repositories.findManifest(repositoryId, digest) !== undefined
    const missing = new Set([
      ...requiredBlobs.filter((digest) => !hasBlob(digest)),
      ...requiredChildren.filter((digest) => !hasManifest(digest) && !hasBlob(digest)),
    ])
    if (missing.size === 0) return
    throw new RegistryError(
      'MANIFEST_BLOB_UNKNOWN',
      'the manifest refers to something that this repository does not have; push that first',
      { details: [...missing].map((digest) => ({ digest })) },
    )
  }
}

function isAsSeen(target: TagTarget, { digest, movedAt, pulledAt }: SeenTag): boolean {
  return (
    target.digest === digest &&
    target.updated_at === movedAt &&
    (target.pulled_at ?? undefined) === pulledAt
  )
}
