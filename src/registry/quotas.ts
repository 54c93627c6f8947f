import type { Config } from '../config.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Quota, RoomRequest } from '../metadata/quotas.js'
import { parsePattern } from '../oci/patterns.js'
import type { RepositoryName } from '../oci/reference.js'

/** What repositories may hold, from the setting `quotas`. */
export class Quotas {
  readonly #metadata: MetadataStore
  readonly #entries

  constructor(metadata: MetadataStore, config: Config['quotas']) {
    this.#metadata = metadata
    this.#entries = config.map((quota) => ({ quota, pattern: parsePattern(quota.repositories) }))
  }

  /** Those that a repository has to hold to. */
  of(repository: RepositoryName): Quota[] {
    return this.#entries
      .filter(({ pattern }) => pattern.matches(repository))
      .map(({ quota }) => quota)
  }

  /**
   * To be awaited before a client sends what may be much, with what is known of it by then.
   *
   * @throws {@link RegistryError} `DENIED` when no quota has room for it
   */
  async requireRoom(request: Omit<RoomRequest, 'quotas'>): Promise<void> {
    const quotas = this.of(request.repository)
    if (quotas.length > 0) await this.#metadata.requireRoom({ ...request, quotas })
  }
}
