import { cp } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '../../support/directories.js'
import { commandBerth, launchBerth, startBerth, type Berth } from './berth.js'
import { makeDirectory, removeDirectory } from './directories.js'
import { startTlsBerth, type TlsBerth } from './tls-berth.js'

/** What the port of a registry speaks, as a test's name says it. */
export type Transport = 'plain HTTP' | 'TLS' | 'TLS on a port that speaks both'

export const TRANSPORTS: readonly Transport[] = [
  'plain HTTP',
  'TLS',
  'TLS on a port that speaks both',
]

export const PASSWORDS = { rob: 'the password of rob', gwen: 'the password of gwen' }

export interface TeamsBerth extends Berth {
  /** A command of `berth` about it that has to succeed; gives what it wrote to standard output. */
  readonly command: (args: readonly string[], input?: string) => Promise<string>
}

/** Where it is when it is not at 127.0.0.1. */
export interface Network {
  readonly address: string
  readonly port: number
  /** What runs a program there, in front of its name. */
  readonly under: readonly string[]
}

const settings = { BERTH_ACCESS_MODE: 'accounts' }

/**
 * What registries start with that two teams share. `red` belongs to a group with rob in it, and `green` to gwen;
 * everybody may pull what comes to be in `mirror`. The robot ci may push new tags to `red/**`, and move those of
 * `mirror/**`.
 */
export class Teams {
  readonly #directory: string
  /** Of ci. */
  readonly token: string

  private constructor(directory: string, token: string) {
    this.#directory = directory
    this.token = token
  }

  /** Writes the accounts by the command line, once for all tests of a file. */
  static async prepare(): Promise<Teams> {
    const directory = await makeDirectory()
    try {
      return new Teams(directory, await writeAccounts(path.join(directory, 'data')))
    } catch (error) {
      await removeDirectory(directory)
      throw error
    }
  }

  remove(): Promise<void> {
    return removeDirectory(this.#directory)
  }

  async start(network?: Network): Promise<TeamsBerth> {
    const dataDirectory = await this.#copy()
    return withCommands(await startBerth({ ...network, settings, dataDirectory }))
  }

  /** The same with a certificate of `berth tls init`. */
  async startTls(mode: 'only' | 'both', network?: Network): Promise<TeamsBerth & TlsBerth> {
    const dataDirectory = await this.#copy()
    return withCommands(await startTlsBerth(mode, { ...network, settings, dataDirectory }))
  }

  async #copy(): Promise<string> {
    const dataDirectory = path.join(await temporaryDirectory(), 'data')
    await cp(path.join(this.#directory, 'data'), dataDirectory, { recursive: true })
    return dataDirectory
  }
}

/**
 * By the command line, while the registry is open still, as whoever moves from one to the other may do it.
 *
 * @returns the token of ci
 */
async function writeAccounts(dataDirectory: string): Promise<string> {
  const registry = await launchBerth(dataDirectory)
  const berth = commandOf(dataDirectory)
  try {
    await Promise.all([
      berth(['user', 'add', 'rob', '--password-stdin'], PASSWORDS.rob),
      berth(['user', 'add', 'gwen', '--password-stdin'], PASSWORDS.gwen),
      berth(['group', 'add', 'red']),
      berth(['robot', 'add', 'ci']),
      berth(['namespace', 'set', 'mirror', '--visibility', 'public']),
    ])
    const [token] = await Promise.all([
      berth(['token', 'create', 'ci', '--description', 'builds of red']),
      berth(['group', 'join', 'red', 'rob']),
      berth(['namespace', 'set', 'red', '--owner', 'group:red']),
      berth(['namespace', 'set', 'green', '--owner', 'user:gwen']),
      berth(['grant', 'add', 'robot:ci', 'red/**', 'create']),
      berth(['grant', 'add', 'robot:ci', 'mirror/**', 'overwrite']),
    ])
    return token
  } finally {
    await registry.stop()
  }
}

function withCommands<B extends Berth>(berth: B): B & TeamsBerth {
  return { ...berth, command: commandOf(berth.dataDirectory) }
}

function commandOf(dataDirectory: string): TeamsBerth['command'] {
  return async (args, input) => {
    const options = { dataDirectory, ...(input !== undefined && { input }) }
    const { succeeded, stdout, report } = await commandBerth(args, options)
    if (!succeeded) throw new Error(report)
    return stdout
  }
}
