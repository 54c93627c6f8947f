import { fileURLToPath } from 'node:url'
import { onTestFailed, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../../support/directories.js'
import { Daemon } from './daemon.js'
import { attempt, clientEnvironment, type Outcome } from './run.js'

const program = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))

export interface BerthOptions {
  /** Where the data is; a folder of the test's own when absent. */
  readonly dataDirectory?: string
  /** A free port when absent. */
  readonly port?: number
  /** A file that takes the log, or does not; kept for a failed test when absent. */
  readonly logTo?: string
  /** Settings, as variables of the environment. */
  readonly settings?: Readonly<Record<string, string>>
  /** Has the modes of files hold for it too, though it runs as root. */
  readonly obeysModes?: boolean
  /** Options of Node.js itself. */
  readonly nodeOptions?: readonly string[]
  /** A program that runs it, and its options; the process is that program's then. */
  readonly under?: readonly string[]
}

/** A registry in a process of its own, as `berth serve` runs it. */
export interface Berth {
  /** What a client puts before the name of a repository: `127.0.0.1:PORT`. */
  readonly host: string
  readonly url: string
  readonly port: number
  readonly dataDirectory: string
  readonly pid: number
  /** What it has written so far, to standard output and standard error; the end of it. */
  output(): string
  /** Takes the process away without a warning. */
  kill(): Promise<void>
  /** Asks the process to end, unless it has ended by itself, and gives its exit code; null: it had to be killed. */
  stop(): Promise<number | null>
  /** Waits until the process has ended by itself, and gives its exit code. */
  exitCode(): Promise<number | null>
}

/** Another command of `berth`, in a process of its own, whatever comes of it. */
export function runBerth(...args: readonly string[]): Promise<Outcome> {
  return runBerthWith({}, ...args)
}

/** The same with settings, as variables of the environment. */
export function runBerthWith(
  settings: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Outcome> {
  const environment = { ...clientEnvironment(), ...settings }
  return attempt(process.execPath, [program, ...args], { environment, timeoutMs: 120_000 })
}

/** Where a command finds the registry that it is about, and what it reads. */
export interface CommandOptions {
  readonly dataDirectory: string
  /** What stands on its standard input. */
  readonly input?: string
}

/** A command about one registry, whatever comes of it. */
export function commandBerth(
  args: readonly string[],
  { dataDirectory, input }: CommandOptions,
): Promise<Outcome> {
  return attempt(process.execPath, [program, ...args, '--data', dataDirectory], {
    timeoutMs: 120_000,
    ...(input !== undefined && { input }),
  })
}

/** Starts the registry; it ends with the test. What it logged is shown when the test fails. */
export async function startBerth(options: BerthOptions = {}): Promise<Berth> {
  const dataDirectory = options.dataDirectory ?? (await temporaryDirectory())
  const daemon = await launchBerth(dataDirectory, options)
  onTestFinished(() => daemon.stop())
  onTestFailed(() => {
    process.stderr.write(`--- berth\n${daemon.output.slice(-20_000)}\n`)
  })
  const port = portIn(daemon.output) ?? 0
  const host = `127.0.0.1:${port}`
  return {
    host,
    url: `http://${host}`,
    port,
    dataDirectory,
    pid: daemon.pid,
    output: () => daemon.output,
    kill: () => daemon.kill(),
    stop: async () => {
      await daemon.stop()
      return daemon.exitCode()
    },
    exitCode: () => daemon.exitCode(),
  }
}

/** The registry as a process that whoever starts it has to stop. */
export async function launchBerth(
  dataDirectory: string,
  options: Omit<BerthOptions, 'dataDirectory'> = {},
): Promise<Daemon> {
  const node = [...(options.under ?? []), process.execPath, ...(options.nodeOptions ?? [])]
  const command = [...node, program, 'serve']
  command.push('--port', String(options.port ?? 0), '--data', dataDirectory)
  if (options.obeysModes) {
    command.unshift('setpriv', '--bounding-set', '-dac_override,-dac_read_search')
  }
  const { logTo } = options
  return Daemon.start(
    'sh',
    ['-c', logTo === undefined ? 'exec "$@"' : `exec "$@" 2>${logTo}`, 'sh', ...command],
    {
      environment: { ...clientEnvironment(), ...options.settings },
      isReady: ({ output }) => portIn(output) !== undefined,
    },
  )
}

/** The port in the first line that `berth serve` prints, once that line is there. */
function portIn(output: string): number | undefined {
  const digits = /^Berth listens on https?:\/\/localhost:(\d+)\b.*\n/m.exec(output)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
