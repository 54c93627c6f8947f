import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { namedPath } from './references.js'
import { localTimeText } from './tables.js'

interface RobotAnswer {
  readonly name: string
  readonly isDisabled: boolean
  readonly groups: readonly string[]
  readonly createdAt: string
}

export const robotAdd: Command = managementCommand({
  name: 'robot add',
  summary: 'Adds a robot: a program, which tokens let in.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    const robot = await management.request<RobotAnswer>('POST', '/robots', { name })
    print(
      robot,
      () =>
        `Added the robot ${robot.name}. A token lets it in:\n  berth token create ${robot.name} --description TEXT\n`,
    )
  },
})

export const robotList: Command = managementCommand({
  name: 'robot list',
  summary: 'Lists robots.',
  operands: [],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    await printPages<RobotAnswer>(call, {
      path: '/robots',
      limit: call.options.limit,
      titles: ['ROBOT', 'STATE', 'CREATED', 'GROUPS'],
      rowOf: ({ name, isDisabled, createdAt, groups }) => [
        name,
        isDisabled ? 'disabled' : 'enabled',
        localTimeText(createdAt),
        groups.join(', '),
      ],
    })
  },
})

export const robotDisable: Command = managementCommand({
  name: 'robot disable',
  summary: 'Lets a robot in no more; everything of it stays.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    const path = namedPath('robots', name)
    const robot = await management.request<RobotAnswer>('PATCH', path, { isDisabled: true })
    print(robot, () => `${robot.name} is disabled.\n`)
  },
})

export const robotEnable: Command = managementCommand({
  name: 'robot enable',
  summary: 'Lets a robot in again.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    const path = namedPath('robots', name)
    const robot = await management.request<RobotAnswer>('PATCH', path, { isDisabled: false })
    print(robot, () => `${robot.name} is enabled.\n`)
  },
})

export const robotDelete: Command = managementCommand({
  name: 'robot delete',
  summary: 'Deletes a robot, with its tokens, grants and memberships.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    await management.request('DELETE', namedPath('robots', name))
    print({}, () => `Deleted the robot ${name}.\n`)
  },
})
