import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '../../support/directories.js'
import { tlsEnvironment } from '../../support/tls.js'
import { runBerthWith, startBerth, type Berth } from './berth.js'

export interface TlsBerth extends Berth {
  /** What `berth tls init` has printed. */
  readonly advice: string
  /** A folder with nothing in it but the certificate of the CA, as containers' tools want it. */
  readonly certDirectory: string
  /** The same for containerd, by the registry's name. */
  readonly hostsDirectory: string
}

export interface TlsOptions {
  readonly address?: string
  readonly port?: number
  readonly under?: readonly string[]
  /** Where the data is; a folder of the test's own when absent. */
  readonly dataDirectory?: string
  /** Settings besides those of TLS, as variables of the environment. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A registry with the certificate that `berth tls init` makes. */
export async function startTlsBerth(
  mode: 'only' | 'both',
  options: TlsOptions = {},
): Promise<TlsBerth> {
  const { address = '127.0.0.1', port, under, dataDirectory } = options
  const folder = await temporaryDirectory()
  const settings = { BERTH_HTTP_HOST: '0.0.0.0', ...(port && { BERTH_HTTP_PORT: String(port) }) }
  const { stdout: advice } = await runBerthWith(settings, 'tls', 'init', address, '--out', folder)
  const files = {
    certificateFile: path.join(folder, 'server.crt'),
    keyFile: path.join(folder, 'server.key'),
  }
  const berth = await startBerth({
    ...(port !== undefined && { port }),
    ...(under && { under }),
    ...(dataDirectory !== undefined && { dataDirectory }),
    settings: { ...options.settings, ...settings, ...tlsEnvironment(mode, files) },
  })
  const host = `${address}:${berth.port}`
  const certDirectory = path.join(folder, 'certs.d')
  const hostsDirectory = path.join(folder, 'hosts.d')
  await mkdir(certDirectory)
  await mkdir(path.join(hostsDirectory, host), { recursive: true })
  await copyFile(path.join(folder, 'ca.crt'), path.join(certDirectory, 'ca.crt'))
  await writeFile(
    path.join(hostsDirectory, host, 'hosts.toml'),
    `server = "https://${host}"\n[host."https://${host}"]\n  ca = "${certDirectory}/ca.crt"\n`,
  )
  return { ...berth, host, advice, certDirectory, hostsDirectory }
}

/** The line that makes a client trust the CA, as `berth tls init` prints it. */
export function lineFor(client: string, { advice }: Pick<TlsBerth, 'advice'>): string {
  const lines = advice.split('\n')
  const at = lines.findIndex((line) => line.startsWith(`  # ${client}`))
  return lines[at + 1]?.trim() ?? ''
}
