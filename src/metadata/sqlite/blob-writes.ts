import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import type { DamagedBlob, LeaseRequest, MountBlob, PutBlob } from '../blobs.js'
import type { DigestRemoval } from '../removals.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { Keeping } from './keeping.js'
import type { QuotaGuard } from './quota-guard.js'
import type { Repositories } from './repositories.js'
import type { UploadWrites } from './upload-writes.js'

/** What changes blobs; each method runs inside a transaction of the writer. */
export class BlobWrites {
  readonly #repositories: Repositories
  readonly #keeping: Keeping
  readonly #counting: Counting
  readonly #quotas: QuotaGuard
  readonly #uploads: UploadWrites
  readonly #storeBlob: Statement<[string, number, number, number]>
  readonly #leaveFile: Statement<[{ readonly digest: string; readonly at: number }]>
  readonly #storeBytes: Statement<[string, Uint8Array]>
  readonly #removeBytes: Statement<[string]>
  readonly #link: Statement<[number, string, number]>
  readonly #unlink: Statement<[number, string]>
  readonly #isLinkedAnywhere: Statement<[string], number>
  readonly #markDamaged: Statement<[number, string, number]>
  readonly #beginQuarantine: Statement<[{ readonly digest: string; readonly at: number }]>

  constructor(
    connection: Connection,
    repositories: Repositories,
    keeping: Keeping,
    counting: Counting,
    quotas: QuotaGuard,
    uploads: UploadWrites,
  ) {
    this.#repositories = repositories
    this.#keeping = keeping
    this.#counting = counting
    this.#quotas = quotas
    this.#uploads = uploads
    this.#storeBlob = connection.prepare(
      `insert into blobs (digest, size_bytes, inline, stored_at) values (?, ?, ?, ?)
       on conflict do update set size_bytes = excluded.size_bytes, inline = excluded.inline,
         stored_at = max(excluded.stored_at, stored_at + 1), damaged_at = null`,
    )
    this.#leaveFile = connection.prepare(
      `insert into file_removals (digest, destination, begun_at)
       select digest, 'nowhere', @at from blobs where digest = @digest and inline = 0
         and not exists (select 1 from uploads where committing = @digest)
       on conflict do nothing`,
    )
    this.#storeBytes = connection.prepare(
      `insert into blob_contents (digest, bytes) values (?, ?)
       on conflict do update set bytes = excluded.bytes`,
    )
    this.#removeBytes = connection.prepare('delete from blob_contents where digest = ?')
    this.#link = connection.prepare(
      `insert into repository_blobs (repository_id, digest, linked_at) values (?, ?, ?)
       on conflict do nothing`,
    )
    this.#unlink = connection.prepare(
      'delete from repository_blobs where repository_id = ? and digest = ?',
    )
    this.#isLinkedAnywhere = connection
      .prepare<[string], number>(
        `select 1 from repository_blobs r join blobs b using (digest)
         where r.digest = ? and b.damaged_at is null limit 1`,
      )
      .pluck()
    this.#markDamaged = connection.prepare(
      'update blobs set damaged_at = ? where digest = ? and stored_at = ?',
    )
    // An upload that is about to become the blob puts its own bytes in their place.
    this.#beginQuarantine = connection.prepare(
      `insert into file_removals (digest, destination, begun_at)
       select digest, 'quarantine', @at from blobs where digest = @digest and inline = 0
         and not exists (select 1 from uploads where committing = @digest)
       on conflict do nothing`,
    )
  }

  putBlob({ repository, digest, sizeBytes, bytes, uploadId, at, leaseUntil }: PutBlob): void {
    if (uploadId !== undefined) this.#uploads.end(repository, uploadId, at)
    const repositoryId = this.#repositories.ensure(repository, at)
    // What was in a file until now needs none any more.
    if (bytes) this.#leaveFile.run({ digest, at })
    this.#storeBlob.run(digest, sizeBytes, bytes ? 1 : 0, at)
    if (bytes) this.#storeBytes.run(digest, bytes)
    else this.#removeBytes.run(digest)
    this.#give(repositoryId, digest, at, leaseUntil)
  }

  mountBlob({ repository, digest, from, quotas = [], at, leaseUntil }: MountBlob): boolean {
    if (!this.#isThere(from, digest)) return false
    this.#quotas.requireRoom({ repository, quotas, digest })
    const repositoryId = this.#repositories.ensure(repository, at)
    this.#give(repositoryId, digest, at, leaseUntil)
    return true
  }

  deleteBlob(removal: DigestRemoval & { readonly evenIfReferenced: boolean }): void {
    const { repository, digest } = removal
    const repositoryId = this.#repositories.get(repository)
    if (!this.#repositories.hasBlob(repositoryId, digest)) throw blobUnknown(digest)
    const manifest = this.#counting.findLiveHolder(repositoryId, digest)
    if (manifest !== undefined && !removal.evenIfReferenced) {
      throw new RegistryError(
        'UNSUPPORTED',
        'a manifest of this repository needs the blob; delete that first',
        { details: [{ digest, manifest }] },
      )
    }
    this.#counting.blobGoes(repositoryId, digest)
    this.#unlink.run(repositoryId, digest)
    // The same bytes may have been promised as a manifest.
    if (this.#repositories.findManifest(repositoryId, digest) === undefined) {
      this.#keeping.dropLease(repositoryId, digest)
    }
    this.#keeping.review(repositoryId, digest, removal.reviewAt, 'blob unlinked')
  }

  markBlobDamaged({ digest, storedAt }: DamagedBlob, at: number): boolean {
    if (this.#markDamaged.run(at, digest, storedAt).changes === 0) return false
    this.#beginQuarantine.run({ digest, at })
    return true
  }

  takeLease({ repository, digest, until }: LeaseRequest): void {
    const repositoryId = this.#repositories.get(repository)
    const isThere =
      this.#repositories.hasBlob(repositoryId, digest) ||
      this.#repositories.findManifest(repositoryId, digest) !== undefined
    if (!isThere) throw blobUnknown(digest)
    this.#keeping.lease(repositoryId, digest, until)
  }

  #give(repositoryId: number, digest: Digest, at: number, leaseUntil: number): void {
    const isNew = this.#link.run(repositoryId, digest, at).changes > 0
    if (isNew) this.#counting.blobCame(repositoryId, digest)
    this.#keeping.lease(repositoryId, digest, leaseUntil)
  }

  #isThere(from: MountBlob['from'], digest: Digest): boolean {
    if (from === undefined) return this.#isLinkedAnywhere.get(digest) !== undefined
    const fromId = this.#repositories.find(from)
    return fromId !== undefined && this.#repositories.hasBlob(fromId, digest)
  }
}

export function blobUnknown(digest: Digest): RegistryError {
  return new RegistryError('BLOB_UNKNOWN', 'the repository has no such blob', {
    details: [{ digest }],
  })
}
