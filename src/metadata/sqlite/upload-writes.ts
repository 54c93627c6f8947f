import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { AdvanceUpload, BeginCommit, OpenUpload, StoreUpload } from '../uploads.js'
import type { Connection } from './connection.js'

interface EndedUpload {
  readonly stored: number
  readonly committing: string | null
}

/** What changes upload sessions; each method runs inside a transaction of the writer. */
export class UploadWrites {
  readonly #count: Statement<[], number>
  readonly #open: Statement<[string, string, string, number, number, string]>
  readonly #offset: Statement<[string], number>
  readonly #advance: Statement<[number, Uint8Array | null, string | null, number, string]>
  readonly #setStored: Statement<[number, string]>
  readonly #isBeingRemoved: Statement<[string], number>
  readonly #setCommitting: Statement<[string, number, string]>
  readonly #forgetDigests: Statement<[]>
  readonly #touch: Statement<[number, string]>
  readonly #end: Statement<[string, string], EndedUpload>
  readonly #abandon: Statement<[string]>
  readonly #beginStrayRemoval: Statement<[{ readonly digest: string; readonly at: number }]>
  readonly #listIdle: Statement<[number, number], { id: string; repository: RepositoryName }>
  readonly #storeRemains: Statement<[string, number]>
  readonly #forgetRemains: Statement<[string]>

  constructor(connection: Connection) {
    this.#count = connection.prepare<[], number>('select count(*) from uploads').pluck()
    this.#open = connection.prepare(
      `insert into uploads (id, repository, algorithm, offset_bytes, received_digest, started_at,
         progressed_at, started_by, stored)
       values (?, ?, ?, 0, null, ?, ?, ?, 0)`,
    )
    this.#offset = connection
      .prepare<[string], number>('select offset_bytes from uploads where id = ?')
      .pluck()
    this.#advance = connection.prepare(
      `update uploads set offset_bytes = ?, bytes = ?, received_digest = ?, progressed_at = ?
       where id = ?`,
    )
    this.#setStored = connection.prepare(
      'update uploads set stored = 1, progressed_at = ? where id = ?',
    )
    this.#isBeingRemoved = connection
      .prepare<[string], number>('select 1 from file_removals where digest = ?')
      .pluck()
    this.#setCommitting = connection.prepare(
      'update uploads set committing = ?, progressed_at = ? where id = ?',
    )
    this.#forgetDigests = connection.prepare(
      'update uploads set received_digest = null where received_digest is not null',
    )
    this.#touch = connection.prepare('update uploads set progressed_at = ? where id = ?')
    this.#end = connection.prepare(
      'delete from uploads where id = ? and repository = ? returning stored, committing',
    )
    this.#abandon = connection.prepare('delete from uploads where id = ?')
    this.#beginStrayRemoval = connection.prepare(
      `insert into file_removals (digest, destination, begun_at)
       select @digest, 'nowhere', @at
       where not exists (select 1 from blobs where digest = @digest and inline = 0)
         and not exists (select 1 from uploads where committing = @digest)
       on conflict do nothing`,
    )
    this.#listIdle = connection.prepare(
      'select id, repository from uploads where progressed_at < ? order by progressed_at limit ?',
    )
    this.#storeRemains = connection.prepare(
      'insert into upload_remains (upload_id, over_at) values (?, ?) on conflict do nothing',
    )
    this.#forgetRemains = connection.prepare('delete from upload_remains where upload_id = ?')
  }

  /**
   * To be called when the database is opened: the machine may have lost its power since, and with
   * it bytes that these digests are of.
   */
  forgetReceivedDigests(): void {
    this.#forgetDigests.run()
  }

  openUpload({ id, repository, algorithm, identity, at, sessionsMax }: OpenUpload): void {
    // Counts at most sessionsMax entries of an index.
    if ((this.#count.get() ?? 0) >= sessionsMax) {
      throw new RegistryError(
        'TOOMANYREQUESTS',
        `there are ${sessionsMax} open uploads already; finish or cancel some, or wait until they expire`,
      )
    }
    this.#open.run(id, repository, algorithm, at, at, identity)
  }

  advanceUpload({ id, fromByte, toByte, bytes, receivedDigest, at }: AdvanceUpload): void {
    this.#requireOffset(id, fromByte)
    if (toByte === fromByte) this.#touch.run(at, id)
    else this.#advance.run(toByte, bytes ?? null, receivedDigest ?? null, at, id)
  }

  storeUpload({ id, fromByte, at }: StoreUpload): void {
    this.#requireOffset(id, fromByte)
    this.#setStored.run(at, id)
  }

  beginCommit({ id, digest, at }: BeginCommit): boolean {
    if (this.#isBeingRemoved.get(digest) !== undefined) return false
    // Nor does it expire now: what its end would remove is about to get its name.
    if (this.#setCommitting.run(digest, at, id).changes === 0) throw uploadUnknown(id)
    return true
  }

  abortUpload(repository: RepositoryName, id: string, at: number): boolean {
    return this.#giveUp(repository, id, at)
  }

  abandonCommit({ id, digest, at }: BeginCommit): void {
    this.#abandon.run(id)
    this.beginStrayRemoval(digest, at)
  }

  expireUploads(idleSince: number, at: number, limit: number): string[] {
    const idle = this.#listIdle.all(idleSince, limit)
    for (const { id, repository } of idle) this.#giveUp(repository, id, at)
    return idle.map(({ id }) => id)
  }

  /**
   * The session is over; what the blob store may have received for it is to be removed.
   *
   * @returns the digest that it was about to become, if it was
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`
   */
  end(repository: RepositoryName, id: string, at: number): string | null {
    const ended = this.#end.get(id, repository)
    if (ended === undefined) throw uploadUnknown(id)
    if (ended.stored === 1) this.#storeRemains.run(id, at)
    return ended.committing
  }

  forgetUploadRemains(uploadIds: readonly string[]): void {
    for (const id of uploadIds) this.#forgetRemains.run(id)
  }

  beginStrayRemoval(digest: string, at: number): boolean {
    return this.#beginStrayRemoval.run({ digest, at }).changes > 0
  }

  /** A process that was killed may have put the bytes in their place, and no row tells of them. */
  #giveUp(repository: RepositoryName, id: string, at: number): boolean {
    const digest = this.end(repository, id, at)
    return digest !== null && this.beginStrayRemoval(digest, at)
  }

  #requireOffset(id: string, offsetBytes: number): void {
    const offset = this.#offset.get(id)
    if (offset === undefined) throw uploadUnknown(id)
    if (offset !== offsetBytes) {
      throw new RegistryError('RANGE_INVALID', 'another request has written to this upload')
    }
  }
}

export function uploadUnknown(id: string): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_UNKNOWN',
    'there is no such upload: it never began, or has ended, been cancelled or expired',
    { details: [{ uuid: id }] },
  )
}
