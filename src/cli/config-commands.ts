import { configSchema } from '../config-schema.js'
import { CONFIG_FILE_VARIABLE, type Config } from '../config.js'
import { configFor, type CommandIo } from './command-io.js'
import type { Command } from './commands.js'
import { EXIT_OK, parseOptions } from './usage.js'

const configOption = { config: { type: 'string' } } as const

const sourcesHelp = `The configuration is the file of --config (or ${CONFIG_FILE_VARIABLE}), with environment variables
over it: http.port is BERTH_HTTP_PORT, dataDirectory is BERTH_DATA_DIRECTORY. Without either, every
setting has its default.`

export const configCheck: Command = {
  name: 'config check',
  usage: '[--config FILE]',
  summary: 'Says what is wrong with a configuration, without starting.',
  help: sourcesHelp,
  async run(args, io) {
    const { tls } = load(args, io).http
    if (tls.mode !== 'off') {
      const { checkedCertificates, readCertificateFiles } = await import('../tls/certificates.js')
      checkedCertificates(await readCertificateFiles(tls), tls)
    }
    io.stdout.write('The configuration is valid.\n')
    return EXIT_OK
  },
}

export const configShow: Command = {
  name: 'config show',
  usage: '[--config FILE]',
  summary: 'Prints the whole configuration as it would be used.',
  help: sourcesHelp,
  run(args, io) {
    io.stdout.write(`${JSON.stringify(load(args, io), null, 2)}\n`)
    return EXIT_OK
  },
}

export const configSchemaCommand: Command = {
  name: 'config schema',
  usage: '',
  summary: 'Prints the JSON Schema of the configuration, for editors.',
  help: '',
  run(args, io) {
    parseOptions(args, {})
    io.stdout.write(`${JSON.stringify(configSchema, null, 2)}\n`)
    return EXIT_OK
  },
}

function load(args: readonly string[], io: CommandIo): Config {
  return configFor(io, parseOptions(args, configOption))
}
