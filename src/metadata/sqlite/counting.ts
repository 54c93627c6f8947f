import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

interface CountedManifest {
  readonly id: number
  readonly repositoryId: number
  readonly sizeBytes: number
}

/**
 * What a repository holds: the bytes of its manifests that are not deleted and of the blobs they refer
 * to, and whether there is any, for the catalog. A blob is marked while it is in the count, so each
 * change costs as much as the manifest that makes it is long.
 */
export class Counting {
  readonly #countBlob: Statement<[number, string], number>
  readonly #uncountBlob: Statement<[number, string], number>
  readonly #references: Statement<[number], string>
  readonly #unneeded: Statement<[number], string>
  readonly #isNeeded: Statement<[string, number], number>
  readonly #blobSize: Statement<[string], number>
  readonly #add: Statement<[number, number]>
  readonly #show: Statement<[number]>
  readonly #hideWhenEmpty: Statement<[{ readonly repositoryId: number }]>
  readonly #hideWhenBare: Statement<[{ readonly repositoryId: number }]>

  constructor(connection: Connection) {
    this.#countBlob = connection.prepare(
      `update repository_blobs set counted = 1
       where repository_id = ? and digest = ? and counted = 0`,
    )
    this.#uncountBlob = connection.prepare(
      `update repository_blobs set counted = 0
       where repository_id = ? and digest = ? and counted = 1`,
    )
    this.#references = connection
      .prepare<[number], string>(
        'select distinct digest from manifest_references where manifest_id = ?',
      )
      .pluck()
    // The newest first: of many that refer to a base layer, those before are more likely deleted. (In
    // "exists" SQLite would not care for the order.)
    const needed = (digest: string, repositoryId: string) => `
      select 1 from manifest_references o join manifests m on m.id = o.manifest_id
      where o.digest = ${digest} and o.repository_id = ${repositoryId} and m.deleted_at is null
      order by o.manifest_id desc limit 1`
    this.#unneeded = connection
      .prepare<[number], string>(
        `select distinct r.digest from manifest_references r
         where r.manifest_id = ? and (${needed('r.digest', 'r.repository_id')}) is null`,
      )
      .pluck()
    this.#isNeeded = connection.prepare<[string, number], number>(needed('?', '?')).pluck()
    this.#blobSize = connection
      .prepare<[string], number>('select size_bytes from blobs where digest = ?')
      .pluck()
    this.#add = connection.prepare(
      'update repositories set logical_bytes = logical_bytes + ? where id = ?',
    )
    this.#show = connection.prepare(
      'update repositories set listed = 1 where id = ? and listed = 0',
    )
    const hideWithoutManifests = `
      update repositories set listed = 0
      where id = @repositoryId and listed = 1 and description = '' and not exists (
        select 1 from manifests where repository_id = @repositoryId and deleted_at is null)`
    this.#hideWhenEmpty = connection.prepare(hideWithoutManifests)
    this.#hideWhenBare = connection.prepare(
      `${hideWithoutManifests} and not exists (
        select 1 from repository_blobs where repository_id = @repositoryId)`,
    )
  }

  /**
   * A manifest has come, or come back. To be called when its references are there.
   *
   * @returns the bytes that this adds to the repository
   */
  manifestCame({ id, repositoryId, sizeBytes }: CountedManifest): number {
    let bytes = sizeBytes
    for (const digest of this.#references.all(id)) bytes += this.#count(repositoryId, digest)
    this.#add.run(bytes, repositoryId)
    this.show(repositoryId)
    return bytes
  }

  /** A manifest has been deleted. To be called when it is marked so, and its references are there. */
  manifestWent({ id, repositoryId, sizeBytes }: CountedManifest): void {
    let bytes = sizeBytes
    for (const digest of this.#unneeded.all(id)) {
      if (this.#uncountBlob.run(repositoryId, digest).changes > 0) bytes += this.#sizeOf(digest)
    }
    this.#add.run(-bytes, repositoryId)
    this.hideWhenEmpty(repositoryId)
  }

  /** The catalog shows the repository from now on. */
  show(repositoryId: number): void {
    this.#show.run(repositoryId)
  }

  /** The catalog does not show it any more when it has neither a manifest nor a description. */
  hideWhenEmpty(repositoryId: number): void {
    this.#hideWhenEmpty.run({ repositoryId })
  }

  /** A repository has come to have a blob; a manifest that needs it may have been first. */
  blobCame(repositoryId: number, digest: string): void {
    if (this.#isNeeded.get(digest, repositoryId) === undefined) return
    const bytes = this.#count(repositoryId, digest)
    if (bytes > 0) this.#add.run(bytes, repositoryId)
  }

  /** A repository is about to lose a blob. */
  blobGoes(repositoryId: number, digest: string): void {
    if (this.#uncountBlob.run(repositoryId, digest).changes === 0) return
    this.#add.run(-this.#sizeOf(digest), repositoryId)
  }

  /** A repository has lost a blob; it may have been all that a push which never ended had brought. */
  blobWent(repositoryId: number): void {
    this.#hideWhenBare.run({ repositoryId })
  }

  /** The bytes that this adds: none where it counts already, or is not there. */
  #count(repositoryId: number, digest: string): number {
    return this.#countBlob.run(repositoryId, digest).changes > 0 ? this.#sizeOf(digest) : 0
  }

  #sizeOf(digest: string): number {
    return this.#blobSize.get(digest) ?? 0
  }
}
