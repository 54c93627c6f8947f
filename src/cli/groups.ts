import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { namedPath } from './references.js'
import { localTimeText } from './tables.js'

interface GroupAnswer {
  readonly name: string
  readonly memberCount: number
  readonly createdAt: string
}

interface ChangeAnswer {
  readonly changed: boolean
}

export const groupAdd: Command = managementCommand({
  name: 'group add',
  summary: 'Adds a group.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    const group = await management.request<{ name: string }>('POST', '/groups', { name })
    print(group, () => `Added the group ${group.name}.\n`)
  },
})

export const groupList: Command = managementCommand({
  name: 'group list',
  summary: 'Lists groups.',
  operands: [],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    await printPages<GroupAnswer>(call, {
      path: '/groups',
      limit: call.options.limit,
      titles: ['GROUP', 'MEMBERS', 'CREATED'],
      rowOf: ({ name, memberCount, createdAt }) => [
        name,
        String(memberCount),
        localTimeText(createdAt),
      ],
    })
  },
})

export const groupDelete: Command = managementCommand({
  name: 'group delete',
  summary: 'Deletes a group with its grants; its members stay.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    await management.request('DELETE', namedPath('groups', name))
    print({}, () => `Deleted the group ${name}.\n`)
  },
})

export const groupJoin: Command = managementCommand({
  name: 'group join',
  summary: 'Makes a user or a robot a member of a group.',
  operands: ['GROUP', 'ACCOUNT'],
  options: {},
  async run({ management, operands: [group = '', account = ''], print }) {
    const path = memberPath(group, account)
    const answer = await management.request<ChangeAnswer>('PUT', path)
    print(answer, () =>
      answer.changed ? `${account} is in ${group}.\n` : `${account} was in ${group} already.\n`,
    )
  },
})

export const groupLeave: Command = managementCommand({
  name: 'group leave',
  summary: 'Takes a user or a robot out of a group.',
  operands: ['GROUP', 'ACCOUNT'],
  options: {},
  async run({ management, operands: [group = '', account = ''], print }) {
    const path = memberPath(group, account)
    const answer = await management.request<ChangeAnswer>('DELETE', path)
    print(answer, () =>
      answer.changed ? `${account} has left ${group}.\n` : `${account} was not in ${group}.\n`,
    )
  },
})

export const groupMembers: Command = managementCommand({
  name: 'group members',
  summary: 'Lists the users and robots of a group.',
  operands: ['GROUP'],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    await printPages<{ readonly name: string }>(call, {
      path: `${namedPath('groups', call.operands[0] ?? '')}/members`,
      limit: call.options.limit,
      titles: ['MEMBER'],
      rowOf: ({ name }) => [name],
    })
  },
})

function memberPath(group: string, account: string): string {
  return namedPath('groups', group) + namedPath('members', account)
}
