import type { Statement } from 'better-sqlite3'
import { algorithmOf, digestOf, type Digest } from '../../oci/digest.js'
import type { StoredManifest } from '../manifests.js'
import type { Connection } from './connection.js'
import type { ManifestRow } from './manifest-rows.js'

/** Some thousands of the usual size: what a team pulls in a day. */
const keptBytesMax = 16 * 1024 * 1024

/** A single one must not push all others out. */
const keptBytesMaxEach = 256 * 1024

/**
 * The bytes of manifests, the last used kept in memory: they never change. Whether a manifest exists
 * is not asked here.
 */
export class ManifestContents {
  readonly #read: Statement<[string], Buffer>
  readonly #kept = new Map<Digest, Buffer>()
  #keptBytes = 0

  constructor(connection: Connection) {
    this.#read = connection
      .prepare<[string], Buffer>('select bytes from manifest_contents where digest = ?')
      .pluck()
  }

  /** A manifest with its bytes; undefined when it has gone since its row was read. */
  of({ digest, media_type, leased_until }: ManifestRow): StoredManifest | undefined {
    const bytes = this.#get(digest)
    return bytes && { digest, mediaType: media_type, bytes, leasedUntil: leased_until }
  }

  /** The bytes as they were pushed, what is damaged as it is now; undefined when there are none. */
  #get(digest: Digest): Buffer | undefined {
    const kept = this.#kept.get(digest)
    if (kept) {
      // To the end of the order, where the last used ones are.
      this.#kept.delete(digest)
      this.#kept.set(digest, kept)
      return kept
    }
    const bytes = this.#read.get(digest)
    // Damaged ones are read again each time: a push heals them.
    if (bytes && digestOf(bytes, algorithmOf(digest)) === digest) this.#keep(digest, bytes)
    return bytes
  }

  #keep(digest: Digest, bytes: Buffer): void {
    if (bytes.byteLength > keptBytesMaxEach) return
    this.#kept.set(digest, bytes)
    this.#keptBytes += bytes.byteLength
    for (const [oldest, { byteLength }] of this.#kept) {
      if (this.#keptBytes <= keptBytesMax) return
      this.#kept.delete(oldest)
      this.#keptBytes -= byteLength
    }
  }
}
