import type { FastifyBaseLogger } from 'fastify'
import { RegistryError } from '../errors.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'

interface Leased {
  readonly digest: Digest
  readonly leasedUntil: number
}

/**
 * Promises to keep what we have told a client exists: on that word it skips an upload, and the
 * manifest that needs the digest may come much later.
 */
export class Leases {
  readonly #metadata: MetadataStore
  readonly #log: FastifyBaseLogger
  readonly #now: () => number
  readonly #leaseMs: number

  constructor(
    metadata: MetadataStore,
    log: FastifyBaseLogger,
    options: { readonly now: () => number; readonly leaseSeconds: number },
  ) {
    this.#metadata = metadata
    this.#log = log
    this.#now = options.now
    this.#leaseMs = options.leaseSeconds * 1000
  }

  /** How long a promise is kept. */
  get lengthMs(): number {
    return this.#leaseMs
  }

  /** Until when a promise given now is kept. */
  get end(): number {
    return this.#now() + this.#leaseMs
  }

  /**
   * Makes sure that the lease of something lasts; to be awaited before a client is told of it.
   * Writes only when less than half of a lease is left, so that asking often costs nothing.
   *
   * @throws {@link RegistryError} `BLOB_UNKNOWN` when it is gone by now
   */
  async extend(repository: RepositoryName, { digest, leasedUntil }: Leased): Promise<void> {
    if (leasedUntil > this.#now() + this.#leaseMs / 2) return
    try {
      await this.#metadata.takeLease({ repository, digest, until: this.end })
    } catch (error) {
      // A full disk must not keep anybody from reading; and whoever would rely on the lease could
      // not push a manifest now.
      if (!(error instanceof RegistryError) || error.statusCode < 500) throw error
      this.#log.warn({ err: error, repository, digest }, 'no lease could be written')
    }
  }
}
