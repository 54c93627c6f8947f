import type { VerifyReport, VerifyRequest } from '../registry/verify/verify-run.js'
import type { Command } from './commands.js'
import type { Management } from './management-client.js'
import { managementCommand } from './management-command.js'
import { awaitRun, type RunAnswer } from './runs.js'
import { EXIT_FAILED, EXIT_OK } from './usage.js'

export const verify: Command = managementCommand({
  name: 'verify',
  summary: 'Looks whether everything that is kept is whole, and repairs what can be.',
  operands: [],
  options: {
    content: { type: 'boolean' },
    repair: { type: 'boolean' },
    confirm: { type: 'boolean' },
    stop: { type: 'boolean' },
  },
  optionsUsage: '[--content] [--repair] [--confirm] [--stop]',
  optionsHelp: `  --content         reads and hashes every byte, too, at verify.bytesPerSecond
  --repair          puts right what can be: nothing is given back that is lost, and nothing is
                    taken for a blob that nobody has pushed
  --confirm         goes on also where so much is lost, damaged or unknown that a disk, or the database,
                    may be the wrong one: a run of --content where it has stopped because of that
  --stop            stops the run that is under way, and does nothing else`,
  help: `Exits with 0 when nothing is wrong, or all of it was repaired; else with 1.`,
  async run({ management, options, print }) {
    const { content = false, repair = false, confirm = false, stop = false } = options
    if (stop) {
      await management.request('DELETE', '/verify/runs/current')
      return EXIT_OK
    }
    return runAndPrint(management, { content, repair, confirm }, print)
  },
})

/** Looks quickly, and prints for people what was found. */
export function verifyAndPrint(
  management: Management,
  write: (text: string) => void,
): Promise<number> {
  const request = { content: false, repair: false, confirm: false }
  return runAndPrint(management, request, (_run, runText) => write(runText()))
}

async function runAndPrint(
  management: Management,
  request: VerifyRequest,
  print: (run: RunAnswer, runText: () => string) => void,
): Promise<number> {
  const { id } = await management.request<RunAnswer>('POST', '/verify/runs', request)
  const run = await awaitRun(management, id)
  const report = run.report as unknown as VerifyReport
  print(run, () => textOf(run, report))
  const isClean = report.findingCount === report.repairedCount
  return run.status === 'done' && isClean ? EXIT_OK : EXIT_FAILED
}

function textOf({ id, status }: RunAnswer, report: VerifyReport): string {
  const { findings, findingCount, repairedCount } = report
  const lines = findings.map(
    ({ kind, message, repaired }) => `${kind}: ${message}${repaired ? ' (repaired)' : ''}`,
  )
  if (findingCount > findings.length) lines.push(`… and ${findingCount - findings.length} more`)
  if (lines.length > 0) lines.push('')
  lines.push(summaryOf(report))
  if (status !== 'done')
    lines.push(`Run ${id} has not come to its end: ${report.message ?? status}`)
  else if (findingCount > repairedCount) {
    lines.push(`${findingCount} found, ${repairedCount} of them repaired.`)
  } else
    lines.push(findingCount === 0 ? 'Nothing is wrong.' : `${findingCount} found and repaired.`)
  return `${lines.join('\n')}\n`
}

function summaryOf({ checked }: VerifyReport): string {
  const { blobs, files, manifests, tags, hashedBlobs, hashedManifests } = checked
  const hashed = `; ${hashedBlobs} blobs and ${hashedManifests} manifests hashed`
  return `Looked at ${blobs} blobs, ${files} files, ${manifests} manifests and ${tags} tags${
    hashedBlobs + hashedManifests > 0 ? hashed : ''
  }.`
}
