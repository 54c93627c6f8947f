import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import type { DamagedBlob } from '../blobs.js'
import type { RowRepair } from '../metadata-verification.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { HistoryWrites } from './history-writes.js'
import { isNeeded, isToBeListed, tagIsBroken } from './verify-conditions.js'

/**
 * Puts right what verification has found. Each looks again inside its transaction: what has changed
 * meanwhile is left as it is.
 */
export class VerifyWrites {
  readonly #counting: Counting
  readonly #history: HistoryWrites
  readonly #findBrokenTag: Statement<
    [number, string],
    { readonly digest: Digest | null; readonly has_repository: 0 | 1 }
  >
  readonly #removeTag: Statement<[number, string]>
  readonly #linkIsNeeded: Statement<[number, string], number>
  readonly #correctSum: Statement<[number, number]>
  readonly #correctListed: Statement<[number]>
  readonly #removeContents: Statement<[{ readonly digest: string }]>
  readonly #isUnservable: Statement<[{ readonly digest: string }], number>
  readonly #removeBlob: readonly Statement<[string]>[]
  readonly #markSound: Statement<[DamagedBlob & { readonly at: number }]>

  constructor(connection: Connection, counting: Counting, history: HistoryWrites) {
    this.#counting = counting
    this.#history = history
    this.#findBrokenTag = connection.prepare(
      `select m.digest,
         exists (select 1 from repositories p where p.id = t.repository_id) as has_repository
       from tags t left join manifests m on m.id = t.manifest_id
       where t.repository_id = ? and t.name = ? and ${tagIsBroken('t', 'm')}`,
    )
    this.#removeTag = connection.prepare('delete from tags where repository_id = ? and name = ?')
    this.#linkIsNeeded = connection
      .prepare<[number, string], number>(
        `select ${isNeeded('l')} from repository_blobs l where repository_id = ? and digest = ?`,
      )
      .pluck()
    this.#correctSum = connection.prepare(
      'update repositories set logical_bytes = logical_bytes + ? where id = ?',
    )
    this.#correctListed = connection.prepare(
      `update repositories set listed = ${isToBeListed('repositories')}
       where id = ? and listed <> ${isToBeListed('repositories')}`,
    )
    this.#removeContents = connection.prepare(
      `delete from manifest_contents where digest = @digest
         and not exists (select 1 from manifests where digest = @digest)`,
    )
    this.#isUnservable = connection
      .prepare<[{ readonly digest: string }], number>(
        `select 1 from blobs where digest = @digest and inline = 1
           and not exists (select 1 from blob_contents where digest = @digest)
           and not exists (select 1 from manifest_references where digest = @digest)`,
      )
      .pluck()
    this.#removeBlob = [
      'delete from leases where digest = ?',
      'delete from repository_blobs where digest = ?',
      'delete from blobs where digest = ?',
    ].map((sql) => connection.prepare<[string]>(sql))
    this.#markSound = connection.prepare(
      `update blobs set damaged_at = null, stored_at = max(@at, stored_at + 1)
       where digest = @digest and stored_at = @storedAt and damaged_at is not null and inline = 0
         and not exists (select 1 from file_removals r where r.digest = @digest)`,
    )
  }

  markBlobSound({ digest, storedAt }: DamagedBlob, at: number): boolean {
    return this.#markSound.run({ digest, storedAt, at }).changes > 0
  }

  repairRow({ kind, key, identity, at }: RowRepair): boolean {
    switch (kind) {
      case 'tag':
        return this.#repairTag(JSON.parse(key) as [number, string], identity, at)
      case 'link':
        return this.#repairLink(...(JSON.parse(key) as [number, string]))
      case 'sum': {
        const [id, difference] = JSON.parse(key) as [number, number]
        return this.#correctSum.run(difference, id).changes > 0
      }
      case 'listed': {
        const [id] = JSON.parse(key) as [number]
        return this.#correctListed.run(id).changes > 0
      }
      case 'contents':
        return this.#removeContents.run({ digest: key }).changes > 0
      case 'blob':
        return this.#repairBlob(key)
    }
  }

  #repairTag([repositoryId, tag]: [number, string], identity: string, at: number): boolean {
    const broken = this.#findBrokenTag.get(repositoryId, tag)
    if (broken === undefined) return false
    this.#removeTag.run(repositoryId, tag)
    const from = broken.digest ?? undefined
    if (broken.has_repository === 0) return true
    this.#history.record({ repositoryId, tag, action: 'deleted', from, at, identity })
    return true
  }

  #repairLink(repositoryId: number, digest: string): boolean {
    const needed = this.#linkIsNeeded.get(repositoryId, digest)
    if (needed === undefined) return false
    // Either does nothing where it is so already.
    if (needed === 1) this.#counting.blobCame(repositoryId, digest)
    else this.#counting.blobGoes(repositoryId, digest)
    return true
  }

  #repairBlob(digest: string): boolean {
    if (this.#isUnservable.get({ digest }) === undefined) return false
    for (const statement of this.#removeBlob) statement.run(digest)
    return true
  }
}
