/**
 * A registry of images as teams have them: each has a config and a layer of its own, on the eight
 * layers of a base image that others have too. There are ten repositories, each of which takes up
 * another base image now and then, some of these far more often than others; the first has many tags.
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseManifest } from '../../dist/oci/manifest.js'
import { blobName } from '../../dist/storage/fs-layout.js'
import { MANIFEST } from './names.mjs'

const repositoryCount = 10

const baseLayers = 8

/** So many images of a repository, one after the other, are on the same base image. */
const imagesOnBase = 8

/** So many images there are to a base image. */
const imagesToBase = 80

/** Every so many blobs one is a file; the others are in the database. */
const fileEvery = 20

const smallBytes = 300

const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar'

const dayMs = 24 * 60 * 60 * 1000

/** Long enough ago that nothing is promised to whoever pushed, and deletes are final. */
const pushedMs = 60 * dayMs
const deletedMs = 30 * dayMs

/** From one to the next. */
const deleteEveryMs = 10
const leaseMs = dayMs
const undoMs = 7 * dayMs

/** Short enough for an interrupt to get through between two. */
const lookMs = 100

/** Where an image is. The first repository has all the tags, the others one for each image. */
export function imageRepository(index) {
  return `bench/images-${index % repositoryCount}`
}

export const manyTags = imageRepository(0)

/** Of those in {@link manyTags}. */
export function imageTag(number) {
  return `v${number}`
}

/** The images of {@link manyTags}, of so many. */
export function taggedImages(images) {
  return Math.ceil(images / repositoryCount)
}

/** Which of all images is so many in {@link manyTags}. */
export function taggedImage(number) {
  return number * repositoryCount
}

/** The digest of the manifest of an image. */
export function imageDigest(index, images) {
  return manifestOf(index, images).digest
}

/**
 * Every push of it, as something that the writer's transaction can run.
 *
 * @param {string} directory - where the files of blobs go
 * @param {object} sizes
 * @param {number} sizes.images
 * @param {number} sizes.tags - of {@link manyTags}
 */
export function* imagePushes(writes, directory, { images, tags }) {
  const at = Date.now() - pushedMs
  const leaseUntil = at + leaseMs
  for (let index = 0; index < images; index++) {
    yield () => {
      const repository = imageRepository(index)
      const { bytes, digest, blobs } = manifestOf(index, images)
      for (const blob of blobs) pushBlob(writes, directory, { repository, blob, at, leaseUntil })
      writes.putManifest({
        repository,
        digest,
        manifest: parseManifest(bytes, MANIFEST),
        bytes,
        tags: tagsOf(index, { images, tags }),
        requiredBlobs: blobs.map((blob) => blob.digest),
        requiredChildren: [],
        identity: 'anonymous',
        at,
        leaseUntil,
        reviewAt: at + undoMs,
        tagRules: { immutable: [], protected: [] },
        quotas: [],
      })
    }
  }
}

/** Which go when of each repository every so many go. */
export function deletedImages(images, every) {
  return Array.from({ length: images }, (_, index) => index).filter(
    (index) => Math.floor(index / repositoryCount) % every === 0,
  )
}

/**
 * The delete of every so many images of each repository, so long ago that none can be brought back;
 * and before that the look at what was promised to those who pushed them.
 *
 * @param {object} sizes
 * @param {number} sizes.images
 * @param {number} sizes.every - of how many one goes
 */
export function* imageDeletes(writes, { images, every }) {
  let at = Date.now() - deletedMs
  let next
  do {
    yield () => {
      const terms = { at, undoMs, skipWaits: false, untagged: [], sliceMs: lookMs }
      next = writes.collect({ ...terms, ...(next && { after: next }) }).next
    }
  } while (next)
  for (const index of deletedImages(images, every)) {
    at += deleteEveryMs
    yield () => {
      writes.deleteManifest({
        repository: imageRepository(index),
        digest: imageDigest(index, images),
        identity: 'anonymous',
        at,
        reviewAt: at + undoMs,
        tagRules: { immutable: [], protected: [] },
        look: undefined,
      })
    }
  }
}

function pushBlob(writes, directory, { repository, blob, at, leaseUntil }) {
  const { digest, bytes, isFile } = blob
  const push = { repository, digest, at, leaseUntil }
  if (writes.mountBlob(push)) return
  writes.putBlob({ ...push, sizeBytes: bytes.byteLength, ...(!isFile && { bytes }) })
  if (!isFile) return
  const file = path.join(directory, blobName(digest))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, bytes)
}

function tagsOf(index, { images, tags }) {
  if (imageRepository(index) !== manyTags) return [imageTag(index)]
  const [number, of] = [index / repositoryCount, taggedImages(images)]
  const names = []
  for (let tag = number; tag < tags; tag += of) names.push(imageTag(tag))
  return names
}

function manifestOf(index, images) {
  const base = baseOf(index, images)
  const shared = Array.from({ length: baseLayers }, (_, part) => blob(`base ${base} ${part}`))
  const [config, ...layers] = [blob(`config ${index}`), ...shared, blob(`layer ${index}`)]
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor(config, CONFIG),
      layers: layers.map((layer) => descriptor(layer, LAYER)),
    }),
  )
  return { bytes, digest: digestOf(bytes), blobs: [config, ...layers] }
}

/** Which base image an image is on: the most popular one is below a twelfth of all. */
function baseOf(index, images) {
  const time = Math.floor(index / repositoryCount / imagesOnBase)
  const seed = createHash('sha256')
    .update(`${imageRepository(index)} ${time}`)
    .digest()
  return Math.floor(Math.ceil(images / imagesToBase) * (seed.readUInt32BE() / 2 ** 32) ** 3)
}

function blob(title) {
  const bytes = Buffer.from(title.padEnd(smallBytes, '.'))
  const digest = digestOf(bytes)
  return { bytes, digest, isFile: parseInt(digest.slice(-6), 16) % fileEvery === 0 }
}

function descriptor({ bytes, digest }, mediaType) {
  return { mediaType, digest, size: bytes.byteLength }
}

function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
