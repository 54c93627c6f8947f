import { RegistryError } from '../errors.js'
import type { ByteRange } from '../storage/blob-store.js'

/** podman asks for up to 1024 ranges of a zstd:chunked layer at once. */
const rangesMax = 1024

/**
 * The parts of a blob that a `Range` header asks for.
 *
 * @returns undefined when the whole blob is the answer: no such header, another unit, or so many
 *   or so large parts that the whole is cheaper
 * @throws {@link RegistryError} `RANGE_INVALID` when it is malformed, or no part is inside the blob
 * @see RFC 9110, section 14.2
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): readonly ByteRange[] | undefined {
  const [, specifiers] = /^\s*bytes\s*=(.*)$/i.exec(header ?? '') ?? []
  if (specifiers === undefined) return undefined
  const texts = specifiers.split(',')
  if (texts.length > rangesMax) return undefined
  const ranges = texts
    .map((text) => parseOne(text.trim(), sizeBytes))
    .filter((range) => range !== undefined)
  if (ranges.length === 0) throw outOfRange(sizeBytes)
  const totalBytes = ranges.reduce((sum, range) => sum + lengthOf(range), 0)
  // Overlapping parts would have us send the same bytes again and again.
  return ranges.length > 1 && totalBytes > sizeBytes ? undefined : ranges
}

/** The number of bytes of a range. */
export function lengthOf({ firstByte, lastByte }: ByteRange): number {
  return lastByte - firstByte + 1
}

/**
 * The place of an upload's chunk: `0-99`; leniently also `bytes 0-99/1000` as in HTTP.
 *
 * @throws {@link RegistryError} `BLOB_UPLOAD_INVALID` when it is malformed
 * @see distribution-spec, "Pushing a blob in chunks"
 */
export function parseContentRange(header: string | undefined): ByteRange | undefined {
  if (header === undefined) return undefined
  const [, first, last] =
    /^(?:bytes[ =])?\s*(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim()) ?? []
  const range = { firstByte: Number(first), lastByte: Number(last) }
  if (first === undefined || range.lastByte < range.firstByte) {
    throw new RegistryError(
      'BLOB_UPLOAD_INVALID',
      'Content-Range must be the first and the last byte of the chunk, as in 0-99',
    )
  }
  return range
}

/** @returns undefined when it is well formed and behind the end of the blob */
function parseOne(text: string, sizeBytes: number): ByteRange | undefined {
  const [, first, last] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? []
  if (first === undefined || last === undefined || first + last === '') {
    throw new RegistryError('RANGE_INVALID', 'the Range header is malformed')
  }
  const range =
    first === ''
      ? { firstByte: Math.max(sizeBytes - Number(last), 0), lastByte: sizeBytes - 1 }
      : {
          firstByte: Number(first),
          lastByte: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1),
        }
  return range.firstByte <= range.lastByte ? range : undefined
}

function outOfRange(sizeBytes: number): RegistryError {
  return new RegistryError('RANGE_INVALID', `the blob has ${sizeBytes} bytes; no range is in it`)
}
