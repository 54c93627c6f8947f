import type { Access } from '../auth/access.js'
import type { Identity } from '../auth/identity.js'
import type { Accounts } from '../metadata/accounts.js'
import type { Digest } from '../oci/digest.js'
import { isRepositoryName, type RepositoryName } from '../oci/reference.js'

/** Of repositories that have a blob, so many are asked about; a base layer may be in all there are. */
const holdersMax = 1000

const holdersPage = 100

/**
 * From where somebody may mount a blob: only from where they could pull it. What they may not see is as if it
 * did not have the blob, and the client uploads it.
 */
export class MountSources {
  readonly #accounts: Accounts
  readonly #access: Access

  constructor(accounts: Accounts, access: Access) {
    this.#accounts = accounts
    this.#access = access
  }

  /**
   * @param from - as the request names it; absent where any repository will do
   * @returns undefined when there is none; `anywhere` for those who may see everything
   */
  async find(
    identity: Identity,
    digest: Digest,
    from: string | string[] | undefined,
  ): Promise<RepositoryName | 'anywhere' | undefined> {
    if (from === undefined) return this.#findAny(identity, digest)
    // A source that cannot exist does not have the blob.
    if (typeof from !== 'string' || !isRepositoryName(from)) return undefined
    return (await this.#access.may(identity, 'pull', from)) ? from : undefined
  }

  async #findAny(
    identity: Identity,
    digest: Digest,
  ): Promise<RepositoryName | 'anywhere' | undefined> {
    const isNarrow = 'bearer' in identity && identity.bearer !== undefined
    if (!isNarrow && (await this.#access.viewerOf(identity)) === undefined) return 'anywhere'
    let after: RepositoryName | undefined
    for (let seen = 0; seen < holdersMax; seen += holdersPage) {
      const { entries, hasMore } = await this.#accounts.listBlobHolders(digest, {
        limit: holdersPage,
        ...(after !== undefined && { after }),
      })
      for (const name of entries) {
        if (await this.#access.may(identity, 'pull', name)) return name
      }
      after = entries.at(-1)
      if (!hasMore || after === undefined) return undefined
    }
    return undefined
  }
}
