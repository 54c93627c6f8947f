import type { IncomingHttpHeaders } from 'node:http'
import type { StoredBlob } from '../metadata/blobs.js'
import type { Blobs } from '../registry/blobs.js'

/**
 * Where a server in front shall take the bytes of a blob from, with whatever ranges the client wants:
 * the value of `X-Accel-Redirect`.
 *
 * @param prefix - `storage.accelRedirect`; empty when there is no such server
 * @returns undefined when the bytes are to be sent from here
 * @throws {@link RegistryError} `BLOB_UNKNOWN` as {@link Blobs.locate}
 */
export async function accelRedirect(
  prefix: string,
  headers: IncomingHttpHeaders,
  blobs: Blobs,
  blob: StoredBlob,
): Promise<string | undefined> {
  if (prefix === '') return undefined
  // nginx would compare them with what it knows of the file, and refuse with 412.
  if (headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined) {
    return undefined
  }
  const name = await blobs.locate(blob)
  return name === undefined ? undefined : `${prefix.replace(/\/$/, '')}/${name}`
}
