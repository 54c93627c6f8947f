import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import { openForReading, type Connection } from '../../src/metadata/sqlite/connection.js'

/** What a store has, as its rows say; rows of a repository by its id, a space and the digest. */
export interface StoredRows {
  readonly repositories: ReadonlyMap<number, RepositoryRow>
  readonly manifests: ReadonlySet<string>
  readonly links: ReadonlySet<string>
  readonly blobs: ReadonlySet<string>
  /** Of all blobs and manifests, each once. */
  readonly bytes: number
}

interface RepositoryRow {
  readonly id: number
  /** Its own, also where it is deleted. */
  readonly name: string
  readonly logical_bytes: number
}

/** How long bytes may take to go that nobody waits for. */
const removalMsMax = 5000

/** Tables that nothing is left in when everything was deleted and collected. */
const EMPTIED = [
  ...['repositories', 'deleted_repositories', 'manifests', 'manifest_contents'],
  ...['manifest_references', 'tags', 'untaggings', 'history', 'blobs', 'blob_contents'],
  ...['repository_blobs', 'leases', 'reviews', 'uploads', 'upload_remains', 'file_removals'],
]

/** Looks at what lies in a data directory, past the registry that has it. */
export class StoredState {
  readonly #directory: string
  readonly #connection: Connection
  readonly #repositories: Statement<[], RepositoryRow>
  readonly #idOf: Statement<[string], number>
  readonly #manifests: Statement<[], string>
  readonly #links: Statement<[], string>
  readonly #blobs: Statement<[], string>
  readonly #bytes: Statement<[], number>
  readonly #fileBlobs: Statement<[], { readonly digest: string; readonly size_bytes: number }>
  readonly #storedUploads: Statement<[], string>
  readonly #removals: Statement<[], string>
  readonly #wrongRows: readonly Statement<[], string>[]
  readonly #counts: readonly Statement<[], string>[]

  constructor(directory: string) {
    this.#directory = directory
    this.#connection = openForReading(path.join(directory, 'berth.db'))
    const list = (sql: string) => this.#connection.prepare<[], string>(sql).pluck()
    this.#repositories = this.#connection.prepare(
      `select r.id, coalesce(d.name, r.name) as name, r.logical_bytes
       from repositories r left join deleted_repositories d on d.repository_id = r.id`,
    )
    this.#idOf = this.#connection
      .prepare<[string], number>('select id from repositories where name = ?')
      .pluck()
    this.#manifests = list(`select repository_id || ' ' || digest from manifests`)
    this.#links = list(`select repository_id || ' ' || digest from repository_blobs`)
    this.#blobs = list('select digest from blobs')
    this.#bytes = this.#connection
      .prepare<[], number>(
        `select (select coalesce(sum(size_bytes), 0) from blobs)
           + (select coalesce(sum(length(bytes)), 0) from manifest_contents)`,
      )
      .pluck()
    this.#fileBlobs = this.#connection.prepare(
      'select digest, size_bytes from blobs where inline = 0',
    )
    this.#storedUploads = list(
      'select id from uploads where stored = 1 union select upload_id from upload_remains',
    )
    this.#removals = list('select digest from file_removals limit 1')
    this.#wrongRows = [
      `select 'a row of ' || "table" || ' has none of ' || parent from pragma_foreign_key_check`,
      `select 'no manifest has the bytes of ' || digest from manifest_contents
       where digest not in (select digest from manifests)`,
      `select 'the bytes of ' || digest || ' are nowhere' from blobs
       where inline = 1 and digest not in (select digest from blob_contents)`,
      `select 'a file and the database have ' || digest from blobs
       where inline = 0 and digest in (select digest from blob_contents)`,
      `select 'a removal was not ended: ' || digest from file_removals`,
      `select 'a tag points to a deleted manifest: ' || t.name from tags t
       join manifests m on m.id = t.manifest_id and m.generation = t.generation
       where m.deleted_at is not null`,
    ].map(list)
    this.#counts = EMPTIED.map((table) =>
      list(`select '${table} has ' || count(*) || ' rows' from ${table} having count(*) > 0`),
    )
  }

  close(): void {
    this.#connection.close()
  }

  rows(): StoredRows {
    return {
      repositories: new Map(this.#repositories.all().map((row) => [row.id, row])),
      manifests: new Set(this.#manifests.all()),
      links: new Set(this.#links.all()),
      blobs: new Set(this.#blobs.all()),
      bytes: this.#bytes.get() ?? 0,
    }
  }

  /** Of the repository that has a name now. */
  idOf(name: string): number | undefined {
    return this.#idOf.get(name)
  }

  /** What does not agree, a sentence each, once that is removed which goes by itself. */
  async findings(): Promise<string[]> {
    const deadline = performance.now() + removalMsMax
    while (this.#removals.get() !== undefined && performance.now() < deadline) await delay(5)
    return this.#findings()
  }

  async #findings(): Promise<string[]> {
    const findings = this.#wrongRows.flatMap((statement) => statement.all())
    const expected = new Map(
      this.#fileBlobs.all().map(({ digest, size_bytes }) => {
        const [algorithm = '', hex = ''] = digest.split(':')
        return [path.join('blobs', algorithm, hex.slice(0, 2), hex), size_bytes]
      }),
    )
    for (const [file, sizeBytes] of await this.#filesIn('blobs')) {
      if (expected.get(file) !== sizeBytes) findings.push(`no row is about the file ${file}`)
      expected.delete(file)
    }
    for (const file of expected.keys()) findings.push(`the file ${file} is not there`)
    const uploads = new Set(this.#storedUploads.all())
    for (const [file] of await this.#filesIn('uploads')) {
      if (!uploads.has(path.basename(file))) findings.push(`no upload has the file ${file}`)
    }
    return findings
  }

  /** What is left, a sentence each, where nothing should be. */
  remains(): string[] {
    return this.#counts.flatMap((statement) => statement.all())
  }

  async #filesIn(folder: string): Promise<[string, number][]> {
    const root = path.join(this.#directory, folder)
    const files: [string, number][] = []
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const file = path.join(entry.parentPath, entry.name)
      files.push([path.relative(this.#directory, file), (await stat(file)).size])
    }
    return files
  }
}
