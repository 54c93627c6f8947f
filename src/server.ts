import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { assemble, type AssemblyOptions } from './assembly.js'
import { noteStart } from './events/server-start.js'
import type { AuditLog } from './events/audit.js'
import type { Maintenance } from './gc/maintenance.js'
import { Housekeeping } from './housekeeping.js'
import { localUrl, removeOperatorFile, writeOperatorFile } from './operator-file.js'
import type { Registry } from './registry/registry.js'
import { Unwinding } from './unwinding.js'

export type ServerOptions = AssemblyOptions

export interface Server {
  readonly app: FastifyInstance
  /** Where it listens; the port is a real one also when 0 was configured. */
  readonly address: AddressInfo
  readonly housekeeping: Housekeeping
  readonly registry: Registry
  readonly maintenance: Maintenance
  readonly audit: AuditLog
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
  const { directory, app, stores, registry, maintenance, audit, operatorToken: token } = assembly
  const undo = new Unwinding()
  undo.push(() => assembly.close())
  try {
    const { host, port } = config.http
    await app.listen({ host, port })
    const address = app.server.address() as AddressInfo
    await noteStart({ audit, trail: stores.metadata.audit, config, log })
    undo.push(() => audit.note({ action: 'server.stop' }))
    const housekeeping = new Housekeeping(registry, { log, onDurabilityLost })
    undo.push(() => housekeeping.stop())
    maintenance.start()
    undo.push(() => removeOperatorFile(directory))
    try {
      writeOperatorFile(directory, { url: localUrl(address), token, pid: process.pid })
    } catch (error) {
      log.warn({ err: error }, 'berth.operator.json cannot be written: no command can manage this')
    }
    const close = () => undo.run()
    return { app, address, registry, housekeeping, maintenance, audit, close }
  } catch (error) {
    await undo.run().catch((failure: unknown) => log.error({ err: failure }, 'closing has failed'))
    throw error
  }
}
