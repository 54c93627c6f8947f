import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { DigestRemoval, PutManifest, TagRemoval } from '../metadata-store.js'
import type { Connection } from './connection.js'
import type { Keeping } from './keeping.js'
import type { Repositories } from './repositories.js'

interface TagRow {
  readonly manifest_id: number
  readonly digest: string
}

/** What changes manifests and tags; each method runs inside a transaction of the writer. */
export class ManifestWrites {
  readonly #repositories: Repositories
  readonly #keeping: Keeping
  readonly #storeBytes: Statement<[string, Uint8Array]>
  readonly #storeManifest: Statement<unknown[], number>
  readonly #storeReference: Statement<[number, string, number, string, number]>
  readonly #findTag: Statement<[number, string], TagRow>
  readonly #storeTag: Statement<[number, string, number, number, string]>
  readonly #removeTag: Statement<[number, string]>
  readonly #recordMove: Statement<[number, string, string | null, string | null, number, string]>
  readonly #tagsOfManifest: Statement<[number], string>
  readonly #removeTagsOfManifest: Statement<[number]>
  readonly #retireManifest: Statement<[number, string, number]>

  constructor(connection: Connection, repositories: Repositories, keeping: Keeping) {
    this.#repositories = repositories
    this.#keeping = keeping
    // Written again even when it is there: a push heals what has rotted.
    this.#storeBytes = connection.prepare(
      `insert into manifest_contents (digest, bytes) values (?, ?)
       on conflict do update set bytes = excluded.bytes`,
    )
    this.#storeManifest = connection
      .prepare<unknown[], number>(
        `insert into manifests (repository_id, digest, media_type, size_bytes, artifact_type,
           annotations, subject_digest, pushed_at, pushed_by)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict do update set media_type = excluded.media_type,
           artifact_type = excluded.artifact_type, pushed_at = excluded.pushed_at,
           pushed_by = excluded.pushed_by, deleted_at = null, deleted_by = null
         returning id`,
      )
      .pluck()
    this.#storeReference = connection.prepare(
      `insert into manifest_references (manifest_id, digest, repository_id, kind, size_bytes)
       values (?, ?, ?, ?, ?)
       on conflict do nothing`,
    )
    this.#findTag = connection.prepare(
      `select t.manifest_id, m.digest from tags t join manifests m on m.id = t.manifest_id
       where t.repository_id = ? and t.name = ?`,
    )
    this.#storeTag = connection.prepare(
      `insert into tags (repository_id, name, manifest_id, updated_at, updated_by)
       values (?, ?, ?, ?, ?)
       on conflict do update set manifest_id = excluded.manifest_id,
         updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    )
    this.#removeTag = connection.prepare('delete from tags where repository_id = ? and name = ?')
    this.#recordMove = connection.prepare(
      `insert into tag_history (repository_id, tag, from_digest, to_digest, changed_at, changed_by)
       values (?, ?, ?, ?, ?, ?)`,
    )
    this.#tagsOfManifest = connection
      .prepare<[number], string>('select name from tags where manifest_id = ?')
      .pluck()
    this.#removeTagsOfManifest = connection.prepare('delete from tags where manifest_id = ?')
    this.#retireManifest = connection.prepare(
      'update manifests set deleted_at = ?, deleted_by = ? where id = ?',
    )
  }

  putManifest(put: PutManifest): void {
    const { digest, manifest, bytes, identity, at } = put
    const repositoryId = this.#repositories.ensure(put.repository, at)
    this.#requireReferences(repositoryId, put)

    this.#storeBytes.run(digest, bytes)
    const manifestId = this.#storeManifest.get(
      repositoryId,
      digest,
      manifest.mediaType,
      bytes.byteLength,
      manifest.artifactType ?? null,
      manifest.annotations ? JSON.stringify(manifest.annotations) : null,
      manifest.subject?.digest ?? null,
      at,
      identity,
    ) as number
    for (const reference of manifest.references) {
      const { digest: target, kind, sizeBytes } = reference
      this.#storeReference.run(manifestId, target, repositoryId, kind, sizeBytes)
    }

    for (const tag of put.tags) {
      const before = this.#findTag.get(repositoryId, tag)
      this.#storeTag.run(repositoryId, tag, manifestId, at, identity)
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
    if (before === undefined) {
      throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such tag', {
        details: [{ tag }],
      })
    }
    this.#removeTag.run(repositoryId, tag)
    this.#recordMove.run(repositoryId, tag, before.digest, null, at, identity)
    this.#keeping.review(repositoryId, before.digest, reviewAt, 'tag deleted')
  }

  deleteManifest({ repository, digest, identity, at, reviewAt }: DigestRemoval): void {
    const repositoryId = this.#repositories.get(repository)
    const manifestId = this.#repositories.findManifest(repositoryId, digest)
    if (manifestId === undefined) {
      throw new RegistryError('MANIFEST_UNKNOWN', 'the repository has no such manifest', {
        details: [{ digest }],
      })
    }
    for (const tag of this.#tagsOfManifest.all(manifestId)) {
      this.#recordMove.run(repositoryId, tag, digest, null, at, identity)
    }
    this.#removeTagsOfManifest.run(manifestId)
    this.#retireManifest.run(at, identity, manifestId)
    this.#keeping.review(repositoryId, digest, reviewAt, 'manifest deleted')
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
