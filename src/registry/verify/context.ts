import type { MetadataStore } from '../../metadata/metadata-store.js'
import type { ManifestReference } from '../../oci/manifest.js'
import type { BlobStore } from '../../storage/blob-store.js'
import type { Damage } from '../damage.js'
import type { Finding } from './findings.js'

/** How many things of each kind have been looked at. */
export interface Checked {
  blobs: number
  files: number
  uploads: number
  manifests: number
  tags: number
  references: number
  links: number
  repositories: number
  contents: number
  /** Hashed again, and so were their bytes. */
  hashedBlobs: number
  /** Found damaged by that. */
  damagedBlobs: number
  hashedManifests: number
  hashedBytes: number
}

/** What every check of a run has to do with. */
export interface VerifyContext {
  readonly metadata: MetadataStore
  readonly blobs: BlobStore
  readonly damage: Damage
  readonly repair: boolean
  readonly identity: string
  readonly now: () => number
  /** A manifest may have lost a blob because somebody has deleted that. */
  readonly allowsMissingBlobs: boolean
  /** Whether an index needs to have this child here. */
  readonly isRequired: (child: Pick<ManifestReference, 'platform'>) => boolean
  readonly bytesPerSecond: number
  /** The share of all blobs that may be marked or removed as it is; 100: no brake. */
  readonly brakePercent: number
  readonly signal: AbortSignal
  readonly checked: Checked
  readonly find: (finding: Finding) => void
  /** Removes the bytes that are on the list of those to be removed. */
  readonly finishRemovals: () => Promise<void>
}
