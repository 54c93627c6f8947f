import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { assemble, type AssemblyOptions } from './assembly.js'
import type { Maintenance } from './gc/maintenance.js'
import { Housekeeping } from './housekeeping.js'
import { localUrl, removeOperatorFile, writeOperatorFile } from './operator-file.js'
import type { Registry } from './registry/registry.js'

export type ServerOptions = AssemblyOptions

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
 * Opens the stores, migrates, builds, listens; and leaves a file in the data directory that tells the
 * command line how to reach it.
 *
 * @throws {@link DataDirectoryError}, {@link MigrationError}, and what `listen` throws
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log, onDurabilityLost } = options
  const assembly = await assemble(options)
  const { directory, app, registry, maintenance, operatorToken: token } = assembly
  // What has to be undone, last first, when a later step fails or the server is closed.
  const undo: (() => unknown)[] = [() => assembly.close()]
  const rewind = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    const { host, port } = config.http
    await app.listen({ host, port })
    const address = app.server.address() as AddressInfo
    const housekeeping = new Housekeeping(registry, { log, onDurabilityLost })
    undo.push(() => housekeeping.stop())
    maintenance.start()
    undo.push(() => removeOperatorFile(directory))
    try {
      writeOperatorFile(directory, { url: localUrl(address), token, pid: process.pid })
    } catch (error) {
      log.warn({ err: error }, 'berth.operator.json cannot be written: no command can manage this')
    }
    return { app, address, registry, housekeeping, maintenance, close: rewind }
  } catch (error) {
    await rewind()
    throw error
  }
}
