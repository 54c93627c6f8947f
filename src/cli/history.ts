import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { parseOptionalTag, repositoryPath } from './references.js'
import { localTimeText } from './tables.js'

interface HistoryAnswer {
  readonly id: number
  readonly action: string
  readonly tag?: string
  readonly from?: string
  readonly to?: string
  readonly at: string
  readonly by: string
}

export const history: Command = managementCommand({
  name: 'history',
  summary: 'Lists what has happened to a repository or a tag, the last first.',
  operands: ['REPOSITORY[:TAG]'],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    const { repository, tag } = parseOptionalTag(call.operands[0] ?? '')
    await printPages<HistoryAnswer>(call, {
      path: `${repositoryPath(repository)}/history`,
      query: { tag },
      limit: call.options.limit,
      titles: ['TIME', 'BY', 'WHAT', 'TAG', 'FROM', 'TO'],
      rowOf: ({ at, by, action, tag = '', from = '', to = '' }) => [
        // For berth restore: others may have come in the same second.
        localTimeText(at, { milliseconds: true }),
        by,
        action,
        tag,
        from,
        to,
      ],
    })
  },
})
