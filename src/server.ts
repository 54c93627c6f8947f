import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { assemble, type AssemblyOptions } from './assembly.js'
import type { TlsConfig } from './config.js'
import { noteStart } from './events/server-start.js'
import type { AuditLog } from './events/audit.js'
import type { Maintenance } from './gc/maintenance.js'
import { ensureAdmin, type FirstAdmin } from './auth/first-admin.js'
import { Housekeeping } from './housekeeping.js'
import {
  localUrl,
  removeOperatorFile,
  writeOperatorFile,
  type OperatorAccess,
} from './operator-file.js'
import type { Registry, Stores } from './registry/registry.js'
import { TlsPort } from './tls/tls-port.js'
import { Unwinding } from './unwinding.js'

export interface ServerOptions extends Omit<AssemblyOptions, 'tlsPort'> {
  /**
   * Is told of the admin that this start makes, where there is nobody, before they are there. It
   * listens by then. Absent: only the server that comes of it tells.
   */
  readonly introduce?: (admin: FirstAdmin, address: AddressInfo) => Promise<void>
}

export interface Server {
  readonly app: FastifyInstance
  /** Where it listens; the port is a real one also when 0 was configured. */
  readonly address: AddressInfo
  readonly housekeeping: Housekeeping
  readonly stores: Stores
  readonly registry: Registry
  readonly maintenance: Maintenance
  readonly audit: AuditLog
  /** Made by this start, because there was nobody. */
  readonly firstAdmin?: FirstAdmin
  /** Looks now whether the files of the certificate have changed; they are looked at every 5 s anyway. */
  reloadCertificate(): Promise<void>
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
 * @throws {@link CertificateError}, {@link DataDirectoryError}, {@link MigrationError}, and what `listen` and
 *   `introduce` throw
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log, now = Date.now, onDurabilityLost, introduce } = options
  const undo = new Unwinding()
  try {
    const { tls } = config.http
    // Before anything else is touched: it is what is most often wrong with a configuration.
    const tlsPort = tls.mode === 'off' ? undefined : await TlsPort.open(tls, { log })
    undo.push(() => tlsPort?.close())
    const assembly = await assemble({ ...options, ...(tlsPort && { tlsPort }) })
    const { directory, stores, audit, auth, app, registry, maintenance } = assembly
    const { operatorToken: token } = assembly
    undo.push(() => assembly.close())
    const { host, port } = config.http
    // The framework takes every server that is not its own for one of plain HTTP.
    const listenTextResolver = (url: string) =>
      `Server listening at ${tls.mode === 'only' ? url.replace('http:', 'https:') : url}`
    await app.listen({ host, port, listenTextResolver })
    const address = app.server.address() as AddressInfo
    await noteStart({ audit, trail: stores.metadata.audit, config, log })
    undo.push(() => audit.note({ action: 'server.stop' }))
    const housekeeping = new Housekeeping(registry, { log, onDurabilityLost })
    undo.push(() => housekeeping.stop())
    maintenance.start()
    // After what can fail: of a start that fails nobody reads the password. Before commands can add users.
    const { metadata } = stores
    const tell = async (admin: FirstAdmin) => introduce?.(admin, address)
    const firstAdmin =
      config.access.mode === 'accounts'
        ? await ensureAdmin({ metadata, passwords: auth.passwords, audit, now, tell })
        : undefined
    undo.push(() => removeOperatorFile(directory))
    const tellCommands = () => {
      const access = { url: localUrl(address, tls.mode), token, pid: process.pid }
      try {
        writeOperatorFile(directory, { ...access, ...tlsAccess(tls, tlsPort) })
      } catch (error) {
        log.warn(
          { err: error },
          'berth.operator.json cannot be written: no command can manage this',
        )
      }
    }
    tellCommands()
    tlsPort?.onRenewed(tellCommands)
    const reloadCertificate = async () => tlsPort?.reload()
    const close = () => undo.run()
    return {
      ...{ app, address, stores, registry, housekeeping, maintenance, audit },
      ...{ reloadCertificate, close },
      ...(firstAdmin && { firstAdmin }),
    }
  } catch (error) {
    await undo.run().catch((failure: unknown) => log.error({ err: failure }, 'closing has failed'))
    throw error
  }
}

/** What a command needs to know in order to reach a port that speaks nothing but TLS. */
function tlsAccess(
  { mode, clientCertificates, certificateFile, keyFile }: TlsConfig,
  tlsPort: TlsPort | undefined,
): Pick<OperatorAccess, 'certificate' | 'clientFiles'> {
  if (tlsPort === undefined || mode !== 'only') return {}
  const clientFiles = {
    certificateFile: path.resolve(certificateFile),
    keyFile: path.resolve(keyFile),
  }
  return {
    certificate: tlsPort.fingerprint,
    ...(clientCertificates === 'required' && { clientFiles }),
  }
}
