import { makeImage, makeLayers, pushImage } from './image-push.mjs'
import { readyWorkers } from './workers.mjs'

/**
 * Pushes tiny images on some connections at once.
 *
 * @param {object} job
 * @param {import('./connection.mjs').Server} job.server
 * @param {string} job.prefix - of the repositories' names; nobody may have used it
 * @param {number} [job.perRepository] - images in each; all in one when absent
 * @param {boolean} [job.sharesLayers] - all images have the same layers
 * @param {number} job.connections
 * @param {import('./workers.mjs').Limits} job.limits
 * @returns what starts it; its summary has the images that were pushed
 */
export async function prepare({ server, prefix, connections, limits, ...shape }) {
  const { perRepository = Infinity, sharesLayers = false } = shape
  const layers = sharesLayers ? makeLayers() : undefined
  const pushed = []
  const work = async (connection, turn) => {
    const repository = `${prefix}/${Math.floor(turn / perRepository)}`
    const image = makeImage(layers)
    await pushImage(connection, repository, `v${turn}`, image)
    const blobs = [...image.layers, image.config].map((blob) => blob.digest)
    pushed.push({ repository, tag: `v${turn}`, digest: image.digest, blobs })
  }
  const run = await readyWorkers({ server, connections, limits, work })
  return async () => ({ ...(await run()), images: pushed })
}
