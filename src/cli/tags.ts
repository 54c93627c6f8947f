import type { Command } from './commands.js'
import { restorableText, type DeletionAnswer } from './deletions.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { parseTagOperand, repositoryPath, tagPath } from './references.js'
import { localTimeText } from './tables.js'

interface TagAnswer {
  readonly name: string
  readonly digest: string
  readonly updatedAt: string
  readonly updatedBy: string
  readonly pulledAt?: string
}

export const tagList: Command = managementCommand({
  name: 'tag list',
  summary: 'Lists the tags of a repository.',
  operands: ['REPOSITORY'],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    await printPages<TagAnswer>(call, {
      path: `${repositoryPath(call.operands[0] ?? '')}/tags`,
      limit: call.options.limit,
      titles: ['TAG', 'DIGEST', 'UPDATED', 'BY', 'PULLED'],
      rowOf: ({ name, digest, updatedAt, updatedBy, pulledAt }) => [
        name,
        digest,
        localTimeText(updatedAt),
        updatedBy,
        pulledAt === undefined ? '' : localTimeText(pulledAt),
      ],
    })
  },
})

export const tagDelete: Command = managementCommand({
  name: 'tag delete',
  summary: 'Deletes a tag, and nothing else.',
  operands: ['REPOSITORY:TAG'],
  options: {},
  async run({ management, operands: [operand = ''], print }) {
    const path = tagPath(parseTagOperand(operand))
    const deletion = await management.request<DeletionAnswer>('DELETE', path)
    print(deletion, () => `Deleted ${operand}.\n${restorableText(deletion)}`)
  },
})
