import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { DigestRemoval, PutManifest, TagRemoval } from '../metadata-store.js'
import type { Connection } from './connection.js'
import type { Keeping } from './keeping.js'
import type { Repositories } from './repositories.js'
import type { Untagging } from './untagging.js'

interface TagRow {
  readonly manifest_id: number
  readonly digest: string
}

/** When and by whom the manifest of a tag was deleted whose row has not been removed yet. */
interface GoneTagRow extends TagRow {
  readonly deleted_at: number
  readonly deleted_by: string
}

interface PresentTagRow extends TagRow {
  readonly deleted_at: null
  readonly deleted_by: null
}

interface ManifestRow {
  readonly id: number
  readonly generation: number
}

/** What changes manifests and tags; each method runs inside a transaction of the writer. */
export class ManifestWrites {
  readonly #repositories: Repositories
  readonly #keeping: Keeping
  readonly #untagging: Untagging
  readonly #storeBytes: Statement<[string, Uint8Array]>
  readonly #storeManifest: Statement<unknown[], ManifestRow>
  readonly #storeReference: Statement<[number, string, number, string, number]>
  readonly #findTag: Statement<[number, string], GoneTagRow | PresentTagRow>
  readonly #storeTag: Statement<[number, string, number, number, number, string]>
  readonly #removeTag: Statement<[number, string]>
  readonly #recordMove: Statement<[number, string, string | null, string | null, number, string]>
  readonly #retireManifest: Statement<[number, string, number], number>

  constructor(
    connection: Connection,
    repositories: Repositories,
    keeping: Keeping,
    untagging: Untagging,
  ) {
    this.#repositories = repositories
    this.#keeping = keeping
    this.#untagging = untagging
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
    this.#findTag = connection.prepare(
      `select t.manifest_id, m.digest, u.deleted_at, u.deleted_by from tags t
       join manifests m on m.id = t.manifest_id
       left join untaggings u on u.manifest_id = t.manifest_id and u.generation = t.generation
       where t.repository_id = ? and t.name = ?`,
    )
    this.#storeTag = connection.prepare(
      `insert into tags (repository_id, name, manifest_id, generation, updated_at, updated_by)
       values (?, ?, ?, ?, ?, ?)
       on conflict do update set manifest_id = excluded.manifest_id,
         generation = excluded.generation, updated_at = excluded.updated_at,
         updated_by = excluded.updated_by`,
    )
    this.#removeTag = connection.prepare('delete from tags where repository_id = ? and name = ?')
    this.#recordMove = connection.prepare(
      `insert into tag_history (repository_id, tag, from_digest, to_digest, changed_at, changed_by)
       values (?, ?, ?, ?, ?, ?)`,
    )
    this.#retireManifest = connection
      .prepare<[number, string, number], number>(
        'update manifests set deleted_at = ?, deleted_by = ? where id = ? returning generation',
      )
      .pluck()
  }

  putManifest(put: PutManifest): void {
    const { digest, manifest, bytes, identity, at } = put
    const repositoryId = this.#repositories.ensure(put.repository, at)
    this.#requireReferences(repositoryId, put)

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
    }

    for (const tag of put.tags) {
      const before = this.#settle(repositoryId, tag)
      this.#storeTag.run(repositoryId, tag, manifestId, generation, at, identity)
      if (before?.manifest_id === manifestId) continue
      this.#recordMove.run(repositoryId, tag, before?.digest ?? null, digest, at, identity)
      if (before) {
        this.#keeping.review(repositoryId, before.digest, put.reviewAt, 'tag moved')
      }
    }
    if (put.tags.length === 0) this.#keeping.lease(repositoryId, digest, put.leaseUntil)
  }

  deleteTag({ repository, tag, identity, at, reviewAt }: TagRemoval): void {
    const repositoryId = this.#repositories.get(repository)
    const before = this.#findTag.get(repositoryId, tag)
    if (before === undefined || before.deleted_at !== null) {
      throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such tag', {
        details: [{ tag }],
      })
    }
    this.#removeTag.run(repositoryId, tag)
    this.#recordMove.run(repositoryId, tag, before.digest, null, at, identity)
    this.#keeping.review(repositoryId, before.digest, reviewAt, 'tag deleted')
  }

  deleteManifest(removal: DigestRemoval): { readonly tagsAreLeft: boolean } {
    const { repository, digest, identity, at, reviewAt } = removal
    const repositoryId = this.#repositories.get(repository)
    const manifestId = this.#repositories.findManifest(repositoryId, digest)
    if (manifestId === undefined) {
      throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such manifest', {
        details: [{ digest }],
      })
    }
    const generation = this.#retireManifest.get(at, identity, manifestId) as number
    this.#keeping.review(repositoryId, digest, reviewAt, 'manifest deleted')
    const deleted = { manifestId, generation, repositoryId, at, identity }
    return { tagsAreLeft: this.#untagging.begin(deleted) }
  }

  /**
   * What a tag that is about to move points to. If it counts as gone but has still its row, its
   * removal comes into the history now: the row will be another's.
   */
  #settle(repositoryId: number, tag: string): TagRow | undefined {
    const row = this.#findTag.get(repositoryId, tag)
    if (row === undefined || row.deleted_at === null) return row
    const { digest, deleted_at: at, deleted_by: identity } = row
    this.#recordMove.run(repositoryId, tag, digest, null, at, identity)
    return undefined
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
