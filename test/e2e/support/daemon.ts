import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { attempt, clientEnvironment } from './run.js'

export interface DaemonOptions {
  readonly environment?: NodeJS.ProcessEnv
  /** Whether it can be used by now; asked again and again. */
  readonly isReady: (daemon: Daemon) => boolean | Promise<boolean>
}

const readyWithinMs = 60_000
const stopWithinMs = 30_000
const outputWithinMs = 15_000
const askEveryMs = 50
const outputLengthMax = 256 * 1024

/** A process that serves until it is stopped, and that never outlives the tests. */
export class Daemon {
  readonly #program: string
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  /** Later than its end: all that it has written has arrived, and what it started has ended too. */
  readonly #closed: Promise<unknown>
  #output = ''

  private constructor(program: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.#program = program
    // The kernel ends it with the process that runs the tests, however that one ends.
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', program, ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-outputLengthMax)
      })
    }
    this.#child = child
    this.#ended = once(child, 'exit')
    this.#closed = once(child, 'close')
    // A failure to start is told to whoever waits; nobody may be waiting yet.
    for (const end of [this.#ended, this.#closed]) end.catch(() => undefined)
  }

  static async start(
    program: string,
    args: readonly string[],
    { environment = clientEnvironment(), isReady }: DaemonOptions,
  ): Promise<Daemon> {
    // For the sentence that says what to install.
    await attempt(program, ['--version'])
    const daemon = new Daemon(program, args, environment)
    try {
      await daemon.#becomeReady(isReady)
      return daemon
    } catch (error) {
      await daemon.stop()
      throw error
    }
  }

  /** The end of what it has written, to standard output and standard error. */
  get output(): string {
    return this.#output
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#program} has never started`)
    return this.#child.pid
  }

  /** Waits until it has ended by itself, and gives its exit code. */
  async exitCode(): Promise<number | null> {
    if (!this.hasEnded) await this.#ended
    return this.#child.exitCode
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Asks it to end and waits until it has; one that does not is killed. */
  async stop(): Promise<void> {
    if (this.hasEnded) return
    this.#child.kill('SIGTERM')
    const lastResort = setTimeout(() => this.#child.kill('SIGKILL'), stopWithinMs)
    await this.#ended
    clearTimeout(lastResort)
  }

  /** Takes the process away as a power cut would, between any two instructions. */
  async kill(): Promise<void> {
    if (this.hasEnded) return
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  async #becomeReady(isReady: DaemonOptions['isReady']): Promise<void> {
    const lastMoment = Date.now() + readyWithinMs
    while (!(await isReady(this))) {
      if (this.hasEnded) {
        // What it has written may still be on its way.
        await Promise.race([this.#closed, delay(outputWithinMs)])
        throw new Error(`${this.#program} has ended:\n${this.#output}`)
      }
      if (Date.now() > lastMoment) {
        throw new Error(`${this.#program} was not ready in time:\n${this.#output}`)
      }
      await delay(askEveryMs)
    }
  }
}
