import type { Statement } from 'better-sqlite3'
import type { StoredBytes } from '../collecting.js'
import type { Connection } from './connection.js'

interface Sum {
  readonly count: number
  readonly bytes: number
}

/** How much is stored, added up. Reads a row for each blob and manifest. */
export class UsageSurvey {
  readonly #blobs: Statement<[number], Sum>
  readonly #manifests: Statement<[], Sum>

  constructor(connection: Connection) {
    this.#blobs = connection.prepare(
      `select count(*) as count, coalesce(sum(size_bytes), 0) as bytes from blobs where inline = ?`,
    )
    this.#manifests = connection.prepare(
      `select count(*) as count, coalesce(sum(length(bytes)), 0) as bytes from manifest_contents`,
    )
  }

  measure(): StoredBytes {
    const files = this.#blobs.get(0) as Sum
    const inline = this.#blobs.get(1) as Sum
    const manifests = this.#manifests.get() as Sum
    return {
      blobCount: files.count + inline.count,
      manifestCount: manifests.count,
      fileBytes: files.bytes,
      databaseBytes: inline.bytes + manifests.bytes,
    }
  }
}
