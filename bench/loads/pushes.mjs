import { pushBlob } from './blob-push.mjs'
import { Content, hashBeforeTail } from './content.mjs'
import { readyWorkers } from './workers.mjs'

/**
 * Pushes blobs that share nothing, on some connections at once.
 *
 * @param {object} job
 * @param {import('./connection.mjs').Server} job.server
 * @param {string} job.repository
 * @param {keyof typeof pushBlob} job.way
 * @param {number} job.sizeBytes
 * @param {number} job.connections
 * @param {import('./workers.mjs').Limits} job.limits
 * @returns what starts it; its summary has the digest of the last blob
 */
export async function prepare({ server, repository, way, sizeBytes, connections, limits }) {
  hashBeforeTail(sizeBytes)
  let digest
  const work = async (connection) => {
    const content = new Content(sizeBytes)
    await pushBlob[way](connection, repository, content)
    digest = content.digest
    return sizeBytes
  }
  const run = await readyWorkers({ server, connections, limits, work })
  return async () => ({ ...(await run()), digest })
}
