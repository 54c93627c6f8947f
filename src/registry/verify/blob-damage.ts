import { formatBytes } from '../../byte-sizes.js'
import type { KeptBlob } from '../../metadata/metadata-verification.js'
import { BlobDamagedError, type BlobDamage } from '../../storage/blob-store.js'
import type { VerifyContext } from './context.js'
import type { Finding } from './findings.js'

/**
 * Looks again at a blob whose bytes seem to be damaged.
 *
 * @param look - throws {@link BlobDamagedError} when they are
 * @returns the damage, when it is there still and the blob is what it was
 */
export async function confirmDamage(
  { metadata }: VerifyContext,
  { digest, storedAt }: KeptBlob,
  look: () => Promise<unknown>,
): Promise<BlobDamagedError | undefined> {
  try {
    await look()
    return undefined
  } catch (error) {
    if (!(error instanceof BlobDamagedError)) throw error
    // After the look: whoever has removed or replaced the bytes has changed the row by now, or said
    // before that it will.
    const inMotion = await metadata.listInMotion([digest])
    const [row] = await metadata.findKeptBlobs([digest])
    const isSame = row !== undefined && !row.damaged && row.storedAt === storedAt
    return isSame && inMotion.length === 0 ? error : undefined
  }
}

const KINDS = {
  missing: 'blob-missing',
  unreadable: 'blob-unreadable',
  size: 'blob-size',
  content: 'blob-content',
} as const satisfies Record<BlobDamage, string>

/** What to tell of a blob that is damaged for sure. */
export async function damagedBlob(
  { metadata }: VerifyContext,
  { digest, sizeBytes }: KeptBlob,
  { damage, message }: BlobDamagedError,
  isNoted: boolean,
): Promise<Finding> {
  const { names, isReferredTo } = await metadata.findHolders(digest)
  const kind = KINDS[damage]
  return {
    kind,
    digest,
    message: `blob ${digest} (${formatBytes(sizeBytes)}) is damaged: ${message}; ${remedy(names, isReferredTo)}`,
    // What nothing needs is collected.
    repaired: isNoted && !isReferredTo,
  }
}

/** What heals a digest whose bytes are lost. */
export function remedy(names: readonly string[], isReferredTo: boolean): string {
  if (names.length > 0) return `push an image that has it again: ${names.join(', ')}`
  return isReferredTo
    ? 'only what was deleted needs it: push it again before that is restored'
    : 'nothing needs it'
}
