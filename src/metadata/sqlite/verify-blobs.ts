import type { Statement } from 'better-sqlite3'
import { algorithmOf, digestOf, type Digest } from '../../oci/digest.js'
import type {
  CheckedContents,
  Holders,
  KeptBlob,
  KeptBlobsRequest,
  KeptContents,
} from '../metadata-verification.js'
import type { Connection } from './connection.js'
import { nameOfRepository } from './verify-conditions.js'

interface BlobRow {
  readonly digest: Digest
  readonly size_bytes: number
  readonly inline: 0 | 1
  readonly stored_at: number
  readonly damaged_at: number | null
  readonly kept_bytes: number | null
}

interface Bytes {
  readonly digest: Digest
  readonly bytes: Buffer
}

/** So much is hashed for one answer, and one more piece. */
const contentBytesMax = 4 * 1024 * 1024

/** Of who would miss a digest; the rest is not better known. */
const namesMax = 3

/** Manifests with a base layer in them, of which so many are asked for their tags. */
const holdersMax = 1_000

/** What verification wants to know of blobs, and of bytes that are in the database. */
export class VerifyBlobs {
  readonly #after: Statement<[string, number], BlobRow>
  readonly #of: Statement<[string], BlobRow>
  readonly #inMotion: Statement<[string], Digest>
  readonly #unknownUploads: Statement<[string], string>
  readonly #oldRemovals: Statement<[number, number], Digest>
  readonly #contents: Readonly<Record<KeptContents, Statement<[string], Bytes>>>
  readonly #nextContents: Readonly<Record<KeptContents, Statement<[string], Bytes>>>
  readonly #isReferredTo: Statement<[string], number>
  readonly #holdingTags: Statement<[{ readonly digest: string }], string>
  readonly #holdingManifests: Statement<[{ readonly digest: string }], string>

  constructor(connection: Connection) {
    // The length of a blob is known without reading it.
    const columns = `b.digest, b.size_bytes, b.inline, b.stored_at, b.damaged_at,
      (select length(c.bytes) from blob_contents c where c.digest = b.digest) as kept_bytes`
    this.#after = connection.prepare(
      `select ${columns} from blobs b where b.digest > ? order by b.digest limit ?`,
    )
    this.#of = connection.prepare(
      `select ${columns} from json_each(?) g cross join blobs b on b.digest = g.value`,
    )
    this.#inMotion = connection
      .prepare<[string], Digest>(
        `select value from json_each(?)
         where exists (select 1 from uploads where committing = value)
           or exists (select 1 from file_removals where digest = value)`,
      )
      .pluck()
    this.#unknownUploads = connection
      .prepare<[string], string>(
        `select value from json_each(?)
         where not exists (select 1 from uploads where id = value)
           and not exists (select 1 from upload_remains where upload_id = value)`,
      )
      .pluck()
    this.#oldRemovals = connection
      .prepare<[number, number], Digest>(
        'select digest from file_removals where begun_at < ? limit ?',
      )
      .pluck()
    const contents = (where: string) => ({
      manifests: connection.prepare<[string], Bytes>(
        `select c.digest, c.bytes from manifest_contents c where c.digest ${where}`,
      ),
      blobs: connection.prepare<[string], Bytes>(
        `select b.digest, c.bytes from blobs b cross join blob_contents c on c.digest = b.digest
         where b.inline = 1 and b.damaged_at is null and b.digest ${where}`,
      ),
    })
    this.#contents = contents('= ?')
    this.#nextContents = contents('> ? order by 1 limit 1')
    this.#isReferredTo = connection
      .prepare<[string], number>('select 1 from manifest_references where digest = ? limit 1')
      .pluck()
    // The manifest itself, those that have it, and the indexes that have those.
    const holders = `
      with own (id) as (
        select id from manifests where digest = @digest and deleted_at is null
        union select id from (select manifest_id as id from manifest_references
          where digest = @digest order by manifest_id desc limit ${holdersMax})),
      held (id) as (
        select id from own
        union select r.manifest_id from own o cross join manifests m on m.id = o.id
          cross join manifest_references r
            on r.digest = m.digest and r.repository_id = m.repository_id)`
    this.#holdingTags = connection
      .prepare<[{ readonly digest: string }], string>(
        `${holders}
         select ${nameOfRepository('p')} || ':' || t.name from held h
         cross join manifests m on m.id = h.id and m.deleted_at is null
         cross join tags t on t.manifest_id = m.id and t.generation = m.generation
         cross join repositories p on p.id = m.repository_id limit ${namesMax}`,
      )
      .pluck()
    this.#holdingManifests = connection
      .prepare<[{ readonly digest: string }], string>(
        `${holders}
         select ${nameOfRepository('p')} || '@' || m.digest from own o
         cross join manifests m on m.id = o.id and m.deleted_at is null
         cross join repositories p on p.id = m.repository_id limit ${namesMax}`,
      )
      .pluck()
  }

  list({ after = '' as Digest, limit }: KeptBlobsRequest): KeptBlob[] {
    return this.#after.all(after, limit).map(blobOf)
  }

  find(digests: readonly Digest[]): KeptBlob[] {
    return this.#of.all(JSON.stringify(digests)).map(blobOf)
  }

  listInMotion(digests: readonly Digest[]): Digest[] {
    return this.#inMotion.all(JSON.stringify(digests))
  }

  listUnknownUploads(uploadIds: readonly string[]): string[] {
    return this.#unknownUploads.all(JSON.stringify(uploadIds))
  }

  listOldFileRemovals(before: number, limit: number): Digest[] {
    return this.#oldRemovals.all(before, limit)
  }

  /** Holds the bytes of one at a time. */
  checkContents(contents: KeptContents, after = '' as Digest): CheckedContents {
    const statement = this.#nextContents[contents]
    const damaged: Digest[] = []
    let checkedCount = 0
    let checkedBytes = 0
    for (let last = after; ;) {
      const row = statement.get(last)
      if (row === undefined) return { checkedCount, checkedBytes, damaged }
      const { digest, bytes } = row
      if (!isSound(row)) damaged.push(digest)
      checkedCount++
      checkedBytes += bytes.byteLength
      if (checkedBytes >= contentBytesMax) {
        return { checkedCount, checkedBytes, damaged, next: digest }
      }
      last = digest
    }
  }

  isContentSound(contents: KeptContents, digest: Digest): boolean {
    const row = this.#contents[contents].get(digest)
    return row === undefined || isSound(row)
  }

  findHolders(digest: Digest): Holders {
    const tags = this.#holdingTags.all({ digest })
    return {
      names: tags.length > 0 ? tags : this.#holdingManifests.all({ digest }),
      isReferredTo: this.#isReferredTo.get(digest) !== undefined,
    }
  }
}

function isSound({ digest, bytes }: Bytes): boolean {
  return digestOf(bytes, algorithmOf(digest)) === digest
}

function blobOf(row: BlobRow): KeptBlob {
  return {
    digest: row.digest,
    sizeBytes: row.size_bytes,
    inline: row.inline === 1,
    storedAt: row.stored_at,
    damaged: row.damaged_at !== null,
    ...(row.kept_bytes !== null && { keptBytes: row.kept_bytes }),
  }
}
