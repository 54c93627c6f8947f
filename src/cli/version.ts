import { berthVersion } from '../version.js'
import type { Command } from './commands.js'
import { EXIT_OK, parseOptions } from './usage.js'

export const version: Command = {
  name: 'version',
  usage: '',
  summary: 'Prints the version.',
  help: '',
  run(args, io) {
    parseOptions(args, {})
    io.stdout.write(`berth ${berthVersion()} (Node.js ${process.versions.node})\n`)
    return EXIT_OK
  },
}
