import { Connection, expecting } from './connection.mjs'
import { readyWorkers } from './workers.mjs'

/**
 * Pulls a blob again and again, on some connections at once.
 *
 * @param {object} job
 * @param {import('./connection.mjs').Server} job.server
 * @param {string} job.path
 * @param {number} job.sizeBytes
 * @param {number} [job.shareBytes] - what each pull takes of it: the whole is asked for, and the
 *   connection closed when so much has come
 * @param {number} [job.rangeBytes] - asks for ranges of this length instead, anywhere in the blob
 * @param {number} job.connections
 * @param {import('./workers.mjs').Limits} job.limits
 */
export function prepare({ server, path, sizeBytes, connections, limits, ...parts }) {
  const { shareBytes = sizeBytes, rangeBytes } = parts
  const wanted = rangeBytes ?? shareBytes

  const whole = async (connection) => {
    const using = shareBytes < sizeBytes ? await Connection.open(server) : connection
    const text = using.requestText({ path })
    const answer = using.ask('GET', text, shareBytes < sizeBytes ? shareBytes : undefined)
    return (await expecting(200, answer, `GET ${path}`)).bytes
  }

  const range = async (connection) => {
    const first = Math.floor(Math.random() * (sizeBytes - rangeBytes + 1))
    const headers = `Range: bytes=${first}-${first + rangeBytes - 1}\r\n`
    const answer = connection.ask('GET', connection.requestText({ path, headers }))
    return (await expecting(206, answer, `a range of ${path}`)).bytes
  }

  const work = async (connection) => {
    const bytes = await (rangeBytes === undefined ? whole : range)(connection)
    if (bytes < wanted) throw new Error(`${path} has ${bytes} bytes`)
    return bytes
  }
  return readyWorkers({ server, connections, limits, work })
}
