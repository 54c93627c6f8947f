/**
 * Fills a data directory with far more than any client could push in a minute. Everything goes
 * through the very functions that the writer thread runs for a push, so that the schema's
 * invariants hold and every row is there that a push leaves behind; only the network, the sync
 * after each group and the files are left out.
 */
import { Buffer } from 'node:buffer'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openForWriting } from '../dist/metadata/sqlite/connection.js'
import { GroupCommit } from '../dist/metadata/sqlite/group-commit.js'
import { migrate } from '../dist/metadata/sqlite/migrate.js'
import { prepareWrites } from '../dist/metadata/sqlite/writes.js'
import { digestOf } from '../dist/oci/digest.js'
import { parseManifest } from '../dist/oci/manifest.js'
import { OCI_MANIFEST } from '../dist/oci/media-types.js'

const migrations = fileURLToPath(new URL('../migrations/sqlite/', import.meta.url))

const operationsInGroup = 1000

const hourMs = 60 * 60 * 1000

/** The repository with the many tags, and among its manifests one with many referrers. */
export const TAGGED = 'bench/tagged'

/** What every image of the large store shares: a config that says something, and a layer. */
const SHARED = ['{"config":{"Labels":{"description":"made to measure"}}}', 'a layer'].map(
  (text) => ({ bytes: Buffer.from(text), digest: digestOf(Buffer.from(text)) }),
)

/**
 * @typedef {object} LargeStore
 * @property {string} directory
 * @property {readonly string[]} repositories - in byte order
 * @property {readonly string[]} tags - of {@link TAGGED}, in byte order
 * @property {string} subject - the digest in {@link TAGGED} that has referrers
 */

/**
 * @param {string} directory - an empty folder
 * @param {{ repositories: number, tags: number, referrers: number }} sizes - {@link TAGGED}
 *   is one repository more
 * @returns {Promise<LargeStore>}
 */
export async function buildStore(directory, sizes) {
  const connection = openForWriting(path.join(directory, 'berth.db'))
  // Nobody relies on this store before it is whole.
  connection.exec('pragma synchronous = OFF')
  connection.exec('pragma cache_size = -524288')
  migrate(connection, migrations)
  const writes = prepareWrites(connection)
  const names = Array.from({ length: sizes.repositories }, (_, index) => repositoryName(index))
  const tags = Array.from({ length: sizes.tags }, (_, index) => tagName(index))
  const subject = image(TAGGED)

  function* pushes() {
    for (const name of names) {
      yield () => {
        pushSharedBlobs(writes, name)
        pushManifest(writes, name, image(name), ['latest'])
      }
    }
    yield () => pushSharedBlobs(writes, TAGGED)
    for (const tag of tags) {
      yield () => pushManifest(writes, TAGGED, image(`${TAGGED}:${tag}`), [tag])
    }
    yield () => pushManifest(writes, TAGGED, subject, [])
    for (let index = 0; index < sizes.referrers; index++) {
      yield () => pushManifest(writes, TAGGED, image(`referrer ${index}`, subject), [])
    }
  }

  await runInGroups(new GroupCommit(connection), pushes())
  connection.exec('pragma wal_checkpoint(TRUNCATE)')
  connection.close()
  return {
    directory,
    repositories: [...names, TAGGED].sort(),
    tags: tags.sort(),
    subject: subject.digest,
  }
}

/** Names as teams have them: of one part to four, many with the same beginning. */
function repositoryName(index) {
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
function tagName(index) {
  return `1.${Math.floor(index / 100)}.${index % 100}`
}

/** A manifest that no other is like, of the shared blobs. */
function image(title, subject) {
  const [config, layer] = SHARED.map(({ bytes, digest }) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest,
    size: bytes.byteLength,
  }))
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' },
      layers: [layer],
      ...(subject && {
        subject: { mediaType: OCI_MANIFEST, digest: subject.digest, size: subject.bytes.length },
      }),
      annotations: { 'org.opencontainers.image.ref.name': title },
    }),
  )
  return { bytes, digest: digestOf(bytes) }
}

function pushSharedBlobs(writes, repository) {
  for (const { bytes, digest } of SHARED) {
    const change = { repository, digest, at: Date.now(), leaseUntil: Date.now() + hourMs }
    if (writes.mountBlob(change)) continue
    writes.putBlob({ ...change, bytes, sizeBytes: bytes.byteLength })
  }
}

function pushManifest(writes, repository, { bytes, digest }, tags) {
  const at = Date.now()
  writes.putManifest({
    repository,
    digest,
    manifest: parseManifest(bytes, OCI_MANIFEST),
    bytes,
    tags,
    requiredBlobs: SHARED.map((blob) => blob.digest),
    requiredChildren: [],
    identity: 'anonymous',
    at,
    leaseUntil: at + hourMs,
    reviewAt: at + hourMs,
  })
}

async function runInGroups(group, operations) {
  let gathered = []
  const runGathered = () => {
    const failed = group.run(gathered).find((outcome) => 'error' in outcome)
    if (failed) throw failed.error
    gathered = []
  }
  for (const operation of operations) {
    gathered.push(operation)
    if (gathered.length < operationsInGroup) continue
    runGathered()
    // Lets an interrupt through.
    await setImmediate()
  }
  runGathered()
}
