import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { isLoopback } from '../addresses.js'
import { CONFIG_FILE_VARIABLE, type Config } from '../config.js'
import type { FirstAdmin } from '../auth/first-admin.js'
import type { Server } from '../server.js'
import { configFileOf, configFor, type CommandIo } from './command-io.js'
import type { Command } from './commands.js'
import { markInOneGo } from './garbage-collection.js'
import { EXIT_FAILED, EXIT_OK, parseOptions } from './usage.js'

export const serve: Command = {
  name: 'serve',
  usage: '[--config FILE] [--host HOST] [--port PORT] [--data DIRECTORY]',
  summary: 'Runs the registry until it is told to stop.',
  help: `  --config FILE     the configuration; berth config show prints all settings
  --host HOST       the address to listen on (http.host)
  --port PORT       the port to listen on (http.port)
  --data DIRECTORY  where everything is kept (dataDirectory)

Options beat environment variables, and those beat the file. The first SIGTERM or SIGINT lets
requests under way end; a second one does not. SIGHUP opens audit.file again, and
reads the files of http.tls again, where they are set.`,
  async run(args, io) {
    const options = parseOptions(args, {
      config: { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      data: { type: 'string' },
    })
    return runUntilStopped(configFor(io, options), configFileOf(io, options.config), io)
  },
}

async function runUntilStopped(
  config: Config,
  file: string | undefined,
  { stdout }: CommandIo,
): Promise<number> {
  markInOneGo()
  // Not before: other commands load this file, too, and are quick.
  const [{ createLog }, { startServer }] = await Promise.all([
    import('../log.js'),
    import('../server.js'),
  ])
  const log = await createLog(config.log)
  const stopped = nextStopSignal()
  const server = await startServer({
    config,
    log,
    onDurabilityLost(error) {
      log.fatal({ err: error }, 'the disk did not confirm a write; stopping at once')
      process.exit(EXIT_FAILED)
    },
    introduce: (admin, address) => written(stdout, introduction(admin, address)),
  }).catch((error: unknown) => {
    throw explained(error, config)
  })
  listenForHangups(config, server)
  const texts = [
    welcome(config, file, server.address),
    openAccessWarning(config, server),
    plainPasswordsWarning(config, server),
    await accountsWarning(config, server),
  ]
  stdout.write(texts.join(''))

  const signal = await stopped
  // Before anything else: without a listener the next signal ends the process on its own terms.
  process.once('SIGINT', exitAtOnce).once('SIGTERM', exitAtOnce)
  log.info({ signal }, 'stopping')
  await server.close()
  log.info('stopped')
  return EXIT_OK
}

/** Where there is nothing to read again it ends the process, as that of a terminal that was closed should. */
function listenForHangups({ audit, http }: Config, server: Server): void {
  if (audit.file !== '') process.on('SIGHUP', () => void server.audit.reopen())
  if (http.tls.mode !== 'off') process.on('SIGHUP', () => void server.reloadCertificate())
}

function nextStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve)
  })
}

/** Settles when whoever reads it has it, as far as that can be known. */
function written(stream: NodeJS.WritableStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

/** 128 and the signal's number, as shells say it. */
function exitAtOnce(signal: NodeJS.Signals): void {
  process.exit(signal === 'SIGINT' ? 130 : 143)
}

function explained(error: unknown, { http: { host, port } }: Config): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE') {
    return new Error(
      `port ${port} of ${host} is in use; choose another with --port, or stop what uses it`,
    )
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new Error(`cannot listen on port ${port} of ${host} (${code})`)
  }
  return error
}

/** What a person wants to know first. */
function welcome(config: Config, file: string | undefined, address: AddressInfo): string {
  const registry = `${reachableHost(address)}:${address.port}`
  const { mode } = config.http.tls
  const listens = mode === 'only' ? `https://${registry}` : `http://${registry}`
  return `Berth listens on ${listens}${mode === 'both' ? `, and on https://${registry}` : ''}
  data    ${path.resolve(config.dataDirectory)}
  config  ${file === undefined ? `none (neither --config nor ${CONFIG_FILE_VARIABLE} names a file)` : path.resolve(file)}

  docker tag alpine:latest ${registry}/alpine:latest
  docker push ${registry}/alpine:latest
  docker pull ${registry}/alpine:latest

`
}

/** Where a proxy in front speaks TLS, clients call the registry by an address that says so. */
function plainPasswordsWarning({ access, http }: Config, { address }: Server): string {
  if (access.mode !== 'accounts' || isLoopback(address.address)) return ''
  if (http.tls.mode === 'only' || http.publicUrl.startsWith('https:')) return ''
  return `Warning: passwords and tokens cross the network as they are where clients speak plain HTTP. berth tls init
makes a certificate (http.tls); where a proxy in front has one, http.publicUrl says so.

`
}

async function accountsWarning({ access: { mode } }: Config, { stores }: Server): Promise<string> {
  const { accounts } = stores.metadata
  if (mode === 'accounts') {
    return (await accounts.canAdminLogIn(Date.now()))
      ? ''
      : `Warning: no admin can log in; berth user add NAME --admin on this machine makes one, and berth user passwd NAME
gives one a password.

`
  }
  // Somebody may have lost the configuration, or thinks that read-only is private.
  return (await accounts.hasUsers())
    ? `Warning: this registry has accounts, and access.mode is ${mode}: everybody who reaches it may pull
everything${mode === 'open' ? ', push and delete' : ''}, private repositories too. access.mode: accounts closes it.

`
    : ''
}

function openAccessWarning({ access, http }: Config, { address }: Server): string {
  if (access.mode !== 'open' || isLoopback(address.address)) return ''
  return `Warning: everybody who reaches ${http.host}:${address.port} may push and delete. To close it, listen on
127.0.0.1 (http.host), give everybody an account (access.mode: accounts), or allow only pulls
(access.mode: readOnly).

`
}

/** Said once: what is stored is a hash. */
function introduction({ name, password }: FirstAdmin, address: AddressInfo): string {
  return `There are no users yet, so there is one now:
  name      ${name}
  password  ${password}

This is not shown again; berth user passwd ${name} sets another.

  docker login -u ${name} ${reachableHost(address)}:${address.port}

`
}

/** The name under which a client on this machine reaches the address; docker trusts localhost. */
function reachableHost({ address, family }: AddressInfo): string {
  if (isLoopback(address) || address === '0.0.0.0' || address === '::') return 'localhost'
  return family === 'IPv6' ? `[${address}]` : address
}
