import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Long enough for a slow machine; a test that waits for it fails. */
const waitMs = 60_000

export interface RunOptions {
  /** Variables besides those that every process needs; no `BERTH_` one comes from outside. */
  readonly environment?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What stands on its standard input; nothing by default. */
  readonly input?: string
}

/** One `berth …` in a process of its own; killed when the test is over. */
export class BerthProcess {
  readonly #child: ChildProcess
  readonly #changed = new Set<() => void>()
  readonly #exited: Promise<void>
  #hasAllArrived = false
  /** What it has written so far. */
  stdout = ''
  stderr = ''

  constructor(args: readonly string[], { environment = {}, cwd, input }: RunOptions = {}) {
    this.#child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
      ...(cwd !== undefined && { cwd }),
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    // It may end before it has read anything.
    this.#child.stdin?.on('error', () => undefined).end(input)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#tell()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#tell()
    })
    // `close` rather than `exit`: by then all output has arrived.
    this.#exited = once(this.#child, 'close').then(() => {
      this.#hasAllArrived = true
      this.#tell()
    })
    onTestFinished(async () => {
      this.#child.kill('SIGKILL')
      await this.#exited
    })
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process could not be started')
    return this.#child.pid
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Its exit code, or the signal that ended it. */
  async exit(): Promise<number | NodeJS.Signals | null> {
    await this.#within(this.#exited, 'has not ended')
    return this.#child.exitCode ?? this.#child.signalCode
  }

  /** Waits until its output has this; gives what matched. */
  async output(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    const match = () => pattern.exec(this[stream])
    const found = new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const found = match()
        if (found) resolve(found)
        else if (this.#hasAllArrived)
          reject(new Error(`berth ended before ${pattern}${this.#said()}`))
        else return
        this.#changed.delete(look)
      }
      this.#changed.add(look)
      look()
    })
    return this.#within(found, `has not written ${pattern}`)
  }

  /** Each line of its log, in order. */
  logLines(): Record<string, unknown>[] {
    return this.stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  #tell(): void {
    for (const look of [...this.#changed]) look()
  }

  #said(): string {
    return `\nstdout: ${this.stdout}\nstderr: ${this.stderr}`
  }

  async #within<T>(work: Promise<T>, problem: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`berth ${problem}${this.#said()}`)), waitMs)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

export interface EndedProcess {
  readonly code: number | NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, in a process of its own. */
export async function runBerthProcess(
  args: readonly string[],
  options?: RunOptions,
): Promise<EndedProcess> {
  const berth = new BerthProcess(args, options)
  const code = await berth.exit()
  return { code, stdout: berth.stdout, stderr: berth.stderr }
}

export interface ServedBerth {
  readonly berth: BerthProcess
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
}

/** `berth serve` on a free port, listening. */
export async function serveBerth(
  dataDirectory: string,
  args: readonly string[] = [],
  options?: RunOptions,
): Promise<ServedBerth> {
  const berth = new BerthProcess(
    ['serve', '--port', '0', '--data', dataDirectory, ...args],
    options,
  )
  const [, port = ''] = await berth.output('stdout', /listens on http:\/\/.*:(\d+)\n/)
  await berth.output('stdout', /docker pull .*\n/)
  return { berth, url: `http://127.0.0.1:${port}`, port: Number(port) }
}
