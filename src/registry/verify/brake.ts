import { formatBytes } from '../../byte-sizes.js'
import { measureAgreement } from './check-blobs.js'
import type { VerifyContext } from './context.js'

/** A run would mark or remove so much that something else is likelier: it has stopped before. */
export class BrakedError extends Error {
  override readonly name = 'BrakedError'
}

/** So few may be lost, or left, for any reason: one disk full of them for one. */
const fewMax = 20

/** Whether this is a larger share than a run may take without being told twice. */
function isTooMuch({ brakePercent }: VerifyContext, part: number, whole: number): boolean {
  return brakePercent < 100 && part * 100 > whole * brakePercent
}

/**
 * To be asked before a repair: rows without bytes are marked, and bytes without rows are removed. Where
 * that is much, a disk may be missing, or the database may be another one than that of these bytes; then
 * what is there would be lost.
 *
 * @throws {@link BrakedError}
 */
export async function requireAgreement(context: VerifyContext): Promise<void> {
  const { brakePercent } = context
  if (brakePercent === 100) return
  const { blobCount, lostCount, ...files } = await measureAgreement(context)
  const { fileCount, fileBytes, unwantedCount, unwantedBytes } = files
  const goesOn = 'Nothing was changed; berth verify --repair --confirm goes on'
  if (lostCount >= fewMax && isTooMuch(context, lostCount, blobCount)) {
    throw new BrakedError(
      `${lostCount} of ${blobCount} blobs have lost their bytes, more than gc.brakePercent (${brakePercent} %) allows to be marked: is a disk missing? ${goesOn}`,
    )
  }
  const isMostlyUnwanted =
    isTooMuch(context, unwantedCount, fileCount) || isTooMuch(context, unwantedBytes, fileBytes)
  if (unwantedCount >= fewMax && isMostlyUnwanted) {
    throw new BrakedError(
      `${unwantedCount} of ${fileCount} files (${formatBytes(unwantedBytes)} of ${formatBytes(fileBytes)}) belong to no blob that the database knows, more than gc.brakePercent (${brakePercent} %) allows to be removed: is this the right database? ${goesOn}`,
    )
  }
}

/**
 * To be asked before one more blob is marked that was hashed and found damaged. A disk rots in single
 * places; where much is wrong at once, it may be what reads it, and the bytes are right.
 *
 * @param hashedCount - with this one
 * @throws {@link BrakedError}
 */
export function requireFewDamaged(context: VerifyContext, hashedCount: number): void {
  const { brakePercent, checked, repair } = context
  const count = checked.damagedBlobs + 1
  if (count <= fewMax || !isTooMuch(context, count, hashedCount)) return
  throw new BrakedError(
    `${count} of ${hashedCount} blobs that were hashed are damaged, more than gc.brakePercent (${brakePercent} %) allows to be marked: is the disk at fault, or what it is connected to? The others were left as they are; berth verify --content ${repair ? '--repair ' : ''}--confirm goes on`,
  )
}
