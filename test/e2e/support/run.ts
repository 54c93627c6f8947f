import { execFile } from 'node:child_process'
import path from 'node:path'

/** The Debian package that brings a program, for the sentence that asks for it. */
const PACKAGES: Readonly<Record<string, string>> = {
  docker: 'docker.io',
  dockerd: 'docker.io',
  podman: 'podman',
  buildah: 'buildah',
  skopeo: 'skopeo',
  containerd: 'containerd',
  ctr: 'containerd',
  'c++': 'g++',
  curl: 'curl',
  ip: 'iproute2',
  'mkfs.ext4': 'e2fsprogs',
  mount: 'mount',
  nginx: 'nginx-light',
  strace: 'strace',
  umount: 'mount',
}

export interface RunOptions {
  readonly environment?: NodeJS.ProcessEnv
  readonly timeoutMs?: number
  /** What stands on its standard input; nothing by default. */
  readonly input?: string
}

export interface Outcome {
  readonly succeeded: boolean
  /** What was written to standard output, without the last line's end. */
  readonly stdout: string
  readonly stderr: string
  /** The command and all it has written, for a person. */
  readonly report: string
}

const usualTimeoutMs = 60_000
const outputBytesMax = 16 * 1024 * 1024

/** Runs a command to its end, whatever comes of it; one that takes too long is killed. */
export function attempt(
  program: string,
  args: readonly string[],
  { environment = clientEnvironment(), timeoutMs = usualTimeoutMs, input }: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const options = {
      env: environment,
      timeout: timeoutMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: outputBytesMax,
    }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') {
        reject(missingProgram(program))
        return
      }
      const end = error === null ? 'succeeded' : endOf(error, timeoutMs)
      resolve({
        succeeded: error === null,
        stdout: stdout.trimEnd(),
        stderr: stderr.trimEnd(),
        report: `${program} ${args.join(' ')}\n${end}\n${stdout}${stderr}`,
      })
    })
    // It may end before it has read anything.
    child.stdin?.on('error', () => undefined).end(input)
  })
}

/** Runs a command that has to succeed, and gives what it wrote to standard output. */
export async function run(
  program: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { succeeded, stdout, report } = await attempt(program, args, options)
  if (!succeeded) throw new Error(report)
  return stdout
}

/** As {@link run}, for a command that has to fail; gives what it wrote to standard error. */
export async function runToFailure(
  program: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { succeeded, stderr, report } = await attempt(program, args, options)
  if (succeeded) throw new Error(`this should have failed: ${report}`)
  return stderr
}

/**
 * Nothing but what a client needs: no proxy, no settings and no credentials of whoever runs the
 * tests.
 */
export function clientEnvironment(home = '/nonexistent'): NodeJS.ProcessEnv {
  return {
    PATH: `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`,
    LANG: 'C',
    HOME: home,
    // Every docker command line here can do without BuildKit, which Debian does not package.
    DOCKER_BUILDKIT: '0',
  }
}

function missingProgram(program: string): Error {
  const name = path.basename(program)
  return new Error(
    `the end-to-end tests need ${name}: install the Debian package ${PACKAGES[name] ?? name}`,
  )
}

function endOf(error: Error, timeoutMs: number): string {
  const { killed, code, signal } = error as { killed?: boolean; code?: unknown; signal?: unknown }
  if (killed === true) return `was killed after ${timeoutMs} ms`
  return `ended with ${String(signal ?? code)}`
}
