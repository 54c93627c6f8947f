import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/**
 * The folder and the processes of one run. All are gone when this process ends, however it ends
 * short of SIGKILL.
 */
export class Workspace {
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #children = new Set()
  #directory = mkdtempSync(path.join(tmpdir(), 'berth-bench-'))
  #named = 0

  /** @param {number} minutesMax - a run that takes longer hangs, and is ended */
  constructor(minutesMax) {
    process.once('exit', () => {
      for (const child of this.#children) child.kill('SIGKILL')
      rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
    })
    // For every one, not once: npm passes on what a terminal has sent already, and the second must
    // not end the tidying up.
    process.on('SIGINT', () => process.exit(130))
    process.on('SIGTERM', () => process.exit(143))
    setTimeout(() => {
      process.stderr.write(`bench: not done after ${minutesMax} minutes (--minutes); giving up\n`)
      process.exit(1)
    }, minutesMax * 60_000).unref()
  }

  /** Makes an empty folder. */
  newFolder(name) {
    const folder = this.newFile(name)
    mkdirSync(folder)
    return folder
  }

  /** A path for a file that nobody else has. */
  newFile(name) {
    return path.join(this.#directory, `${++this.#named}-${name}`)
  }

  remove(folder) {
    rmSync(folder, { recursive: true, force: true })
  }

  /** @throws {Error} when the disk below the workspace has less room than that */
  requireSpace(bytes) {
    const { bavail, bsize } = statfsSync(this.#directory)
    if (bavail * bsize >= bytes) return
    const gibibytes = (bytes / 2 ** 30).toFixed(1)
    throw new Error(`${tmpdir()} needs ${gibibytes} GiB of free space; TMPDIR names another folder`)
  }

  /** Ends a process with this one. */
  adopt(child) {
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }
}
