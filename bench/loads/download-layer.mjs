import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'

/**
 * Pulls one large layer, and checks its digest.
 *
 * @param {object} job
 * @param {number} job.port
 * @param {string} job.repository
 * @param {string} job.digest
 * @returns {Promise<{ seconds: number }>}
 */
export async function run({ port, repository, digest }) {
  const startedAt = performance.now()
  const path = `/v2/${repository}/blobs/${digest}`
  const [response] = await once(http.get({ host: '127.0.0.1', port, path }), 'response')
  if (response.statusCode !== 200) {
    throw new Error(`GET ${path} is answered with ${response.statusCode}`)
  }
  const hash = createHash('sha256')
  for await (const piece of response) hash.update(piece)
  const received = `sha256:${hash.digest('hex')}`
  if (received !== digest) throw new Error(`what came out has the digest ${received}`)
  return { seconds: (performance.now() - startedAt) / 1000 }
}
