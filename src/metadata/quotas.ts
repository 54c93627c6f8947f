import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'

/** What the repositories of a pattern may hold together, each with all it holds itself. */
export interface Quota {
  readonly repositories: string
  readonly bytes: number
}

export interface RoomRequest {
  readonly repository: RepositoryName
  readonly quotas: readonly Quota[]
  /** Where it is known; without a size that of the blob counts, when it is here. */
  readonly digest?: Digest
  readonly sizeBytes?: number
}
