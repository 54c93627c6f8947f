import type { PageAnswer } from '../api/pages.js'
import type { Command } from './commands.js'
import { ProblemError, type Management } from './management-client.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { namedPath } from './references.js'
import { localTimeText } from './tables.js'
import { UsageError } from './usage.js'

interface NamespaceAnswer {
  readonly name: string
  readonly owner?: string
  readonly defaultVisibility: string
  readonly createdAt: string
}

export const namespaceSet: Command = managementCommand({
  name: 'namespace set',
  summary: 'Says whose the repositories of a namespace are, and what new ones are at first.',
  operands: ['NAME'],
  options: {
    owner: { type: 'string' },
    'no-owner': { type: 'boolean' },
    visibility: { type: 'string' },
  },
  optionsUsage: '[--owner SUBJECT | --no-owner] [--visibility public|private]',
  optionsHelp: `  --owner SUBJECT   user:NAME or group:NAME, who may do everything with them
  --no-owner        nobody owns it
  --visibility      public: everybody may pull from repositories that come to be in it`,
  help: 'NAME is the first part of the names of the repositories. What is not said stays as it is; a new namespace is private.',
  async run({ management, operands: [name = ''], options, print }) {
    const { owner, 'no-owner': isUnowned = false, visibility } = options
    if (isUnowned && owner !== undefined)
      throw new UsageError('--owner and --no-owner exclude each other')
    const path = namedPath('namespaces', name)
    const before = await find(management, path)
    const ownerThen = isUnowned ? undefined : (owner ?? before?.owner)
    const namespace = await management.request<NamespaceAnswer>('PUT', path, {
      defaultVisibility: visibility ?? before?.defaultVisibility ?? 'private',
      ...(ownerThen !== undefined && { owner: ownerThen }),
    })
    const warning = visibility === undefined ? '' : await warningOf(management, namespace)
    print(namespace, () => namespaceText(namespace) + warning)
  },
})

export const namespaceList: Command = managementCommand({
  name: 'namespace list',
  summary: 'Lists namespaces that were set.',
  operands: [],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    await printPages<NamespaceAnswer>(call, {
      path: '/namespaces',
      limit: call.options.limit,
      titles: ['NAMESPACE', 'OWNER', 'NEW ONES ARE', 'SINCE'],
      rowOf: ({ name, owner = 'nobody', defaultVisibility, createdAt }) => [
        name,
        owner,
        defaultVisibility,
        localTimeText(createdAt),
      ],
    })
  },
})

export const namespaceDelete: Command = managementCommand({
  name: 'namespace delete',
  summary: 'Takes away what was set of a namespace; its repositories stay as they are.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    await management.request('DELETE', namedPath('namespaces', name))
    print({}, () => `The namespace ${name} is nobody's, and its new repositories are private.\n`)
  },
})

async function find(management: Management, path: string): Promise<NamespaceAnswer | undefined> {
  try {
    return await management.request<NamespaceAnswer>('GET', path)
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'NAMESPACE_UNKNOWN')
      return undefined
    throw error
  }
}

function namespaceText({ name, owner = 'nobody', defaultVisibility }: NamespaceAnswer): string {
  return `${name} is owned by ${owner}; new repositories in it are ${defaultVisibility}.\n`
}

/** Who opens a namespace may think that this opens what is in it. The first thousand are looked at. */
async function warningOf(
  management: Management,
  { name, defaultVisibility }: NamespaceAnswer,
): Promise<string> {
  const parameters = new URLSearchParams({ prefix: `${name}/`, limit: '1000' })
  const { items } = await management.request<PageAnswer<{ name: string; visibility: string }>>(
    'GET',
    `/repositories?${parameters.toString()}`,
  )
  const other = items.find(({ visibility }) => visibility !== defaultVisibility)
  if (other === undefined) return ''
  return `Mind: those that are there stay as they are; ${other.name} is ${other.visibility}: berth repo visibility changes that.\n`
}
