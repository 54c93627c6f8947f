import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import path from 'node:path'
import { domainToASCII } from 'node:url'
import { isLoopback } from '../addresses.js'
import type { Config } from '../config.js'
import type { MadeFiles } from '../tls/made-files.js'
import { configFor } from './command-io.js'
import type { Command } from './commands.js'
import { EXIT_OK, parseArguments, UsageError } from './usage.js'

/** Apple's clients take no certificate that lasts longer, whoever has signed it. */
const daysMax = 825

/** Under these it is always reached from its own machine. */
const localHosts = ['localhost', '127.0.0.1', '::1']

const HOST_NAME =
  /^(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

export const tlsInit: Command = {
  name: 'tls init',
  usage: 'HOST... [--out DIRECTORY] [--days DAYS] [--data DIRECTORY] [--config FILE]',
  summary: 'Makes a private CA and a certificate of this server.',
  help: `  HOST              a name or address under which clients reach the server; localhost is always
                    among them
  --out DIRECTORY   where the files go (the folder tls of the data directory)
  --days DAYS       how long the certificate of the server holds, up to ${daysMax} (${daysMax})
  --data DIRECTORY  where the registry keeps everything (dataDirectory)
  --config FILE     its configuration

Run again it keeps the CA, which clients trust, and makes a new certificate, which a server that runs
takes within seconds. Files that it has not made are never overwritten. ca.key signs for every client
that trusts the CA: keep a copy, and let nobody read it.`,
  async run(args, io) {
    const { options, operands } = parseArguments(
      args,
      {
        out: { type: 'string' },
        days: { type: 'string' },
        data: { type: 'string' },
        config: { type: 'string' },
      },
      ['HOST...'],
    )
    const { out, days: daysText, ...sources } = options
    const hosts = operands.map(parseHost)
    const days = daysText === undefined ? daysMax : parseDays(daysText)
    const config = configFor(io, sources)
    const folder = path.resolve(out ?? path.join(config.dataDirectory, 'tls'))
    const wanted = { hosts: [...new Set([...hosts, ...localHosts])], days, now: new Date() }
    // It takes longer to load than all other commands take in all.
    const { makeCertificateFiles } = await import('../tls/made-files.js')
    const made = await makeCertificateFiles(folder, wanted)
    io.stdout.write(reportOf(made, wanted.hosts, config.http))
    return EXIT_OK
  },
}

function parseHost(text: string): string {
  if (isIP(text) !== 0) return text
  const name = domainToASCII(text)
  // An address with something wrong in it is no name.
  if (HOST_NAME.test(name) && !/(^|\.)[0-9]+$/.test(name)) return name
  throw new UsageError(
    `HOST is a name or an address, without a port: ${JSON.stringify(text)} is neither`,
  )
}

function parseDays(text: string): number {
  const days = Number(text)
  if (/^\d+$/.test(text) && days >= 1 && days <= daysMax) return days
  throw new UsageError(`--days must be a whole number from 1 to ${daysMax}`)
}

function reportOf(
  made: MadeFiles,
  hosts: readonly string[],
  { host, port }: Config['http'],
): string {
  const { caFile, certificateFile, keyFile, isCaNew, caText, caExpires, expires } = made
  const http = {
    // Otherwise the clients would find nobody there.
    ...(isLoopback(host) && { host: '0.0.0.0' }),
    tls: { mode: 'only', certificateFile, keyFile },
  }
  return `CA           ${caFile}, ${isCaNew ? 'new' : 'kept'}, until ${dateOf(caExpires)}
certificate  ${certificateFile}, new, until ${dateOf(expires)}
             for ${hosts.join(', ')}

To be set in the configuration, unless it is already ("both" in place of "only" takes plain HTTP, too):

${JSON.stringify({ http }, null, 2)}

On each client, as root, once the server runs with it; the last step compares what has come with this CA:

${trustLines(addressOf(hosts, port), caText)}
`
}

function addressOf(hosts: readonly string[], port: number): string {
  const [host = ''] = hosts.filter((name) => !name.startsWith('*.'))
  const written = isIP(host) === 6 ? `[${host}]` : host
  return port === 443 ? written : `${written}:${port}`
}

/** What makes each client trust the CA: a line for a shell. */
function trustLines(address: string, caText: string): string {
  const sum = createHash('sha256').update(caText).digest('hex')
  const fetched = (folder: string) =>
    `d='${folder}/${address}' && mkdir -p "$d" && curl -fsSk 'https://${address}/ca.crt' -o "$d/ca.crt" && { echo "${sum}  $d/ca.crt" | sha256sum -c || { rm "$d/ca.crt"; false; }; }`
  const hostsToml = String.raw`printf 'server = "https://${address}"\n[host."https://${address}"]\n  ca = "%s/ca.crt"\n' "$d" > "$d/hosts.toml"`
  return [
    ['docker', fetched('/etc/docker/certs.d')],
    ['podman, buildah, skopeo', fetched('/etc/containers/certs.d')],
    [
      'containerd, whose config_path is /etc/containerd/certs.d',
      `${fetched('/etc/containerd/certs.d')} && ${hostsToml}`,
    ],
  ]
    .map(([client, line]) => `  # ${client}\n  ${line}\n`)
    .join('\n')
}

function dateOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}
