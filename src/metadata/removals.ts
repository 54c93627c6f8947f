import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'

/** What whoever takes something away says. */
export interface Removal {
  readonly repository: RepositoryName
  readonly identity: string
  readonly at: number
  /** When what this frees may be looked at. */
  readonly reviewAt: number
}

export interface DigestRemoval extends Removal {
  readonly digest: Digest
}
