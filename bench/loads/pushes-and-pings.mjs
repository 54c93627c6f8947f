import { setTimeout as delay } from 'node:timers/promises'
import { Connection, expecting } from './connection.mjs'
import { prepare as preparePushes } from './images.mjs'

/** Between an answer and the next question: often enough to meet every wait that counts. */
const pauseMs = 2

/**
 * Pushes tiny images, and asks beside it, again and again, what costs nothing to answer: whoever
 * waits for that waits for the event loop.
 *
 * @param {object} job - as `images` takes it
 * @returns what starts it; its summary has the longest wait for such an answer, too
 */
export async function prepare(job) {
  const pushes = await preparePushes(job)
  const connection = await Connection.open(job.server)
  return async () => {
    let isOver = false
    const pings = ping(connection, () => isOver)
    const summary = await pushes()
    isOver = true
    return { ...summary, longestPingMs: await pings }
  }
}

async function ping(connection, isOver) {
  const text = connection.requestText({ path: '/v2/' })
  let longestMs = 0
  while (!isOver()) {
    const at = performance.now()
    await expecting(200, connection.ask('GET', text), 'GET /v2/')
    longestMs = Math.max(longestMs, performance.now() - at)
    await delay(pauseMs)
  }
  connection.close()
  return longestMs
}
