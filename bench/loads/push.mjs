import { createHash, randomBytes } from 'node:crypto'
import { Buffer } from 'node:buffer'
import { Connection, headerIn } from './connection.mjs'
import { Timings } from './timings.mjs'

const layers = 3
const layerBytes = 4096

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar'

/**
 * Pushes small images that share nothing, each over one of several connections, as docker does:
 * POST, PATCH in chunks and an empty PUT for each blob, then the manifest.
 *
 * @param {object} job
 * @param {number} job.port
 * @param {number} job.connections
 * @param {number} job.seconds
 */
export async function run({ port, connections, seconds }) {
  const timings = new Timings()
  const until = performance.now() + seconds * 1000

  const push = async (_, worker) => {
    const connection = await Connection.open(port)
    for (let round = 0; round === 0 || performance.now() < until; round++) {
      const at = performance.now()
      await pushImage(connection, `bench/pushed-${worker}`, `round-${round}`)
      timings.add(performance.now() - at)
    }
    connection.close()
  }

  await Promise.all(Array.from({ length: connections }, push))
  return timings.summary()
}

async function pushImage(connection, repository, tag) {
  const config = Buffer.from(JSON.stringify({ created: randomBytes(16).toString('hex') }))
  const contents = Array.from({ length: layers }, () => randomBytes(layerBytes))
  for (const bytes of [...contents, config]) await pushBlob(connection, repository, bytes)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor(config, CONFIG),
      layers: contents.map((bytes) => descriptor(bytes, LAYER)),
    }),
  )
  await expecting(201, connection, {
    method: 'PUT',
    path: `/v2/${repository}/manifests/${tag}`,
    headers: { 'Content-Type': MANIFEST },
    body: manifest,
  })
}

async function pushBlob(connection, repository, body) {
  const opened = await expecting(202, connection, {
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/`,
  })
  const session = headerIn(opened.head, 'location')
  await expecting(202, connection, { method: 'PATCH', path: session, body, chunked: true })
  await expecting(201, connection, { method: 'PUT', path: `${session}?digest=${digestOf(body)}` })
}

async function expecting(status, connection, request) {
  const answer = await connection.send(request)
  if (answer.status === status) return answer
  throw new Error(`${request.method} ${request.path} is answered with ${answer.status}`)
}

function descriptor(bytes, mediaType) {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
}

function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
