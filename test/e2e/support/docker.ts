import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Daemon } from './daemon.js'
import { makeDirectory, removeDirectory } from './directories.js'
import {
  attempt,
  clientEnvironment,
  run,
  runToFailure,
  type Outcome,
  type RunOptions,
} from './run.js'

/** Debian's own command line where there is another one too; `BERTH_E2E_DOCKER` chooses. */
const program =
  process.env['BERTH_E2E_DOCKER'] ?? (existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker')

/** A Docker daemon with nothing in it, and the command line that talks to it. */
export class Docker {
  readonly #directory: string
  readonly #daemon: Daemon
  readonly #options: RunOptions

  private constructor(directory: string, daemon: Daemon, options: RunOptions) {
    this.#directory = directory
    this.#daemon = daemon
    this.#options = options
  }

  /** @param under - a program that runs the daemon, and its options */
  static async start(under: readonly string[] = []): Promise<Docker> {
    const directory = await makeDirectory()
    const socket = `unix://${path.join(directory, 'docker.sock')}`
    const environment = { ...clientEnvironment(directory), DOCKER_HOST: socket }
    const options = { environment, timeoutMs: 120_000 }
    try {
      const [command = '', ...args] = [...under, 'dockerd']
      const daemon = await Daemon.start(
        command,
        [
          ...args,
          // No container is ever run, so the machine's network is left as it is.
          ...['--iptables=false', '--bridge=none'],
          ...['--data-root', path.join(directory, 'root')],
          ...['--exec-root', path.join(directory, 'exec')],
          ...['--pidfile', path.join(directory, 'docker.pid')],
          ...['--host', socket],
          ...['--insecure-registry', '127.0.0.0/8'],
        ],
        {
          environment: clientEnvironment(directory),
          isReady: async () => (await attempt(program, ['version'], options)).succeeded,
        },
      )
      return new Docker(directory, daemon, options)
    } catch (error) {
      await cleanUp(directory)
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
    await cleanUp(this.#directory)
  }

  run(...args: string[]): Promise<string> {
    return run(program, args, this.#options)
  }

  attempt(...args: string[]): Promise<Outcome> {
    return attempt(program, args, this.#options)
  }

  runToFailure(...args: string[]): Promise<string> {
    return runToFailure(program, args, this.#options)
  }

  /** `docker login`, with the password on standard input, as scripts do it. */
  login(host: string, name: string, password: string): Promise<Outcome> {
    const args = ['login', '--username', name, '--password-stdin', host]
    return attempt(program, args, { ...this.#options, input: password })
  }

  /** Builds an image from a folder that {@link writeBuildContext} has written. */
  async build(reference: string, context: string): Promise<void> {
    await this.run('build', '--quiet', '--tag', reference, context)
  }

  async imageId(reference: string): Promise<string> {
    return this.run('image', 'inspect', '--format', '{{.Id}}', reference)
  }

  /** `name@sha256:…`, as the daemon learnt it from the registry. */
  async repositoryDigest(reference: string): Promise<string> {
    const repository = reference.slice(0, reference.lastIndexOf(':'))
    const output = await this.run(
      ...['image', 'inspect', '--format', '{{join .RepoDigests "\\n"}}', reference],
    )
    const found = output.split('\n').find((line) => line.startsWith(`${repository}@`))
    if (found === undefined) throw new Error(`no digest of ${repository} in: ${output}`)
    return found
  }

  /** A file of an image, without running anything. */
  async readFile(reference: string, file: string): Promise<Buffer> {
    const copy = path.join(this.#directory, 'copied-file')
    const container = await this.run('create', reference)
    await this.run('cp', `${container}:${file}`, copy)
    await this.run('rm', container)
    return readFile(copy)
  }

  /** Drops whatever the daemon has, so that the next pull needs every byte from the registry. */
  async removeAllImages(): Promise<void> {
    await this.run('image', 'prune', '--all', '--force')
  }
}

/** dockerd mounts its root upon itself, and does not always take that back. */
async function cleanUp(directory: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const points = mounts.split('\n').map((line) => line.split(' ')[1] ?? '')
  // What was mounted last is in what was mounted before.
  for (const point of points.filter((at) => at.startsWith(`${directory}/`)).reverse()) {
    await run('umount', [point])
  }
  await removeDirectory(directory)
}
