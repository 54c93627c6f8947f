/**
 * Fills a data directory with far more than any client could push in a minute. Everything goes
 * through the very functions that the writer thread runs for a push, so that the schema's
 * invariants hold and every row is there that a push leaves behind; only the network, the syncs
 * and the files are left out.
 */
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openForWriting } from '../../dist/metadata/sqlite/connection.js'
import { migrate } from '../../dist/metadata/sqlite/migrate.js'
import { prepareWrites } from '../../dist/metadata/sqlite/writes.js'
import { parseManifest } from '../../dist/oci/manifest.js'
import { imageDeletes, imagePushes } from './image-store.mjs'
import { carrierName, image, MANIFEST, repositoryName, SHARED, TAGGED, tagName } from './names.mjs'

export const migrations = fileURLToPath(new URL('../../migrations/sqlite/', import.meta.url))

/** Few enough that an interrupt need not wait for long. */
const operationsInTransaction = 5000

/** How many tags one push gives to a manifest that carries many. */
const tagsOfPush = 100

const dayMs = 24 * 60 * 60 * 1000

/**
 * @typedef {object} Sizes
 * @property {number} repositories - one more is {@link TAGGED}
 * @property {number} tags - of {@link TAGGED}, each with a manifest of its own
 * @property {number} [referrers] - of one manifest in it
 * @property {number} [carriers] - repositories with as many tags, all on one manifest
 *
 * @typedef {object} ImageSizes
 * @property {number} images - see `image-store.mjs`
 * @property {number} tags
 */

/**
 * @param {string} directory - an empty folder
 * @param {Sizes | ImageSizes} sizes
 */
export async function buildBerthStore(directory, sizes) {
  await fill(directory, (writes) =>
    sizes.images === undefined ? pushes(writes, sizes) : imagePushes(writes, directory, sizes),
  )
}

/** Deletes every so many of the images of a store that nobody serves right now. */
export async function deleteImages(directory, images, every) {
  await fill(directory, (writes) => imageDeletes(writes, { images, every }))
}

async function fill(directory, operationsOf) {
  const connection = openForWriting(path.join(directory, 'berth.db'))
  migrate(connection, migrations)
  // Nobody relies on this store before it is whole: each page is written once, and none is synced.
  connection.exec('pragma journal_mode = MEMORY')
  connection.exec('pragma synchronous = OFF')
  connection.exec('pragma cache_size = -1048576')
  await runInTransactions(connection, operationsOf(prepareWrites(connection)))
  connection.exec('pragma journal_mode = WAL')
  connection.close()
}

/** Every push of a store, as something that the writer's transaction can run. */
function* pushes(writes, { repositories, tags, referrers = 0, carriers = 0 }) {
  for (let index = 0; index < repositories; index++) {
    const name = repositoryName(index)
    yield () => {
      pushSharedBlobs(writes, name)
      pushManifest(writes, name, image(name), ['latest'])
    }
  }
  yield () => pushSharedBlobs(writes, TAGGED)
  for (let index = 0; index < tags; index++) {
    const tag = tagName(index)
    yield () => pushManifest(writes, TAGGED, image(`${TAGGED}:${tag}`), [tag])
  }
  const subject = image(TAGGED)
  yield () => pushManifest(writes, TAGGED, subject, [])
  for (let index = 0; index < referrers; index++) {
    yield () => pushManifest(writes, TAGGED, image(`referrer ${index}`, subject), [])
  }
  for (let carrier = 0; carrier < carriers; carrier++) {
    const name = carrierName(carrier)
    yield () => pushSharedBlobs(writes, name)
    const carried = image(name)
    for (let index = 0; index < tags; index += tagsOfPush) {
      const count = Math.min(tagsOfPush, tags - index)
      const names = Array.from({ length: count }, (_, offset) => tagName(index + offset))
      yield () => pushManifest(writes, name, carried, names)
    }
  }
}

function pushSharedBlobs(writes, repository) {
  for (const { bytes, digest } of SHARED) {
    const change = { repository, digest, at: Date.now(), leaseUntil: Date.now() + dayMs }
    if (writes.mountBlob(change)) continue
    writes.putBlob({ ...change, bytes, sizeBytes: bytes.byteLength })
  }
}

function pushManifest(writes, repository, { bytes, digest }, tags) {
  const at = Date.now()
  writes.putManifest({
    repository,
    digest,
    manifest: parseManifest(bytes, MANIFEST),
    bytes,
    tags,
    requiredBlobs: SHARED.map((blob) => blob.digest),
    requiredChildren: [],
    identity: 'anonymous',
    at,
    leaseUntil: at + dayMs,
    reviewAt: at + dayMs,
    tagRules: { immutable: [], protected: [] },
    quotas: [],
  })
}

async function runInTransactions(connection, operations) {
  let count = 0
  connection.exec('begin')
  for (const operation of operations) {
    operation()
    if (++count % operationsInTransaction !== 0) continue
    connection.exec('commit')
    // Lets an interrupt through.
    await setImmediate()
    connection.exec('begin')
  }
  connection.exec('commit')
}
