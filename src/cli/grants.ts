import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { namedPath } from './references.js'
import { localTimeText } from './tables.js'
import { UsageError } from './usage.js'

interface GrantAnswer {
  readonly id: number
  readonly subject: string
  readonly pattern: string
  readonly actions: readonly string[]
  readonly createdAt: string
  readonly createdBy: string
}

export const grantAdd: Command = managementCommand({
  name: 'grant add',
  summary: 'Gives somebody these actions, and no others, on a pattern of repositories.',
  operands: ['SUBJECT', 'PATTERN', 'ACTIONS'],
  options: {},
  help: `  SUBJECT           user:NAME, robot:NAME, group:NAME, signed-in (every account), anonymous (everybody)
  PATTERN           team/** below team at any depth, team/* right below it, or the name of one
  ACTIONS           with commas: pull, create (new tags), overwrite (move tags), delete, admin

overwrite has create in it, create and delete have pull, admin has all. Quote a PATTERN: a shell has its own stars.`,
  async run({ management, operands: [subject, pattern, actions = ''], print }) {
    const grant = await management.request<GrantAnswer & { readonly warnings: readonly string[] }>(
      'PUT',
      '/grants',
      { subject, pattern, actions: actions.split(',') },
    )
    print(grant, () => {
      const warnings = grant.warnings.map((warning) => `Mind: ${warning}.\n`).join('')
      return `Grant ${grant.id}: ${grant.subject} has ${grant.actions.join(', ')} on ${grant.pattern}.\n${warnings}`
    })
  },
})

export const grantList: Command = managementCommand({
  name: 'grant list',
  summary: 'Lists grants.',
  operands: ['[SUBJECT]'],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    const [subject] = call.operands
    await printPages<GrantAnswer>(call, {
      path: '/grants',
      query: { subject },
      limit: call.options.limit,
      titles: ['GRANT', 'SUBJECT', 'PATTERN', 'ACTIONS', 'GIVEN', 'BY'],
      rowOf: (grant) => [
        String(grant.id),
        grant.subject,
        grant.pattern,
        grant.actions.join(','),
        localTimeText(grant.createdAt),
        grant.createdBy,
      ],
    })
  },
})

export const grantRemove: Command = managementCommand({
  name: 'grant remove',
  summary: 'Takes a grant away.',
  operands: ['ID'],
  options: {},
  async run({ management, operands: [id = ''], print }) {
    if (!/^[1-9]\d{0,14}$/.test(id)) {
      throw new UsageError('ID must be the number of a grant: see berth grant list')
    }
    await management.request('DELETE', namedPath('grants', id))
    print({}, () => `Grant ${id} is gone.\n`)
  },
})
