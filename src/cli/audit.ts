import { timeText } from '../api/times.js'
import { firstMomentOf, lastMomentOf } from '../times.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { localTimeText, shortened } from './tables.js'
import { UsageError } from './usage.js'

interface EventAnswer {
  readonly at: string
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly repository?: string
  readonly address?: string
  readonly result: string
  readonly details: Readonly<Record<string, unknown>>
}

/** As much of the details as a line takes; --json has all of them. */
const detailsLengthMax = 100

export const audit: Command = managementCommand({
  name: 'audit',
  summary: 'Lists who did what, from where, with what result, the last first.',
  operands: [],
  options: {
    ...limitOption,
    actor: { type: 'string' },
    action: { type: 'string' },
    repository: { type: 'string' },
    result: { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
  },
  optionsUsage: `[--actor NAME] [--action ACTION] [--repository REPOSITORY] [--result RESULT] [--since TIME] [--until TIME] ${limitUsage}`,
  optionsHelp: `  --actor NAME      only what this one did; berth is the server by itself
  --action ACTION   only this: manifest.push, login, …; docs/audit.md has them all
  --repository REPOSITORY
                    only in this repository
  --result RESULT   only what was done, refused or failed
  --since TIME      only from then on: 2026-11-21, or 2026-11-21T18:30
  --until TIME      only up to then, that day or minute included
${limitHelp}`,
  async run(call) {
    const { actor, action, repository, result, since, until, limit } = call.options
    await printPages<EventAnswer>(call, {
      path: '/audit',
      query: {
        ...{ actor, action, repository, result },
        ...(since !== undefined && { since: timeText(parseTime(since, firstMomentOf)) }),
        // What happened in that millisecond is still meant.
        ...(until !== undefined && { until: timeText(parseTime(until, lastMomentOf) + 1) }),
      },
      limit,
      titles: ['TIME', 'ACTOR', 'FROM', 'ACTION', 'RESULT', 'REPOSITORY', 'TARGET', 'DETAILS'],
      rowOf: ({ at, actor, address = '', action, result, repository = '', target, details }) => [
        localTimeText(at),
        actor,
        address,
        action,
        result,
        repository,
        shortened(target, detailsLengthMax),
        detailsText(details),
      ],
    })
  },
})

function parseTime(text: string, momentOf: (text: string) => number | undefined): number {
  const time = momentOf(text)
  if (time === undefined) throw new UsageError(`${text} is not a time: write 2026-11-21T18:30`)
  return time
}

function detailsText(details: EventAnswer['details']): string {
  const texts = Object.entries(details).map(([name, value]) => {
    return `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  return shortened(texts.join(' '), detailsLengthMax)
}
