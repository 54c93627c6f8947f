import { readFile } from 'node:fs/promises'
import type { Command } from './commands.js'
import { parseHtpasswd, type UnusableLine } from './htpasswd.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { passwordHelp, passwordOption, passwordUsage, readNewPassword } from './passwords.js'
import { namedPath } from './references.js'
import { countText, localTimeText } from './tables.js'
import { EXIT_FAILED, EXIT_OK, UsageError } from './usage.js'

interface UserAnswer {
  readonly name: string
  readonly isAdmin: boolean
  readonly hasPassword: boolean
  readonly isDisabled: boolean
  readonly groups: readonly string[]
  readonly createdAt: string
}

export const userAdd: Command = managementCommand({
  name: 'user add',
  summary: 'Adds a user; asks for the password.',
  operands: ['NAME'],
  options: {
    ...passwordOption,
    admin: { type: 'boolean' },
    'no-password': { type: 'boolean' },
  },
  optionsUsage: `[--admin] [--no-password] ${passwordUsage}`,
  optionsHelp: `  --admin           they may do everything
  --no-password     only tokens let them in
${passwordHelp}`,
  async run({ management, operands: [name = ''], options, print, io }) {
    const { admin: isAdmin = false, 'no-password': hasNone = false } = options
    const isFromInput = options['password-stdin'] ?? false
    if (hasNone && isFromInput)
      throw new UsageError('--no-password and --password-stdin exclude each other')
    const password = hasNone ? undefined : await readNewPassword(isFromInput, io)
    const user = await management.request<UserAnswer>('POST', '/users', {
      name,
      isAdmin,
      ...(password !== undefined && { password }),
    })
    print(user, () => `Added the ${user.isAdmin ? 'admin' : 'user'} ${user.name}.\n`)
  },
})

export const userList: Command = managementCommand({
  name: 'user list',
  summary: 'Lists users.',
  operands: [],
  options: limitOption,
  optionsUsage: limitUsage,
  optionsHelp: limitHelp,
  async run(call) {
    await printPages<UserAnswer>(call, {
      path: '/users',
      limit: call.options.limit,
      titles: ['USER', 'STATE', 'CREATED', 'GROUPS'],
      rowOf: (user) => [
        user.name,
        stateText(user),
        localTimeText(user.createdAt),
        user.groups.join(', '),
      ],
    })
  },
})

export const userPasswd: Command = managementCommand({
  name: 'user passwd',
  summary: 'Gives a user a new password, also one who is locked out.',
  operands: ['NAME'],
  options: passwordOption,
  optionsUsage: passwordUsage,
  optionsHelp: passwordHelp,
  help: 'What was logged in with the old password is out. Tokens that they have made stay: see berth token list NAME.',
  async run({ management, operands: [name = ''], options, print, io }) {
    const path = namedPath('users', name)
    // Before anybody types a password for nobody.
    await management.request('GET', path)
    const password = await readNewPassword(options['password-stdin'] ?? false, io)
    const user = await management.request<UserAnswer>('PATCH', path, { password })
    print(user, () => `${user.name} has a new password.${user.isDisabled ? ` ${DISABLED}` : ''}\n`)
  },
})

const DISABLED = 'They are disabled still: see berth user enable.'

export const userDisable: Command = managementCommand({
  name: 'user disable',
  summary: 'Lets a user in no more, until berth user enable.',
  operands: ['NAME'],
  options: {},
  help: 'Password, tokens, grants and groups stay. Logins that docker keeps are over for good.',
  async run({ management, operands: [name = ''], print }) {
    const path = namedPath('users', name)
    const user = await management.request<UserAnswer>('PATCH', path, { isDisabled: true })
    print(user, () => `${user.name} is disabled.\n`)
  },
})

export const userEnable: Command = managementCommand({
  name: 'user enable',
  summary: 'Lets a user in again.',
  operands: ['NAME'],
  options: {},
  async run({ management, operands: [name = ''], print }) {
    const path = namedPath('users', name)
    const user = await management.request<UserAnswer>('PATCH', path, { isDisabled: false })
    print(user, () => `${user.name} is enabled.\n`)
  },
})

export const userDelete: Command = managementCommand({
  name: 'user delete',
  summary: 'Deletes a user, with tokens, grants and memberships.',
  operands: ['NAME'],
  options: {},
  help: 'What they have pushed stays. Nothing brings them back; berth user disable keeps all of it but logins.',
  async run({ management, operands: [name = ''], print }) {
    await management.request('DELETE', namedPath('users', name))
    print({}, () => `Deleted the user ${name}.\n`)
  },
})

export const userImport: Command = managementCommand({
  name: 'user import',
  summary: 'Adds the users of an htpasswd file, with the passwords that they have.',
  operands: ['FILE'],
  options: { 'skip-unusable': { type: 'boolean' } },
  optionsUsage: '[--skip-unusable]',
  optionsHelp:
    '  --skip-unusable   leaves out lines that cannot be used; else nobody is added then',
  help: 'Passwords must be hashed with bcrypt (htpasswd -B) or argon2id. All users are added, or none.',
  async run({ management, operands: [file = ''], options, print, io }) {
    const { users, unusable } = parseHtpasswd(await readFile(file, 'utf8'))
    io.stderr.write(unusable.map((line) => unusableText(file, line)).join(''))
    if (unusable.length > 0 && !options['skip-unusable']) {
      io.stderr.write(
        'berth: nobody was added; --skip-unusable adds the others, and leaves these out\n',
      )
      return EXIT_FAILED
    }
    if (users.length === 0) throw new Error(`${file} has no users that could be added`)
    const answer = await management.request<{ count: number }>('POST', '/users/import', { users })
    print(answer, () => `Added ${countText(answer.count, 'user')}.\n`)
    return EXIT_OK
  },
})

function unusableText(file: string, { line, reason }: UnusableLine): string {
  return `berth: ${file}, line ${line}: ${reason}\n`
}

function stateText({ isDisabled, isAdmin, hasPassword }: UserAnswer): string {
  const states = [
    isDisabled && 'disabled',
    isAdmin && 'admin',
    !hasPassword && 'no password',
  ].filter((state) => state !== false)
  return states.length > 0 ? states.join(', ') : 'user'
}
