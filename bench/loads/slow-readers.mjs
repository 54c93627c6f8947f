import { Buffer } from 'node:buffer'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Timings } from './timings.mjs'

const pieceBytes = 4 * 1024
const pauseMs = 250
const begunWithinMs = 30_000

/**
 * Many readers of one large blob at once, none of which takes more than 16 KiB each second, and
 * after half of the time nothing at all.
 *
 * @param {object} job
 * @param {import('./connection.mjs').Server} job.server
 * @param {string} job.path
 * @param {number} job.readers
 * @param {number} job.seconds
 */
export async function prepare({ server, path, readers, seconds }) {
  const open = await Promise.all(
    Array.from({ length: readers }, () => SlowReader.open(server, path)),
  )
  return async () => {
    const timings = new Timings()
    for (const reader of open) reader.begin()
    await whenAllHaveBegun(open)
    const half = (seconds * 1000) / 2
    const until = performance.now() + half
    while (performance.now() < until) {
      await delay(Math.min(pauseMs, half))
      for (const reader of open) reader.takePiece()
    }
    await delay(half)
    const bytes = open.map((reader) => reader.end())
    for (const taken of bytes) timings.add(seconds * 1000, taken)
    return timings.summary()
  }
}

/** What is measured starts when the server is at work on every answer. */
async function whenAllHaveBegun(readers) {
  const all = Promise.all(readers.map(({ begun }) => begun))
  const late = delay(begunWithinMs, 'late', { ref: false })
  if ((await Promise.race([all, late])) === 'late') throw new Error('a reader was sent nothing')
}

class SlowReader {
  #socket
  #request
  #bytes = 0
  #tellBegun
  /** Settles when it was sent something. */
  begun = new Promise((resolve) => (this.#tellBegun = resolve))

  constructor({ host, port }, path) {
    this.#request = `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`
    const takeOne = (length) => {
      this.#bytes += length
      this.#tellBegun()
      return false
    }
    const onread = { buffer: Buffer.allocUnsafeSlow(pieceBytes), callback: takeOne }
    this.#socket = connect({ host, port, onread })
    this.#socket.on('error', () => undefined)
  }

  static open(server, path) {
    const reader = new SlowReader(server, path)
    return new Promise((resolve, reject) => {
      reader.#socket.once('connect', () => resolve(reader)).once('error', reject)
    })
  }

  begin() {
    this.#socket.write(this.#request, 'latin1')
  }

  takePiece() {
    this.#socket.resume()
  }

  /** @returns how much it was sent */
  end() {
    this.#socket.destroy()
    return this.#bytes
  }
}
