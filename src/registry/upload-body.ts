import { RegistryError } from '../errors.js'
import type { Upload } from '../metadata/uploads.js'
import type { ByteRange } from '../storage/blob-store.js'
import { collect, type ByteSource } from '../storage/byte-source.js'

/** The body of a request that brings bytes. */
export interface UploadBody {
  readonly source: ByteSource
  /** How many bytes will come, if the client has said it. */
  readonly announcedBytes?: number
  /** Where in the blob they belong, if the client has said it. */
  readonly range?: ByteRange
  /** Looks, when all has come, whether whoever sends it still may; what it throws ends the request. */
  readonly confirm?: () => Promise<void>
}

/**
 * A body that says where it belongs must go on where the session is.
 *
 * @throws {@link RegistryError} `RANGE_INVALID`, `SIZE_INVALID`
 */
export function requireNext(upload: Upload, { range, announcedBytes }: UploadBody): void {
  if (range === undefined) return
  if (range.firstByte !== upload.offsetBytes) {
    throw new RegistryError(
      'RANGE_INVALID',
      `the upload goes on at byte ${upload.offsetBytes}, not at ${range.firstByte}`,
    )
  }
  if (announcedBytes !== undefined && announcedBytes !== range.lastByte - range.firstByte + 1) {
    throw sizeInvalid()
  }
}

/** Whether so many bytes are what the body has announced in every way. */
export function isComplete({ range, announcedBytes }: UploadBody, receivedBytes: number): boolean {
  if (announcedBytes !== undefined && receivedBytes !== announcedBytes) return false
  return range === undefined || receivedBytes === range.lastByte - range.firstByte + 1
}

export function sizeInvalid(): RegistryError {
  return new RegistryError(
    'SIZE_INVALID',
    'Content-Range and the length of the body do not say the same',
  )
}

/**
 * A small body in memory: the caller has looked at `announcedBytes`.
 *
 * @throws {@link RegistryError} `SIZE_INVALID`
 */
export async function bytesOf({ source, announcedBytes = 0 }: UploadBody): Promise<Buffer> {
  const bytes = await collect(source, announcedBytes)
  if (bytes?.byteLength !== announcedBytes) throw sizeInvalid()
  return bytes
}
