import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

const startSecondsMax = 60
const stopSecondsMax = 40

/** Linux counts CPU time for programs in hundredths of a second, on every architecture. */
const ticksPerSecond = 100

/**
 * A Berth as a person would run it: what was built, with default settings, its log going to a
 * file. Figures of its CPU are those of the whole process, all threads, user and system.
 */
export class ServerProcess {
  #child
  /** Where it listens. */
  port
  /** From the start of the process to the line that says that it listens. */
  startMs

  constructor(child, port, startMs) {
    this.#child = child
    this.port = port
    this.startMs = startMs
  }

  /**
   * @param {import('./workspace.mjs').Workspace} workspace
   * @param {object} options
   * @param {string} options.data - its data directory
   * @param {readonly string[]} [options.nodeOptions]
   */
  static async start(workspace, { data, nodeOptions = [] }) {
    const logFile = workspace.file('server.log')
    const log = openSync(logFile, 'a')
    const args = [...nodeOptions, main, 'serve', '--host', '127.0.0.1', '--port', '0']
    const startedAt = performance.now()
    const child = workspace.adopt(
      spawn(process.execPath, [...args, '--data', data], {
        stdio: ['ignore', 'pipe', log],
        env: withoutBerthSettings(process.env),
      }),
    )
    closeSync(log)
    const port = await listeningPort(child, logFile)
    return new ServerProcess(child, port, performance.now() - startedAt)
  }

  /** Its CPU time so far, in seconds. */
  get cpuSeconds() {
    const text = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
    // The second field is a name in brackets, and may have spaces.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }

  /** What it holds in memory now, in MiB. */
  get residentMiB() {
    return this.#statusMiB('VmRSS')
  }

  /** The most that it ever held in memory, in MiB. */
  get peakMiB() {
    return this.#statusMiB('VmHWM')
  }

  async stop() {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const late = delay(stopSecondsMax * 1000, 'late', { ref: false })
    if ((await Promise.race([exited, late])) === 'late') this.#child.kill('SIGKILL')
    await exited
  }

  #statusMiB(key) {
    const text = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  }
}

/** Settings of whoever runs the benchmark are not those that it measures. */
function withoutBerthSettings(environment) {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('BERTH_')),
  )
}

async function listeningPort(child, logFile) {
  const late = setTimeout(() => child.kill('SIGKILL'), startSecondsMax * 1000)
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /^Berth listens on http:\/\/\S+:(\d+)$/.exec(line)?.[1]
      if (port === undefined) continue
      child.stdout.resume()
      return Number(port)
    }
  } finally {
    clearTimeout(late)
  }
  throw new Error(`the server did not start: ${readFileSync(logFile, 'utf8').slice(-2000)}`)
}
