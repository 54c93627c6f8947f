import type { Digest } from '../oci/digest.js'

/** Copies of everything, and what makes a registry of one. */
export interface CopyMetadata {
  getOrigin(): Promise<Origin>

  /**
   * Copies everything, as it is at one moment and while others write, into a file that is not there
   * yet. To be synced by the caller; what a failure leaves of it is of no use.
   */
  copyInto(file: string): Promise<void>

  /**
   * For a copy: ends what only the process that it is a copy of can go on with: the keys of its bearer tokens, the uploads and the
   * removals of bytes.
   */
  forgetUnfinished(): Promise<void>

  /** For a copy: it is a registry of its own from now on, with another {@link Origin.registry}. */
  renewOrigin(): Promise<void>

  /** For a copy: the bytes of a blob are there, in a file, though the original has lost them. */
  markBlobWhole(digest: Digest): Promise<void>
}

/** Which registry this is, also after its data were copied or moved. */
export interface Origin {
  readonly registry: string
  readonly createdAt: number
}
