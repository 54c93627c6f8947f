import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { buildApp } from './app.js'
import type { Config } from './config.js'
import { takeDataDirectory } from './data-directory.js'
import type { DurabilityLostError } from './errors.js'
import { createMaintenance, type Maintenance } from './gc/maintenance.js'
import { Housekeeping } from './housekeeping.js'
import { SqliteMetadataStore } from './metadata/sqlite/sqlite-metadata-store.js'
import { createRegistry, type Registry } from './registry/registry.js'
import { FsBlobStore } from './storage/fs-blob-store.js'
import { Sendfile } from './storage/sendfile.js'

export interface ServerOptions {
  readonly config: Config
  readonly log: FastifyBaseLogger
  readonly now?: () => number
  /** The disk can no longer be trusted: whoever runs the server must end the process. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

export interface Server {
  readonly app: FastifyInstance
  /** Where it listens; the port is a real one also when 0 was configured. */
  readonly address: AddressInfo
  readonly housekeeping: Housekeeping
  readonly registry: Registry
  readonly maintenance: Maintenance
  /**
   * Accepts nothing more, lets requests under way end for `http.shutdownSeconds`, cuts those that
   * have not, and leaves the data in order.
   */
  close(): Promise<void>
}

/**
 * Opens the stores, migrates, builds, listens.
 *
 * @throws {@link DataDirectoryError}, {@link MigrationError}, and what `listen` throws
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log, now = Date.now, onDurabilityLost } = options
  const directory = path.resolve(config.dataDirectory)
  // What has to be undone, last first, when a later step fails or the server is closed.
  const undo: (() => unknown)[] = [takeDataDirectory(directory)]
  const rewind = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    const blobs = await FsBlobStore.open(directory, {
      ...(config.storage.sendfile && { sendfile: new Sendfile(log) }),
    })
    const metadata = await SqliteMetadataStore.open({ file: path.join(directory, 'berth.db') })
    undo.push(() => metadata.close())
    if (metadata.migrationCopy !== undefined) {
      log.info({ copy: metadata.migrationCopy }, 'the database was copied before its migration')
    }
    const stores = { metadata, blobs }
    const registry = createRegistry(stores, config, log, now)
    const maintenance = createMaintenance(stores, registry, config, log, now)
    const app = await buildApp({ config, stores, registry, log, now, onDurabilityLost })
    undo.push(() => closeWithin(app, config.http.shutdownSeconds))

    const { host, port } = config.http
    await app.listen({ host, port })
    const housekeeping = new Housekeeping(registry, { log, onDurabilityLost })
    undo.push(() => housekeeping.stop())
    undo.push(maintenance.start(onDurabilityLost))
    const address = app.server.address() as AddressInfo
    return { app, address, registry, housekeeping, maintenance, close: rewind }
  } catch (error) {
    await rewind()
    throw error
  }
}

/** How often connections are looked at whose last request has ended meanwhile. */
const closeIdleMs = 50

async function closeWithin(app: FastifyInstance, seconds: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), seconds * 1000)
  // Node closes the idle ones once; those that were busy then would be kept for their client.
  const sweep = setInterval(() => app.server.closeIdleConnections(), closeIdleMs)
  try {
    await app.close()
  } finally {
    clearTimeout(cut)
    clearInterval(sweep)
  }
}
