const kibibyte = 2 ** 10
const mebibyte = 2 ** 20
const gibibyte = 2 ** 30

/** Blobs larger than this are moved a number of times, others for a time. */
const timedBytesMax = mebibyte

/**
 * The sizes that pulls and pushes are measured with.
 *
 * @param {import('../options.mjs').Options} options
 * @returns {readonly { name: string, bytes: number, unit: 'requests' | 'bytes', isTimed: boolean }[]}
 */
export function blobSizes({ blob }) {
  const mebibytes = [1, 100].filter((size) => size < blob).concat(blob)
  return [
    { name: '4 KiB', bytes: 4 * kibibyte, unit: 'requests', isTimed: true },
    ...mebibytes.map((size) => ({
      name: `${size.toLocaleString('en')} MiB`,
      bytes: size * mebibyte,
      unit: 'bytes',
      isTimed: size * mebibyte <= timedBytesMax,
    })),
  ]
}

/** What one round of a row of large blobs moves at least on one target. */
export function bytesPerRound({ gib, rounds }) {
  return (gib * gibibyte) / rounds
}

export function connectionsText(connections) {
  return `c=${connections}`
}
