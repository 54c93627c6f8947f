import type { VerifyContext } from './context.js'

/** A run would mark or remove so much that something else is likelier: it has stopped before. */
export class BrakedError extends Error {
  override readonly name = 'BrakedError'
}

/** So few may be lost for any reason: one disk full of them for one. */
export const fewMax = 20

/** Whether this is a larger share than a run may take without being told twice. */
export function isTooMuch({ brakePercent }: VerifyContext, part: number, whole: number): boolean {
  return brakePercent < 100 && part * 100 > whole * brakePercent
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
