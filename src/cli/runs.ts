import { setTimeout as wait } from 'node:timers/promises'
import type { RunKind, RunStatus } from '../metadata/runs.js'
import type { Command } from './commands.js'
import type { Management } from './management-client.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { localTimeText } from './tables.js'

/** A run as the API tells it. */
export interface RunAnswer {
  readonly id: number
  readonly kind: RunKind
  readonly status: RunStatus
  readonly startedAt: string
  readonly finishedAt?: string
  readonly startedBy: string
  readonly options: Readonly<Record<string, unknown>>
  readonly report: Readonly<Record<string, unknown>>
}

export const runs: Command = managementCommand({
  name: 'runs',
  summary: 'Lists runs of what cleans up, checks and copies, the latest first.',
  operands: [],
  options: { ...limitOption, kind: { type: 'string' } },
  optionsUsage: `[--kind KIND] ${limitUsage}`,
  optionsHelp: `  --kind KIND       only those of gc, retention, verify or backup\n${limitHelp}`,
  async run(call) {
    const { kind, limit } = call.options
    await printPages<RunAnswer>(call, {
      path: '/runs',
      query: { kind },
      limit,
      titles: ['ID', 'KIND', 'STATUS', 'STARTED', 'FINISHED', 'BY', 'MESSAGE'],
      rowOf: ({ id, kind, status, startedAt, finishedAt, startedBy, report }) => [
        String(id),
        kind,
        status,
        localTimeText(startedAt),
        finishedAt === undefined ? '' : localTimeText(finishedAt),
        startedBy,
        typeof report['message'] === 'string' ? report['message'] : '',
      ],
    })
  },
})

/** How long until a run is looked at again, at first and at last. */
const firstWaitMs = 50
const lastWaitMs = 1000

/** Waits until a run has ended, however it does; of a server, by asking again and again. */
export async function awaitRun(management: Management, id: number): Promise<RunAnswer> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, lastWaitMs)) {
    const run = await management.request<RunAnswer>('GET', `/runs/${id}`)
    if (run.status !== 'running') return run
    await wait(waitMs)
  }
}
