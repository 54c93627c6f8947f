import { errorCode, isDiskFull, isShortage, outOfReach, storageFull } from '../errors.js'
import type { Digest } from '../oci/digest.js'
import { BlobDamagedError } from './blob-store.js'

/** Of the system; Node.js has longer ones for mistakes that are made here. */
const SYSTEM_CODE = /^E[A-Z0-9]+$/

/** What to throw for an error that opening or reading the file of a blob has thrown. */
export function readFailure(error: unknown): Error {
  if (error instanceof BlobDamagedError) return error
  // That says nothing about the file.
  if (isShortage(error)) return outOfReach(error)
  const code = errorCode(error) ?? ''
  if (!SYSTEM_CODE.test(code) || code === 'EBADF') return asError(error)
  return isAbsent(error)
    ? new BlobDamagedError('missing', 'the blob is missing', { cause: error })
    : new BlobDamagedError('unreadable', `the blob cannot be read: ${code}`, { cause: error })
}

/** Whether an error says that there is nothing at a path, be it a part of the way that is missing. */
export function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')
}

/** What to throw for a blob whose bytes have another digest, or are fewer when there is none. */
export function otherContent(actual: Digest | undefined): BlobDamagedError {
  return actual === undefined
    ? new BlobDamagedError('size', 'the blob ended before its size')
    : new BlobDamagedError('content', `the bytes of the blob have the digest ${actual}`)
}

/** What to throw for an error that writing has thrown. */
export function writeFailure(error: unknown): Error {
  if (isDiskFull(error)) return storageFull(error)
  return isShortage(error) ? outOfReach(error) : asError(error)
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
