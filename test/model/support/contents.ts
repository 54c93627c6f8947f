import type { Digest } from '../../../src/oci/digest.js'
import {
  bytesOf,
  CONFIG_TYPE,
  descriptor,
  LAYER_TYPE,
  OCI_INDEX,
  OCI_MANIFEST,
  sha256,
} from '../../support/images.js'

/** Everything that commands push, by names that a person can read. */

export interface BlobContent {
  readonly name: string
  readonly bytes: Buffer
  readonly digest: Digest
}

export interface ManifestContent {
  readonly name: string
  readonly bytes: Buffer
  readonly digest: Digest
  readonly mediaType: string
  /** Its config and layers, each once. */
  readonly blobs: readonly Digest[]
  readonly children: readonly Digest[]
  readonly subject?: Digest
}

/** Blobs up to this size are kept in the database by the stores under test. */
export const inlineBytesMax = 256

const config = [blob('config-a', Buffer.from('{}')), blob('config-b', Buffer.from('{"b":1}'))]
const small = [blob('small-a', bytesOf(20, 'a')), blob('small-b', bytesOf(200, 'b'))]
const large = ['a', 'b', 'c'].map((seed) => blob(`large-${seed}`, bytesOf(700, seed)))
const [configA, configB, smallA, smallB, largeA, largeB, largeC] = [
  ...config,
  ...small,
  ...large,
] as [BlobContent, BlobContent, BlobContent, BlobContent, BlobContent, BlobContent, BlobContent]

const imageA = image('image-a', configA, [smallA, largeA])
const imageB = image('image-b', configA, [largeA, largeB])
const imageC = image('image-c', configB, [smallB])
const imageD = image('image-d', configB, [largeB, largeC])
const indexAB = index('index-ab', [imageA, imageB])
const indexBC = index('index-bc', [imageB, imageC])
/** Children need not be manifests. */
const indexOfBlobs = index('index-of-blobs', [largeC, smallB, imageC])
const nested = index('nested', [indexAB, imageD])
const nestedTwice = index('nested-twice', [nested, indexBC])
const signatureOfA = image('signature-of-a', configB, [smallA], imageA)
const signatureOfIndex = image('signature-of-index', configA, [smallB], indexAB)
const signatureOfSignature = image('signature-of-signature', configA, [largeC], signatureOfA)
/** Of something that nobody ever pushes. */
const signatureOfNothing = image('signature-of-nothing', configA, [largeB], {
  digest: sha256('never there'),
  bytes: Buffer.from('never there'),
  mediaType: OCI_MANIFEST,
})
const indexForB = index('index-for-b', [imageD], imageB)

export const MANIFESTS: readonly ManifestContent[] = [
  imageA,
  imageB,
  imageC,
  imageD,
  indexAB,
  indexBC,
  indexOfBlobs,
  nested,
  nestedTwice,
  signatureOfA,
  signatureOfIndex,
  signatureOfSignature,
  signatureOfNothing,
  indexForB,
]

export const BLOBS: readonly BlobContent[] = [
  ...config,
  ...small,
  ...large,
  // The same digest as a manifest has.
  { ...imageC, name: 'blob-of-image-c' },
]

export const SUBJECTS: readonly Digest[] = [
  ...new Set(MANIFESTS.flatMap(({ subject }) => (subject ? [subject] : []))),
]

const manifestsByName = new Map(MANIFESTS.map((manifest) => [manifest.name, manifest]))
const manifestsByDigest = new Map(MANIFESTS.map((manifest) => [manifest.digest, manifest]))
const blobsByName = new Map(BLOBS.map((one) => [one.name, one]))
const blobsByDigest = new Map(BLOBS.map((one) => [one.digest, one]))

export function manifestOf(name: string): ManifestContent {
  return found(manifestsByName.get(name), name)
}

export function blobOf(name: string): BlobContent {
  return found(blobsByName.get(name), name)
}

export function findManifestContent(digest: Digest): ManifestContent | undefined {
  return manifestsByDigest.get(digest)
}

export function findBlobContent(digest: Digest): BlobContent | undefined {
  return blobsByDigest.get(digest)
}

/** What keeps a digest alive: config, layers and children of a manifest. */
export function refersTo({ blobs, children }: ManifestContent, digest: Digest): boolean {
  return blobs.includes(digest) || children.includes(digest)
}

/** What a person reads instead of a digest. */
export function nameOf(digest: Digest | undefined): string {
  if (digest === undefined) return 'nothing'
  return (manifestsByDigest.get(digest) ?? blobsByDigest.get(digest))?.name ?? digest
}

function blob(name: string, bytes: Buffer): BlobContent {
  return { name, bytes, digest: sha256(bytes) }
}

function image(
  name: string,
  itsConfig: BlobContent,
  layers: readonly BlobContent[],
  subject?: Target,
): ManifestContent {
  const content = {
    config: descriptor(itsConfig.bytes, CONFIG_TYPE),
    layers: layers.map((layer) => descriptor(layer.bytes, LAYER_TYPE)),
  }
  const blobs = [itsConfig, ...layers].map(({ digest }) => digest)
  return manifest(name, OCI_MANIFEST, content, { blobs, children: [] }, subject)
}

interface Target {
  readonly bytes: Buffer
  readonly digest: Digest
  readonly mediaType?: string
}

function index(name: string, children: readonly Target[], subject?: Target): ManifestContent {
  const content = {
    manifests: children.map(({ bytes, mediaType = LAYER_TYPE }) => descriptor(bytes, mediaType)),
  }
  const digests = children.map(({ digest }) => digest)
  return manifest(name, OCI_INDEX, content, { blobs: [], children: digests }, subject)
}

function manifest(
  name: string,
  mediaType: string,
  content: object,
  references: Pick<ManifestContent, 'blobs' | 'children'>,
  subject: Target | undefined,
): ManifestContent {
  const text = JSON.stringify({
    ...{ schemaVersion: 2, mediaType, ...content },
    ...(subject && { subject: descriptor(subject.bytes, subject.mediaType ?? OCI_MANIFEST) }),
    annotations: { name },
  })
  const bytes = Buffer.from(text)
  return {
    ...{ name, bytes, digest: sha256(bytes), mediaType, ...references },
    ...(subject && { subject: subject.digest }),
  }
}

function found<T>(content: T | undefined, name: string): T {
  if (content === undefined) throw new Error(`there is no content called ${name}`)
  return content
}
