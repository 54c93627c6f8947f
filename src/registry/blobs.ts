import type { FastifyBaseLogger } from 'fastify'
import { RegistryError } from '../errors.js'
import type { StoredBlob } from '../metadata/blobs.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { algorithmOf, digestOf, type Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'
import {
  BlobDamagedError,
  type BlobStore,
  type ByteRange,
  type OpenBlob,
} from '../storage/blob-store.js'
import type { Damage } from './damage.js'
import { GuardedBlob } from './guarded-blob.js'
import type { Leases } from './leases.js'
import type { Quotas } from './quotas.js'
import { areWhole, VerifiedBlob } from './verified-blob.js'

export interface BlobsOptions {
  readonly damage: Damage
  readonly now: () => number
  /** How long what a delete frees is kept. */
  readonly undoMs: number
  /** A blob that a manifest of the repository needs may be deleted all the same. */
  readonly deleteReferencedBlobs: boolean
  /** Hash each blob that is read, so that bytes which rotted on the disk are found. */
  readonly verifyReads: boolean
}

/** What a client is about to read of a blob. */
export interface BlobRead {
  /** All of it when absent. */
  readonly ranges?: readonly ByteRange[] | undefined
  /** Whether the client is still there; for as long as it has to wait. */
  readonly isWanted?: () => boolean
}

/** Blobs as a repository has them: look, read, mount, delete. They come in through `Uploads`. */
export class Blobs {
  readonly #metadata: MetadataStore
  readonly #store: BlobStore
  readonly #leases: Leases
  readonly #quotas: Quotas
  readonly #log: FastifyBaseLogger
  readonly #options: BlobsOptions

  constructor(
    stores: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
    leases: Leases,
    quotas: Quotas,
    log: FastifyBaseLogger,
    options: BlobsOptions,
  ) {
    this.#metadata = stores.metadata
    this.#store = stores.blobs
    this.#leases = leases
    this.#quotas = quotas
    this.#log = log
    this.#options = options
  }

  /**
   * A blob of the repository.
   *
   * @throws {@link RegistryError} `NAME_UNKNOWN`, `BLOB_UNKNOWN`
   */
  get(repository: RepositoryName, digest: Digest): Promise<StoredBlob> {
    return this.#metadata.getBlob(repository, digest)
  }

  /** As `get`, for a client that may skip an upload on our word: what it is told stays. */
  async confirm(repository: RepositoryName, digest: Digest): Promise<StoredBlob> {
    const blob = await this.get(repository, digest)
    await this.#leases.extend(repository, blob)
    return blob
  }

  /**
   * Opens a blob for reading. Where reads are verified and parts are wanted, all of it is hashed here;
   * where the whole is wanted, `send` does so while it sends, and fails before the last piece.
   *
   * @returns its bytes, where the metadata store keeps them; else the blob, to be closed
   * @throws {@link RegistryError} `BLOB_UNKNOWN` when the bytes are found damaged or missing, here or
   *   later by `send`: from then on the blob counts as absent until it is pushed again; the log says so
   *   already. `UNAVAILABLE` when there is no room to open anything at the moment;
   *   `REQUEST_TIMEOUT` when {@link BlobRead.isWanted} says no
   */
  async open(blob: StoredBlob, read: BlobRead = {}): Promise<Buffer | OpenBlob> {
    try {
      if (blob.inline) return await this.#readInline(blob)
      const opened = await this.#openStored(blob, read)
      return new GuardedBlob(opened, (error) => this.#noteDamage(blob, error))
    } catch (error) {
      throw await this.#noteDamage(blob, error)
    }
  }

  /**
   * What a server in front knows the bytes of a blob by, as {@link BlobStore.locate}; undefined when
   * they are to be had from {@link open} only.
   *
   * @throws {@link RegistryError} as {@link open}
   */
  async locate(blob: StoredBlob): Promise<string | undefined> {
    if (blob.inline) return undefined
    try {
      return await this.#store.locate(blob.digest, blob.sizeBytes)
    } catch (error) {
      throw await this.#noteDamage(blob, error)
    }
  }

  /**
   * The bytes of a small blob.
   *
   * @throws what {@link open} throws
   */
  async readWhole(blob: StoredBlob): Promise<Buffer> {
    const opened = await this.open(blob)
    if (Buffer.isBuffer(opened)) return opened
    const bytes = Buffer.alloc(blob.sizeBytes)
    let length = 0
    const write = async (piece: Uint8Array) => {
      bytes.set(piece, length)
      length += piece.byteLength
    }
    try {
      if (blob.sizeBytes > 0) {
        await opened.send({ firstByte: 0, lastByte: blob.sizeBytes - 1 }, { write })
      }
      return bytes
    } finally {
      await opened.close()
    }
  }

  /**
   * Lets a repository have a blob without an upload.
   *
   * @param from - where it may come from; anywhere when absent
   * @returns whether it has it now
   * @throws {@link RegistryError} `DENIED` when a quota has no room for it
   * @see distribution-spec, "Mounting a blob from another repository"
   */
  async mount(
    repository: RepositoryName,
    digest: Digest,
    from: RepositoryName | undefined,
  ): Promise<boolean> {
    return this.#metadata.mountBlob({
      repository,
      digest,
      ...(from !== undefined && { from }),
      quotas: this.#quotas.of(repository),
      at: this.#options.now(),
      leaseUntil: this.#leases.end,
    })
  }

  /** @throws {@link RegistryError} as {@link MetadataStore.deleteBlob} */
  async delete(repository: RepositoryName, digest: Digest, identity: string): Promise<void> {
    const at = this.#options.now()
    await this.#metadata.deleteBlob({
      repository,
      digest,
      identity,
      at,
      reviewAt: at + this.#options.undoMs,
      evenIfReferenced: this.#options.deleteReferencedBlobs,
    })
  }

  async #openStored(blob: StoredBlob, { ranges, isWanted }: BlobRead): Promise<OpenBlob> {
    const opened = await this.#store.open(blob.digest, blob.sizeBytes)
    if (!this.#options.verifyReads) return opened
    const verified = new VerifiedBlob(opened, blob)
    try {
      if (!areWhole(ranges, blob)) await verified.verify(isWanted)
      return verified
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  /** What to throw for an error that reading a blob has thrown. */
  async #noteDamage(blob: StoredBlob, error: unknown): Promise<unknown> {
    if (!(error instanceof BlobDamagedError)) return error
    const { digest } = blob
    const details = [{ digest }]
    if (!(await this.#markDamaged(blob, error))) {
      return new RegistryError('BLOB_UNKNOWN', 'the blob is not here any more', { details })
    }
    return new RegistryError(
      'BLOB_UNKNOWN',
      'the stored bytes of this blob are damaged; pushing it again heals it',
      { details, cause: error },
    )
  }

  /** @returns false when the blob is not to be there any more: it was removed while it was read */
  async #markDamaged(blob: StoredBlob, error: BlobDamagedError): Promise<boolean> {
    try {
      return await this.#options.damage.note(blob, error)
    } catch (failure) {
      // On a full disk the next one who reads it finds the same.
      if (!(failure instanceof RegistryError) || failure.statusCode < 500) throw failure
      this.#log.warn({ err: failure, digest: blob.digest }, 'a damaged blob could not be marked')
      return true
    }
  }

  async #readInline({ digest }: StoredBlob): Promise<Buffer> {
    const bytes = await this.#metadata.readInlineBlob(digest)
    if (bytes === undefined) throw new BlobDamagedError('missing', 'the inline bytes are missing')
    if (digestOf(bytes, algorithmOf(digest)) !== digest) {
      throw new BlobDamagedError('content', 'the inline bytes do not have their digest')
    }
    return bytes
  }
}
