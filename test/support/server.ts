import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { pino, type Logger } from 'pino'
import { afterAll, beforeAll } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { loadConfig, type Config } from '../../src/config.js'
import type { DurabilityLostError } from '../../src/errors.js'
import { readOperatorFile } from '../../src/operator-file.js'
import { startServer, type Server, type ServerOptions } from '../../src/server.js'
import { makeDirectory, removeDirectory, temporaryDirectory } from './directories.js'
import { whenFinished } from './side-by-side.js'

type Overrides = {
  readonly [Group in keyof Config]?: Config[Group] extends readonly unknown[]
    ? Config[Group]
    : Partial<Config[Group]>
}

export interface StartOptions {
  /** Settings that differ from their defaults, by group. */
  readonly config?: Omit<Overrides, 'dataDirectory'>
  /** Where the data is; a folder of the test's own when absent. */
  readonly dataDirectory?: string
  readonly now?: () => number
  /** Where its log goes; nowhere when absent. */
  readonly log?: Logger
  readonly onDurabilityLost?: (error: DurabilityLostError) => void
  /** Is told of the first admin. */
  readonly introduce?: ServerOptions['introduce']
}

export interface TestServer {
  readonly app: FastifyInstance
  readonly server: Server
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly dataDirectory: string
}

const operatorTokens = new WeakMap<FastifyInstance, string>()

/** What makes a request to a test server one of its operator. */
export function operatorTokenOf(app: FastifyInstance): string | undefined {
  return operatorTokens.get(app)
}

/** A whole registry on a free port; closed when the test is over. */
export async function startTestServer(options: StartOptions = {}): Promise<TestServer> {
  const dataDirectory = options.dataDirectory ?? (await temporaryDirectory())
  const started = await startIn(dataDirectory, options)
  whenFinished(() => started.server.close())
  return started
}

/**
 * A whole registry for all tests of a file, or of a `describe`: call it where they are declared. It runs
 * from before the first of them until after the last, and its members may be read meanwhile only.
 *
 * It is for tests that look, send what is refused, or use names that no other test has
 * ({@link ownName}). A test that closes it, damages its files or asks about everything it has starts
 * one of its own with {@link startTestServer}, which costs more than most tests do.
 */
export function sharedTestServer(options: Omit<StartOptions, 'dataDirectory'> = {}): TestServer {
  let started: TestServer | undefined
  const running = () => {
    if (started === undefined) throw new Error('the shared server runs only while its tests do')
    return started
  }
  beforeAll(async () => {
    started = await startIn(await makeDirectory(), options)
  })
  afterAll(async () => {
    if (started === undefined) return
    const { server, dataDirectory } = started
    started = undefined
    await server.close()
    await removeDirectory(dataDirectory)
  })
  return {
    get app() {
      return running().app
    },
    get server() {
      return running().server
    },
    get url() {
      return running().url
    },
    get port() {
      return running().port
    },
    get dataDirectory() {
      return running().dataDirectory
    },
  }
}

let names = 0

/** A name that no other test has: of a repository, or of whatever is named as they are. */
export function ownName(prefix = 'team/app'): string {
  names += 1
  return `${prefix}-${names}`
}

async function startIn(dataDirectory: string, options: StartOptions): Promise<TestServer> {
  const config = testConfig(dataDirectory, options.config)
  const server = await startServer({
    config,
    log: options.log ?? pino({ level: 'silent' }),
    ...(options.now && { now: options.now }),
    ...(options.introduce && { introduce: options.introduce }),
    onDurabilityLost:
      options.onDurabilityLost ??
      ((error) => {
        throw error
      }),
  })
  const access = readOperatorFile(dataDirectory)
  if (access) operatorTokens.set(server.app, access.token)
  const { port } = server.address
  return { app: server.app, server, url: `http://127.0.0.1:${port}`, port, dataDirectory }
}

/** The sizes of what uploads have left on disk so far. */
export async function uploadFileSizes({ dataDirectory }: TestServer): Promise<number[]> {
  const folder = path.join(dataDirectory, 'uploads')
  const sizes: number[] = []
  for (const name of await readdir(folder)) {
    // One that has ended meanwhile has left nothing.
    const file = await stat(path.join(folder, name)).catch(() => undefined)
    if (file) sizes.push(file.size)
  }
  return sizes
}

/** The default configuration on a free port, with some groups changed. */
export function testConfig(dataDirectory: string, overrides: StartOptions['config'] = {}): Config {
  const defaults = loadConfig({ environment: {} })
  const entries = Object.entries(defaults).map(([key, group]: [string, unknown]) => {
    const override = (overrides as Record<string, object | undefined>)[key]
    const isGroup = typeof group === 'object' && !Array.isArray(group)
    return [key, isGroup ? { ...group, ...override } : (override ?? group)]
  })
  const config = Object.fromEntries(entries) as Config
  return {
    ...config,
    dataDirectory,
    http: { ...config.http, port: 0, shutdownSeconds: 0, ...overrides.http },
  }
}
