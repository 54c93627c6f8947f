import { formatBytes } from '../byte-sizes.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { repositoryPath } from './references.js'
import { listText, localTimeText, shortened } from './tables.js'
import { UsageError } from './usage.js'

interface RepositoryAnswer {
  readonly name: string
  readonly createdAt: string
  readonly description: string
  readonly logicalBytes: number
  readonly listed: boolean
  readonly visibility: string
}

interface DeletedAnswer {
  readonly name: string
  readonly logicalBytes: number
  readonly deletedAt: string
  readonly deletedBy: string
  readonly goesAt: string
}

/** What a line has room for. */
const descriptionLengthMax = 60

export const repoList: Command = managementCommand({
  name: 'repo list',
  summary: 'Lists the repositories of the catalog, or those that were deleted.',
  operands: ['[PREFIX]'],
  options: { ...limitOption, deleted: { type: 'boolean' } },
  optionsUsage: `[--deleted] ${limitUsage}`,
  optionsHelp: `  --deleted         those that were deleted and can be brought back\n${limitHelp}`,
  help: 'With a PREFIX, only those whose name begins with it.',
  async run(call) {
    const [prefix] = call.operands
    const { deleted = false, limit } = call.options
    if (deleted) {
      if (prefix !== undefined) throw new UsageError('a PREFIX is not for --deleted')
      return printDeleted(call, limit)
    }
    await printPages<RepositoryAnswer>(call, {
      path: '/repositories',
      query: { prefix },
      limit,
      titles: ['REPOSITORY', 'SIZE', 'CREATED', 'DESCRIPTION'],
      rowOf: ({ name, logicalBytes, createdAt, description }) => [
        name,
        formatBytes(logicalBytes),
        localTimeText(createdAt),
        shortened(description, descriptionLengthMax),
      ],
    })
  },
})

function printDeleted(
  call: Parameters<typeof printPages>[0],
  limit: string | undefined,
): Promise<void> {
  return printPages<DeletedAnswer>(call, {
    path: '/deleted-repositories',
    limit,
    titles: ['REPOSITORY', 'SIZE', 'DELETED', 'BY', 'GOES'],
    rowOf: ({ name, logicalBytes, deletedAt, deletedBy, goesAt }) => [
      name,
      formatBytes(logicalBytes),
      localTimeText(deletedAt),
      deletedBy,
      localTimeText(goesAt),
    ],
  })
}

export const repoShow: Command = managementCommand({
  name: 'repo show',
  summary: 'Tells of one repository.',
  operands: ['REPOSITORY'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    const repository = await management.request<RepositoryAnswer>('GET', repositoryPath(name))
    print(repository, () => repositoryText(repository))
  },
})

export const repoDescribe: Command = managementCommand({
  name: 'repo describe',
  summary: 'Says what a repository is for, and makes it when it is not there.',
  operands: ['REPOSITORY', 'TEXT'],
  options: {},
  help: `With a description the catalog shows a repository even if it is empty. An empty TEXT ("") takes the
description away.`,
  async run({ management, operands: [name = '', description = ''], print }) {
    const path = repositoryPath(name)
    const repository = await management.request<RepositoryAnswer>('PUT', path, { description })
    print(repository, () => repositoryText(repository))
  },
})

export const repoVisibility: Command = managementCommand({
  name: 'repo visibility',
  summary: 'Makes a repository public, so that everybody may pull from it, or private.',
  operands: ['REPOSITORY', 'public|private'],
  options: {},
  async run({ management, operands: [name = '', visibility = ''], print }) {
    const path = `${repositoryPath(name)}/visibility`
    const repository = await management.request<RepositoryAnswer>('PUT', path, { visibility })
    print(repository, () => `${repository.name} is ${repository.visibility}.\n`)
  },
})

function repositoryText(repository: RepositoryAnswer): string {
  const { name, logicalBytes, createdAt, description, listed, visibility } = repository
  return listText([
    ['repository', name],
    ['description', description],
    ['size', formatBytes(logicalBytes)],
    ['created', localTimeText(createdAt)],
    ['visibility', visibility],
    ['in the catalog', listed ? 'yes' : 'no: it has neither a manifest nor a description'],
  ])
}
