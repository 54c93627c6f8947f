import type { Statement } from 'better-sqlite3'
import { repositoryUnknown } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import { namespaceOf, type RepositoryName } from '../../oci/reference.js'
import type { Connection } from './connection.js'

/** Repositories by name, and what each of them has. Other tables know a repository by its id. */
export class Repositories {
  readonly #find: Statement<[string], number>
  readonly #create: Statement<[string, number, string]>
  readonly #findBlob: Statement<[number, string], number>
  readonly #findManifest: Statement<[number, string], number>

  constructor(connection: Connection) {
    this.#find = connection
      .prepare<[string], number>('select id from repositories where name = ?')
      .pluck()
    this.#create = connection.prepare(
      `insert into repositories (name, created_at, listed, visibility) values (?, ?, 0,
         coalesce((select default_visibility from namespaces where name = ?), 'private'))`,
    )
    this.#findBlob = connection
      .prepare<[number, string], number>(
        `select 1 from repository_blobs r join blobs b using (digest)
         where r.repository_id = ? and r.digest = ? and b.damaged_at is null`,
      )
      .pluck()
    this.#findManifest = connection
      .prepare<[number, string], number>(
        'select id from manifests where repository_id = ? and digest = ? and deleted_at is null',
      )
      .pluck()
  }

  find(name: RepositoryName): number | undefined {
    return this.#find.get(name)
  }

  /** @throws {@link RegistryError} `NAME_UNKNOWN` */
  get(name: RepositoryName): number {
    const id = this.find(name)
    if (id === undefined) throw repositoryUnknown(name)
    return id
  }

  /** Makes the repository when it is not there; the catalog shows it when somebody says so. */
  ensure(name: RepositoryName, at: number): number {
    const found = this.find(name)
    if (found !== undefined) return found
    return Number(this.#create.run(name, at, namespaceOf(name)).lastInsertRowid)
  }

  hasBlob(repositoryId: number, digest: Digest): boolean {
    return this.#findBlob.get(repositoryId, digest) !== undefined
  }

  /** The id of a manifest that is there and not deleted. */
  findManifest(repositoryId: number, digest: Digest): number | undefined {
    return this.#findManifest.get(repositoryId, digest)
  }
}
