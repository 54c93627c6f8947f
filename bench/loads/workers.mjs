import { Connection } from './connection.mjs'
import { Timings } from './timings.mjs'

/**
 * How long a load goes on: for a time, for a number of turns, or until the first of both is over.
 * Each worker takes one turn at least.
 *
 * @typedef {object} Limits
 * @property {number} [seconds]
 * @property {number} [count] - of all workers together
 */

/**
 * Runs the same work on some connections at once.
 *
 * @param {object} options
 * @param {import('./connection.mjs').Server} options.server
 * @param {number} options.connections
 * @param {Limits} options.limits
 * @param {(connection: Connection, turn: number) => Promise<number | void>} options.work - one
 *   turn; gives the bytes that it moved
 * @returns {Promise<() => Promise<ReturnType<Timings['summary']>>>} what starts the work
 */
export async function readyWorkers({ server, connections, limits, work }) {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(server)))
  const { seconds = Infinity, count = Infinity } = limits
  return async () => {
    const timings = new Timings()
    const until = performance.now() + seconds * 1000
    let turns = 0
    const goOn = async (connection) => {
      let at = performance.now()
      do {
        const bytes = (await work(connection, turns++)) ?? 0
        const now = performance.now()
        timings.add(now - at, bytes)
        at = now
      } while (at < until && turns < count)
    }
    await Promise.all(open.map(goOn))
    const summary = timings.summary()
    for (const connection of open) connection.close()
    return summary
  }
}
