import { algorithmOf, hexOf, isDigest, type Digest } from '../oci/digest.js'

/**
 * The names of everything below the folder of a store:
 *
 * ```
 * blobs/sha256/ab/<hex>   whole, verified, never changed
 * uploads/<id>            one file a session
 * quarantine/<hex>        what was found damaged
 * ```
 *
 * Names are told with slashes and from the folder of the store.
 */
export const BLOBS = 'blobs'
export const UPLOADS = 'uploads'
export const QUARANTINE = 'quarantine'

export const ALGORITHM_FOLDERS: readonly string[] = ['sha256', 'sha512']

/** Written and removed whenever somebody asks whether the store is ready. */
export const READINESS_PROBE = 'readiness-probe'

const FAN_OUT = /^[0-9a-f]{2}$/

/** Upload ids name files; anything else in one would be a way out of the folder. */
const SAFE_FILE_NAME = /^[A-Za-z0-9-]{1,64}$/

/** Where a blob is below the folder of all blobs. */
export function locationOf(digest: Digest): string {
  const hex = hexOf(digest)
  return `${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
}

export function blobName(digest: Digest): string {
  return `${BLOBS}/${locationOf(digest)}`
}

/** @throws an error when the id could lead out of the folder */
export function uploadName(uploadId: string): string {
  if (!SAFE_FILE_NAME.test(uploadId)) throw new Error('an upload id that cannot be a file name')
  return `${UPLOADS}/${uploadId}`
}

/** The blob whose place a name is. */
export function digestIn(name: string): Digest | undefined {
  const [, algorithm = '', , hex = ''] = name.split('/')
  const digest = `${algorithm}:${hex}`
  // Digests of other algorithms have no place.
  if (!ALGORITHM_FOLDERS.includes(algorithm) || !isDigest(digest)) return undefined
  return blobName(digest) === name ? digest : undefined
}

/** The upload whose bytes have a name. */
export function uploadIdIn(name: string): string | undefined {
  const [folder, id = ''] = name.split('/')
  return folder === UPLOADS && SAFE_FILE_NAME.test(id) && uploadName(id) === name ? id : undefined
}

/** Whether a name is that of a folder which belongs to the layout, be it there or not. */
export function isFolderName(name: string): boolean {
  const [top, algorithm, fanOut, ...rest] = name.split('/')
  if (top === UPLOADS) return algorithm === undefined
  if (top !== BLOBS || rest.length > 0) return false
  if (algorithm !== undefined && !ALGORITHM_FOLDERS.includes(algorithm)) return false
  return fanOut === undefined || FAN_OUT.test(fanOut)
}
