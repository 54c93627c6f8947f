import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

interface CountedManifest {
  readonly id: number
  readonly repositoryId: number
  readonly sizeBytes: number
}

/** How many references to a digest are looked at from either end before all are. */
const endLength = 64

/**
 * The digest of a manifest that is not deleted and refers to a digest, or null. Thousands may refer to a
 * base layer, and most of them be deleted: the oldest, where the newest are kept, or the newest, where
 * those of a bad day are. So is looked from both ends first.
 */
function liveHolder(digest: string, repositoryId: string): string {
  const references = `manifest_references where digest = ${digest} and repository_id = ${repositoryId}`
  // A plain "exists" would not care for the order.
  const first = (source: string) => `(
    select m.digest from ${source} holder cross join manifests m on m.id = holder.manifest_id
    where m.deleted_at is null limit 1)`
  const end = (order: 'asc' | 'desc') =>
    `(select manifest_id from ${references} order by manifest_id ${order} limit ${endLength})`
  return `coalesce(${first(end('desc'))}, ${first(end('asc'))}, ${first(`(select manifest_id from ${references})`)})`
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
  readonly #liveHolder: Statement<
    [{ readonly repositoryId: number; readonly digest: string }],
    string | null
  >
  readonly #blobSize: Statement<[string], number>
  readonly #add: Statement<[number, number]>
  readonly #show: Statement<[number]>
  readonly #hideWhenEmpty: Statement<[{ readonly repositoryId: number }]>

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
    this.#unneeded = connection
      .prepare<[number], string>(
        `select distinct r.digest from manifest_references r
         where r.manifest_id = ? and ${liveHolder('r.digest', 'r.repository_id')} is null`,
      )
      .pluck()
    this.#liveHolder = connection
      .prepare<[{ readonly repositoryId: number; readonly digest: string }], string | null>(
        `select ${liveHolder('@digest', '@repositoryId')}`,
      )
      .pluck()
    this.#blobSize = connection
      .prepare<[string], number>('select size_bytes from blobs where digest = ?')
      .pluck()
    this.#add = connection.prepare(
      'update repositories set logical_bytes = logical_bytes + ? where id = ?',
    )
    this.#show = connection.prepare(
      'update repositories set listed = 1 where id = ? and listed = 0',
    )
    this.#hideWhenEmpty = connection.prepare(
      `update repositories set listed = 0
       where id = @repositoryId and listed = 1 and description = '' and not exists (
         select 1 from manifests where repository_id = @repositoryId and deleted_at is null)`,
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

  /** A manifest that is not deleted and refers to a digest, if there is one. */
  findLiveHolder(repositoryId: number, digest: string): string | undefined {
    return this.#liveHolder.get({ repositoryId, digest }) ?? undefined
  }

  /** A repository has come to have a blob; a manifest that needs it may have been first. */
  blobCame(repositoryId: number, digest: string): void {
    if (this.findLiveHolder(repositoryId, digest) === undefined) return
    const bytes = this.#count(repositoryId, digest)
    if (bytes > 0) this.#add.run(bytes, repositoryId)
  }

  /** A repository is about to lose a blob. */
  blobGoes(repositoryId: number, digest: string): void {
    if (this.#uncountBlob.run(repositoryId, digest).changes === 0) return
    this.#add.run(-this.#sizeOf(digest), repositoryId)
  }

  /** The bytes that this adds: none where it counts already, or is not there. */
  #count(repositoryId: number, digest: string): number {
    return this.#countBlob.run(repositoryId, digest).changes > 0 ? this.#sizeOf(digest) : 0
  }

  #sizeOf(digest: string): number {
    return this.#blobSize.get(digest) ?? 0
  }
}
