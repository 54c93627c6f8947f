import type { CollectReport } from '../gc/collector.js'
import { formatBytes } from '../byte-sizes.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { awaitRun, type RunAnswer } from './runs.js'
import { countText, localTimeText, Table } from './tables.js'
import { EXIT_OK } from './usage.js'

export const gc: Command = managementCommand({
  name: 'gc',
  summary: 'Removes what nothing needs any more, and frees its space.',
  operands: [],
  options: {
    'dry-run': { type: 'boolean' },
    now: { type: 'boolean' },
    purge: { type: 'boolean' },
    confirm: { type: 'boolean' },
  },
  optionsUsage: '[--dry-run] [--now] [--purge] [--confirm]',
  optionsHelp: `  --dry-run         says what would go and why, and removes nothing
  --now             does not wait for leases that have served, nor for untagged manifests to age
  --purge           as --now; and what could still be brought back goes for good
  --confirm         goes on where the brake (gc.brakePercent) would stop it`,
  help: `Exits with 1 when the brake has stopped the run. berth runs --kind gc lists the runs before.`,
  async run({ management, options, print }) {
    const asked = {
      dryRun: options['dry-run'] === true,
      now: options.now === true,
      purge: options.purge === true,
      confirm: options.confirm === true,
    }
    const { id } = await management.request<RunAnswer>('POST', '/gc/runs', asked)
    const run = await awaitRun(management, id)
    print(run, () => reportText(run, asked.dryRun))
    if (run.status === 'done') return EXIT_OK
    const { message } = run.report as unknown as CollectReport
    throw new Error(message ?? `the run is ${run.status}`)
  },
})

function reportText(run: RunAnswer, isDry: boolean): string {
  const { planned, removed, wouldRemove = [] } = run.report as unknown as CollectReport
  const rows = wouldRemove.map(
    ({ kind, sizeBytes, reason, dueSince, digest = '', repository = '' }) => [
      ...[kind, formatBytes(sizeBytes), reason, localTimeText(dueSince), digest, repository],
    ],
  )
  const titles = ['WHAT', 'SIZE', 'WHY', 'DUE', 'DIGEST', 'REPOSITORY']
  const shown = new Table(titles).textOf(rows)
  const table = wouldRemove.length > 0 ? `${shown}\n` : ''
  const tally = isDry || run.status === 'braked' ? planned : removed
  const verb = isDry || run.status === 'braked' ? 'Would free' : 'Freed'
  if (tally === undefined) return table
  return `${table}${verb} ${formatBytes(tally.bytes)}: ${tallyText(tally)}.\n`
}

function tallyText({ manifests, blobs, repositories }: CollectReport['removed']): string {
  return [
    countText(manifests, 'manifest'),
    countText(blobs, 'blob'),
    ...(repositories > 0 ? [countText(repositories, 'repository', 'repositories')] : []),
  ].join(', ')
}
