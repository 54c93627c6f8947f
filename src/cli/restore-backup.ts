import path from 'node:path'
import { formatBytes } from '../byte-sizes.js'
import type { RestoredBackup } from '../registry/backup/restore-backup.js'
import { configFor } from './command-io.js'
import type { Command } from './commands.js'
import { openManagement } from './management-client.js'
import { localTimeText } from './tables.js'
import { EXIT_FAILED, parseArguments } from './usage.js'
import { verifyAndPrint } from './verify.js'

export const restoreBackup: Command = {
  name: 'restore-backup',
  usage: 'DIRECTORY --data NEW [--config FILE]',
  summary: 'Makes a registry of a backup, in a new directory.',
  help: `  --data NEW        the data directory to be made: empty, or not there yet
  --config FILE     the configuration that it will be served with

Every blob is hashed on its way, and the new registry is verified. Run it again when it was interrupted.`,
  async run(args, io) {
    const options = { config: { type: 'string' }, data: { type: 'string' } } as const
    const parsed = parseArguments(args, options, ['DIRECTORY'])
    const config = configFor(io, parsed.options)
    const to = path.resolve(config.dataDirectory)
    const { restore } = await import('../restore.js')
    const restored = await restore(path.resolve(parsed.operands[0] ?? ''), to)
    io.stdout.write(textOf(restored, to))
    const management = await openManagement(config)
    try {
      const code = await verifyAndPrint(management, (text) => void io.stdout.write(text))
      return restored.lost > 0 ? EXIT_FAILED : code
    } finally {
      await management.close()
    }
  },
}

function textOf({ backup, blobs, blobBytes, lost }: RestoredBackup, to: string): string {
  const from = `the backup of ${localTimeText(backup.madeAt)} (Berth ${backup.berth})`
  const lines = [`Restored ${from} to ${to}: ${blobs} blobs in files, ${formatBytes(blobBytes)}.`]
  if (lost > 0) lines.push(`${lost} blobs are damaged in the backup, and count as absent.`)
  return `${lines.join('\n')}\n`
}
