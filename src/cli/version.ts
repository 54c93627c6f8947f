import { readFileSync } from 'node:fs'
import type { Command } from './commands.js'
import { EXIT_OK, parseOptions } from './usage.js'

/** As package.json says. */
function berthVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export const version: Command = {
  name: 'version',
  usage: '',
  summary: 'Prints the version.',
  help: '',
  run(args) {
    parseOptions(args, {})
    process.stdout.write(`berth ${berthVersion()} (Node.js ${process.versions.node})\n`)
    return EXIT_OK
  },
}
