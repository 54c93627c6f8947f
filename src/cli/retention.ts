import { formatBytes } from '../byte-sizes.js'
import type { PageAnswer } from '../api/pages.js'
import type { RetentionOutlook, RetentionReport } from '../gc/retention.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { awaitRun, type RunAnswer } from './runs.js'
import { countText, localTimeText, Table } from './tables.js'
import { EXIT_OK } from './usage.js'

interface CandidateAnswer {
  readonly repository: string
  readonly tag: string
  readonly digest: string
  readonly movedAt: string
  readonly pulledAt?: string
}

interface PreviewAnswer extends PageAnswer<CandidateAnswer> {
  readonly outlook?: RetentionOutlook
}

const pageLimit = 1000

export const retentionPreview: Command = managementCommand({
  name: 'retention preview',
  summary: 'Lists the tags that the retention rules would delete now.',
  operands: [],
  options: {},
  help: 'With --json each page of a thousand is a document; the first has the outlook.',
  async run({ management, print, isHeard }) {
    let outlook: RetentionOutlook | undefined
    let cursor: string | undefined
    do {
      const asked = { limit: pageLimit, ...(cursor !== undefined && { cursor }) }
      const page = await management.request<PreviewAnswer>('POST', '/retention/preview', asked)
      outlook ??= page.outlook
      cursor = page.nextCursor
      const isLast = cursor === undefined
      print(
        page,
        () => candidatesText(page.items) + (isLast && outlook ? outlookText(outlook) : ''),
      )
    } while (cursor !== undefined && isHeard())
  },
})

export const retentionRun: Command = managementCommand({
  name: 'retention run',
  summary: 'Deletes the tags that the retention rules do not keep.',
  operands: [],
  options: { confirm: { type: 'boolean' } },
  optionsUsage: '[--confirm]',
  optionsHelp: '  --confirm         goes on where the brake (gc.brakePercent) would stop it',
  help: `What goes can be brought back for undo.days: berth restore REPO:TAG.
Exits with 1 when the brake has stopped the run. berth runs --kind retention lists those before.`,
  async run({ management, options, print }) {
    const asked = { confirm: options.confirm === true }
    const { id } = await management.request<RunAnswer>('POST', '/retention/runs', asked)
    const run = await awaitRun(management, id)
    const report = run.report as unknown as RetentionReport
    print(run, () => reportText(report))
    if (run.status === 'done') return EXIT_OK
    throw new Error(report.message ?? `the run is ${run.status}`)
  },
})

function candidatesText(items: readonly CandidateAnswer[]): string {
  if (items.length === 0) return ''
  return new Table(['REPOSITORY', 'TAG', 'MOVED', 'PULLED', 'DIGEST']).textOf(
    items.map(({ repository, tag, movedAt, pulledAt, digest }) => [
      repository,
      tag,
      localTimeText(movedAt),
      pulledAt === undefined ? 'never' : localTimeText(pulledAt),
      digest,
    ]),
  )
}

function outlookText({ tags, manifests, bytes, brake }: RetentionOutlook): string {
  if (tags === 0) return 'Nothing would be deleted.\n'
  const freed =
    manifests === 0
      ? 'It would free nothing: what they point to is held by other tags, or kept without one.'
      : `${countText(manifests, 'manifest')} would have no tag; ${formatBytes(bytes)} are freed when they can not be brought back any more and gc.untagged lets them go.`
  const stop = brake === undefined ? '' : `A run stops here unless it has --confirm: ${brake}.\n`
  return `\n${countText(tags, 'tag')} would be deleted. ${freed}\n${stop}`
}

function reportText({ deletedTags, stayedTags }: RetentionReport): string {
  const stayed = stayedTags === 0 ? '' : ` ${stayedTags} stayed, as they had changed meanwhile.`
  return `Deleted ${countText(deletedTags, 'tag')}.${stayed}\n`
}
