/** What the large stores hold: the same names and manifests whatever registry they are built for. */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar'

/** The repository with the many tags, and among its manifests one with many referrers. */
export const TAGGED = 'bench/tagged'

/** What every image of a large store shares: a config that says something, and a layer. */
export const SHARED = ['{"config":{"Labels":{"description":"made to measure"}}}', 'a layer'].map(
  contentOf,
)

/** Names as teams have them: of one part to four, many with the same beginning. */
export function repositoryName(index) {
  const team = `team-${index % 97}`
  switch (index % 5) {
    case 0:
      return `image-${index}`
    case 1:
    case 2:
      return `${team}/service-${index}`
    case 3:
      return `${team}/project-${index % 1009}/service-${index}`
    default:
      return `mirror/${team}/project-${index % 1009}/base-${index}`
  }
}

/** `1.0.0`, `1.0.1`, … */
export function tagName(index) {
  return `1.${Math.floor(index / 100)}.${index % 100}`
}

/** A repository whose tags are all on one manifest. */
export function carrierName(index) {
  return `bench/carrier-${index}`
}

/**
 * A manifest that no other is like, of the shared blobs.
 *
 * @param {{ bytes: Buffer, digest: string }} [subject] - what it refers to
 */
export function image(title, subject) {
  const [config, layer] = SHARED
  return contentOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor(config, CONFIG),
      layers: [descriptor(layer, LAYER)],
      ...(subject && { subject: descriptor(subject, MANIFEST) }),
      annotations: { 'org.opencontainers.image.ref.name': title },
    }),
  )
}

function contentOf(text) {
  const bytes = Buffer.from(text)
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

function descriptor({ bytes, digest }, mediaType) {
  return { mediaType, digest, size: bytes.byteLength }
}
