import { expecting } from './connection.mjs'
import { readyWorkers } from './workers.mjs'

/**
 * Asks for things, one after the other, on some connections at once.
 *
 * @param {object} job
 * @param {import('./connection.mjs').Server} job.server
 * @param {readonly { method?: string, path: string, headers?: string }[]} job.requests - made in
 *   turn, again and again
 * @param {number} [job.status] - of every answer
 * @param {number} job.connections
 * @param {import('./workers.mjs').Limits} job.limits
 */
export function prepare({ server, requests, status = 200, connections, limits }) {
  const texts = []
  const work = async (connection, turn) => {
    const index = turn % requests.length
    const { method = 'GET', path } = requests[index]
    const text = (texts[index] ??= connection.requestText(requests[index]))
    const answer = connection.ask(method, text)
    const { bytes } = await expecting(status, answer, `${method} ${path}`)
    return bytes
  }
  return readyWorkers({ server, connections, limits, work })
}
