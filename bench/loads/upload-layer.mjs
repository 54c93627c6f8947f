import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { layerContent } from './layer-content.mjs'

/**
 * Pushes one large layer. Without a digest as docker does, which learns it on the way: POST, one
 * PATCH in chunks, an empty PUT. With a digest in one PUT that says its length.
 *
 * @param {object} job
 * @param {number} job.port
 * @param {string} job.repository
 * @param {number} job.sizeBytes
 * @param {string} [job.digest]
 * @returns {Promise<{ seconds: number, digest: string }>}
 */
export async function run({ port, repository, sizeBytes, digest }) {
  const startedAt = performance.now()
  const agent = new http.Agent({ keepAlive: true })
  const send = (method, path, expected, headers, content = []) =>
    exchange({ agent, host: '127.0.0.1', port, method, path, headers }, expected, content)

  const none = { 'Content-Length': 0 }
  const opened = await send('POST', `/v2/${repository}/blobs/uploads/`, 202, none)
  const session = opened.headers.location
  let pushed = digest
  if (digest === undefined) {
    const hash = createHash('sha256')
    const chunked = { 'Transfer-Encoding': 'chunked' }
    await send('PATCH', session, 202, chunked, hashing(layerContent(sizeBytes), hash))
    pushed = `sha256:${hash.digest('hex')}`
    await send('PUT', `${session}?digest=${pushed}`, 201, none)
  } else {
    const length = { 'Content-Length': sizeBytes }
    await send('PUT', `${session}?digest=${digest}`, 201, length, layerContent(sizeBytes))
  }
  agent.destroy()
  return { seconds: (performance.now() - startedAt) / 1000, digest: pushed }
}

async function exchange(options, expected, content) {
  const request = http.request(options)
  const answered = once(request, 'response')
  await pipeline(Readable.from(content, { objectMode: false }), request)
  const [response] = await answered
  response.resume()
  if (response.statusCode === expected) return response
  throw new Error(`${options.method} ${options.path} is answered with ${response.statusCode}`)
}

function* hashing(pieces, hash) {
  for (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
}
