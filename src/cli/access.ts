import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'

interface ExplainAnswer {
  readonly allowed: boolean
  readonly decidedBy: string
  readonly grants: readonly {
    readonly id: number
    readonly subject: string
    readonly pattern: string
    readonly actions: readonly string[]
  }[]
}

export const accessExplain: Command = managementCommand({
  name: 'access explain',
  summary: 'Tells whether somebody may do something with a repository, and what decides that.',
  operands: ['WHO', 'REPOSITORY', 'ACTION'],
  options: {},
  help: `  WHO               the name of a user or a robot, or anonymous
  ACTION            pull, create, overwrite, delete or admin`,
  async run({ management, operands: [account = '', repository = '', action = ''], print }) {
    const query = new URLSearchParams({ account, repository, action }).toString()
    const answer = await management.request<ExplainAnswer>('GET', `/access/explain?${query}`)
    print(answer, () => explanationText(answer))
  },
})

function explanationText({ allowed, decidedBy, grants }: ExplainAnswer): string {
  const lines = grants.map(
    ({ id, subject, pattern, actions }) =>
      `  grant ${id}: ${subject} has ${actions.join(', ')} on ${pattern}\n`,
  )
  const all = grants.length > 1 ? `All that allow it:\n${lines.join('')}` : ''
  return `${allowed ? 'Allowed' : 'Not allowed'}: ${decidedBy}.\n${all}`
}
