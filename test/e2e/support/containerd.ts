import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Daemon } from './daemon.js'
import { makeDirectory, removeDirectory } from './directories.js'
import { attempt, clientEnvironment, run, runToFailure, type RunOptions } from './run.js'

/** A containerd with nothing in it, and `ctr` that talks to it. */
export class Containerd {
  readonly #directory: string
  readonly #daemon: Daemon
  readonly #address: string
  readonly #options: RunOptions

  private constructor(directory: string, daemon: Daemon, address: string, options: RunOptions) {
    this.#directory = directory
    this.#daemon = daemon
    this.#address = address
    this.#options = options
  }

  static async start(): Promise<Containerd> {
    const directory = await makeDirectory()
    const address = path.join(directory, 'c.sock')
    const configFile = path.join(directory, 'config.toml')
    const options = { environment: clientEnvironment(directory), timeoutMs: 120_000 }
    try {
      await writeFile(configFile, configuration(directory, address))
      const daemon = await Daemon.start('containerd', ['--config', configFile], {
        environment: clientEnvironment(directory),
        isReady: async () =>
          (await attempt('ctr', ['--address', address, 'version'], options)).succeeded,
      })
      return new Containerd(directory, daemon, address, options)
    } catch (error) {
      await removeDirectory(directory)
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
    await removeDirectory(this.#directory)
  }

  /** `ctr …` */
  run(...args: string[]): Promise<string> {
    return run('ctr', ['--address', this.#address, ...args], this.#options)
  }

  runToFailure(...args: string[]): Promise<string> {
    return runToFailure('ctr', ['--address', this.#address, ...args], this.#options)
  }

  /** Pulls and unpacks for this machine's platform. */
  pull(reference: string, ...args: string[]): Promise<string> {
    return this.run(...pullCommand, ...args, reference)
  }

  pullToFailure(reference: string): Promise<string> {
    return this.runToFailure(...pullCommand, reference)
  }

  push(reference: string): Promise<string> {
    return this.run('images', 'push', '--plain-http', reference)
  }

  /** Drops images with all their content, at once. */
  async remove(...references: string[]): Promise<void> {
    await this.run('images', 'remove', '--sync', ...references)
  }

  /** The digests of everything it holds. */
  async contentDigests(): Promise<string[]> {
    return (await this.run('content', 'ls', '--quiet')).split('\n').filter(Boolean)
  }
}

// The native snapshotter copies files, and so works wherever files do.
const pullCommand = ['images', 'pull', '--plain-http', '--snapshotter', 'native']

function configuration(directory: string, address: string): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${address}"
[ttrpc]
  address = "${address}.ttrpc"
`
}
