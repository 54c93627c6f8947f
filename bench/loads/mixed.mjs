import { pushBlob } from './blob-push.mjs'
import { expecting } from './connection.mjs'
import { Content, hashBeforeTail } from './content.mjs'
import { makeImage, pushImage } from './image-push.mjs'
import { readyWorkers } from './workers.mjs'

/** Three pulls, one push. */
const turnsOfRound = 4

/**
 * Pulls what is there and pushes what is not, three to one, on some connections at once.
 *
 * @param {object} job
 * @param {import('./connection.mjs').Server} job.server
 * @param {string} job.repository - is pushed to
 * @param {readonly { repository: string, tag: string, blobs: readonly string[] }[]} [job.images]
 * @param {readonly string[]} [job.blobPaths] - instead of images, blobs of `blobBytes`
 * @param {number} [job.blobBytes]
 * @param {number} job.connections
 * @param {import('./workers.mjs').Limits} job.limits
 */
export function prepare({ server, connections, limits, ...job }) {
  const { pull, push } = job.images === undefined ? blobWork(job) : imageWork(job)
  const work = (connection, turn) =>
    turn % turnsOfRound === turnsOfRound - 1 ? push(connection, turn) : pull(connection, turn)
  return readyWorkers({ server, connections, limits, work })
}

function imageWork({ repository, images }) {
  return {
    async pull(connection, turn) {
      const image = images[turn % images.length]
      await get(connection, `/v2/${image.repository}/manifests/${image.tag}`)
      for (const digest of image.blobs) {
        await get(connection, `/v2/${image.repository}/blobs/${digest}`)
      }
    },
    push: (connection, turn) => pushImage(connection, repository, `v${turn}`, makeImage()),
  }
}

function blobWork({ repository, blobPaths, blobBytes }) {
  hashBeforeTail(blobBytes)
  return {
    pull: (connection, turn) => get(connection, blobPaths[turn % blobPaths.length]),
    push: (connection) => pushBlob.docker(connection, repository, new Content(blobBytes)),
  }
}

async function get(connection, path) {
  const headers = 'Accept: application/vnd.oci.image.manifest.v1+json\r\n'
  await expecting(200, connection.send({ path, headers }), `GET ${path}`)
}
