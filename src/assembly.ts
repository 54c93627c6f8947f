import path from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { buildApp } from './app.js'
import { createAuth, type Auth } from './auth/auth.js'
import type { LoginAttempt } from './auth/authenticator.js'
import { ANONYMOUS } from './auth/identity.js'
import { createOperatorToken } from './auth/operator.js'
import type { Config } from './config.js'
import { requireFinished, takeDataDirectory } from './data-directory.js'
import type { DurabilityLostError } from './errors.js'
import { AuditFile } from './events/audit-file.js'
import { AuditLog, type Noted } from './events/audit.js'
import { createMaintenance, type Maintenance } from './gc/maintenance.js'
import { SqliteMetadataStore } from './metadata/sqlite/sqlite-metadata-store.js'
import { removeOperatorFile } from './operator-file.js'
import { createRegistry, type Registry, type Stores } from './registry/registry.js'
import { BackupFiles } from './storage/backup-files.js'
import { FsBlobStore } from './storage/fs-blob-store.js'
import { Sendfile } from './storage/sendfile.js'
import type { TlsPort } from './tls/tls-port.js'
import { Unwinding } from './unwinding.js'

export interface AssemblyOptions {
  readonly config: Config
  readonly log: FastifyBaseLogger
  readonly now?: () => number
  /** The disk can no longer be trusted: whoever runs this must end the process. */
  readonly onDurabilityLost: (error: DurabilityLostError) => void
  /** What lets its port speak TLS, where it is to have one that does. */
  readonly tlsPort?: TlsPort
}

/** A registry that answers requests, and has its data directory for itself; it does not listen. */
export interface Assembly {
  /** The data directory, as an absolute path. */
  readonly directory: string
  readonly stores: Stores
  readonly registry: Registry
  readonly maintenance: Maintenance
  readonly auth: Auth
  readonly audit: AuditLog
  readonly app: FastifyInstance
  /** What makes a caller of the management API its operator. */
  readonly operatorToken: string
  /**
   * Lets requests under way end for `http.shutdownSeconds`, cuts those that have not, and leaves the
   * data in order.
   */
  close(): Promise<void>
}

/**
 * Takes the data directory, opens the stores, migrates, builds.
 *
 * @throws {@link DataDirectoryError}, {@link MigrationError}, {@link AuditFileError}
 */
export async function assemble(options: AssemblyOptions): Promise<Assembly> {
  const { config, log, now = Date.now, onDurabilityLost, tlsPort } = options
  const directory = path.resolve(config.dataDirectory)
  const undo = new Unwinding()
  undo.push(takeDataDirectory(directory))
  try {
    requireFinished(directory)
    // Of a server that was killed: whoever comes meanwhile must not be sent to it.
    removeOperatorFile(directory)
    const file = config.audit.file === '' ? undefined : await AuditFile.open(config.audit.file)
    undo.push(() => file?.close())
    const blobs = await FsBlobStore.open(directory, {
      ...(sendsByKernel(config) && { sendfile: new Sendfile(log) }),
    })
    const metadata = await SqliteMetadataStore.open({ file: path.join(directory, 'berth.db') })
    undo.push(() => metadata.close())
    if (metadata.migrationCopy !== undefined) {
      log.info({ copy: metadata.migrationCopy }, 'the database was copied before its migration')
    }
    const stores = { metadata, blobs }
    const registry = createRegistry(stores, config, { log, now, onDurabilityLost })
    const audit = new AuditLog({ trail: metadata.audit, file, log, now, onDurabilityLost })
    // After all that may still have something to say.
    undo.push(() => audit.close())
    const maintenance = createMaintenance(stores, registry, config, {
      ...{ audit, log, now, onDurabilityLost },
      openCopy: (file) => SqliteMetadataStore.open({ file }),
      openFiles: (to) => BackupFiles.open({ from: directory, to, mayLink: true }),
    })
    undo.push(() => maintenance.close())
    const operatorToken = createOperatorToken()
    const auth = await createAuth(metadata, config, {
      ...{ log, now, operatorToken, onDurabilityLost },
      onLogin: (attempt) => audit.note(loginOf(attempt)),
    })
    undo.push(() => auth.close())
    const dependencies = {
      config,
      stores,
      registry,
      maintenance,
      audit,
      log,
      now,
      auth,
      onDurabilityLost,
      ...(tlsPort && { tlsPort }),
    }
    const app = await buildApp(dependencies)
    undo.push(() => registry.pulls.close())
    undo.push(() => closeWithin(app, config.http.shutdownSeconds))
    return {
      ...{ directory, stores, registry, maintenance, audit, auth, app, operatorToken },
      close: () => undo.run(),
    }
  } catch (error) {
    await undo.run().catch((failure: unknown) => log.error({ err: failure }, 'closing has failed'))
    throw error
  }
}

/** A login as it is in the audit trail. */
function loginOf(attempt: LoginAttempt): Noted {
  const { name, address, succeeded, by, tokenId, isThrottled } = attempt
  return {
    action: 'login',
    actor: succeeded ? name : ANONYMOUS.name,
    address,
    target: name,
    result: succeeded ? 'done' : 'refused',
    details: {
      by,
      ...(tokenId !== undefined && { token: tokenId }),
      ...(isThrottled && { throttled: true }),
    },
  }
}

/** What the kernel sends goes past us, and so past whoever verifies it. */
function sendsByKernel({ storage }: Config): boolean {
  return storage.sendfile && !storage.verifyReads
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
