import path from 'node:path'
import { formatBytes } from '../byte-sizes.js'
import type { BackupReport } from '../gc/backups.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { awaitRun, type RunAnswer } from './runs.js'
import { EXIT_FAILED, EXIT_OK } from './usage.js'

export const backup: Command = managementCommand({
  name: 'backup',
  summary: 'Brings everything into a folder, while the registry is used.',
  operands: ['DIRECTORY'],
  options: { content: { type: 'boolean' } },
  optionsUsage: '[--content]',
  optionsHelp: `  --content         reads and hashes also what the folder has from backups before, at
                    verify.bytesPerSecond, and replaces what is damaged`,
  help: `The folder is made when it is not there. The next backup into it adds what is new; when it is
interrupted, at any moment, the one before is still there, whole. berth restore-backup makes a
registry of it.`,
  async run({ management, operands: [operand = ''], options, print, io }) {
    const body = { directory: path.resolve(operand), content: options.content ?? false }
    const { id } = await management.request<RunAnswer>('POST', '/backup/runs', body)
    const run = await awaitRun(management, id)
    const report = run.report as unknown as BackupReport
    if (run.status !== 'done') throw new Error(report.message ?? `the run is ${run.status}`)
    print(run, () => textOf(report))
    if (report.message === undefined) return EXIT_OK
    io.stderr.write(`berth: ${report.message}\n`)
    return EXIT_FAILED
  },
})

function textOf(report: BackupReport): string {
  const { blobs = 0, blobBytes = 0, databaseBytes = 0, removed = 0, transfers } = report
  const { kept = 0, left = 0 } = report
  const isNew = blobs - (transfers?.present ?? 0)
  return `The backup has ${blobs} blobs in files (${formatBytes(blobBytes)}) and a database of ${formatBytes(databaseBytes)}; ${isNew} blobs are new, and ${removed} were removed.\n${
    left > 0 ? `The next backup removes ${left} more.\n` : ''
  }${kept > 0 ? `${kept} blobs that are damaged in the registry are whole in the backup.\n` : ''}`
}
