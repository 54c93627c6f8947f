import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { ProcessUsage } from './process-usage.mjs'

const startSecondsMax = 60
const stopSecondsMax = 40
const lookEveryMs = 2

/** A registry that this run has started, on a free port of 127.0.0.1, its log in a file. */
export class ServerProcess {
  host = '127.0.0.1'
  #child
  #logFile

  constructor(child, logFile, port, startMs) {
    this.#child = child
    this.#logFile = logFile
    this.port = port
    /** From the start of the process to the line that says that it listens. */
    this.startMs = startMs
    this.pid = child.pid
    this.usage = new ProcessUsage(child.pid)
  }

  /**
   * @param {import('../workspace.mjs').Workspace} workspace
   * @param {object} program
   * @param {string} program.name - for its log
   * @param {string} program.command
   * @param {readonly string[]} program.args
   * @param {NodeJS.ProcessEnv} program.env
   * @param {RegExp} program.listening - matches what it logs once it listens, with the port
   * @param {number} [program.port] - where it was told to, if it does not say
   */
  static async start(workspace, { name, command, args, env, listening, port: told }) {
    const logFile = workspace.newFile(`${name}.log`)
    const log = openSync(logFile, 'a')
    const startedAt = performance.now()
    const child = workspace.adopt(spawn(command, args, { stdio: ['ignore', log, log], env }))
    closeSync(log)
    const port = Number((await listeningLine(child, logFile, listening))[1] ?? told)
    return new ServerProcess(child, logFile, port, performance.now() - startedAt)
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.#end()
    rmSync(this.#logFile, { force: true })
  }

  async #end() {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const late = delay(stopSecondsMax * 1000, 'late', { ref: false })
    if ((await Promise.race([exited, late])) === 'late') this.#child.kill('SIGKILL')
    await exited
  }
}

/** The settings of whoever runs the benchmark are not those that it measures. */
export function environmentWithout(prefix) {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith(prefix)),
  )
}

async function listeningLine(child, logFile, listening) {
  let problem
  child.once('error', (error) => (problem = error))
  const until = performance.now() + startSecondsMax * 1000
  while (performance.now() < until && child.exitCode === null && problem === undefined) {
    const line = listening.exec(readFileSync(logFile, 'utf8'))
    if (line !== null) return line
    await delay(lookEveryMs)
  }
  child.kill('SIGKILL')
  const said = problem?.message ?? readFileSync(logFile, 'utf8').slice(-2000)
  throw new Error(`${child.spawnfile} did not start: ${said}`)
}
