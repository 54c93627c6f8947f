import { Connection } from './connection.mjs'
import { Timings } from './timings.mjs'

/**
 * Asks for paths, one after the other, on some connections at once.
 *
 * @param {object} job
 * @param {number} job.port
 * @param {readonly string[]} job.paths - asked for in turn, again and again
 * @param {number} job.connections
 * @param {number} job.seconds
 */
export async function run({ port, paths, connections, seconds }) {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)))
  const timings = new Timings()
  const until = performance.now() + seconds * 1000
  let next = 0
  let bytes = 0

  const ask = async (connection) => {
    let at = performance.now()
    do {
      const path = paths[next++ % paths.length]
      const answer = await connection.send({ path })
      if (answer.status !== 200) throw new Error(`${path} is answered with ${answer.status}`)
      bytes = answer.bytes
      const now = performance.now()
      timings.add(now - at)
      at = now
    } while (at < until)
  }

  await Promise.all(open.map(ask))
  for (const connection of open) connection.close()
  return { ...timings.summary(), bytes }
}
