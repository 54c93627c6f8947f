import type { AccountKind, AccountRecord, Accounts } from '../metadata/accounts.js'
import { RegistryError } from '../errors.js'
import { someNames } from '../events/audit-details.js'
import { timeSchema, timeText } from './times.js'

const common = {
  name: { type: 'string' },
  isDisabled: { type: 'boolean', description: 'Whether nothing lets it in.' },
  disabledAt: timeSchema('Since when that is so; absent when it is not.'),
  groups: {
    type: 'array',
    items: { type: 'string' },
    description: 'The groups that it is a member of.',
  },
  createdAt: timeSchema('When it came to be.'),
  createdBy: { type: 'string', description: 'Who made it.' },
} as const

export const userSchema = {
  type: 'object',
  description: 'A user.',
  required: ['name', 'isAdmin', 'hasPassword', 'isDisabled', 'groups', 'createdAt', 'createdBy'],
  properties: {
    ...common,
    isAdmin: { type: 'boolean', description: 'Whether they may do everything.' },
    hasPassword: {
      type: 'boolean',
      description: 'Whether there is a password; without one only tokens let them in.',
    },
  },
} as const

export const robotSchema = {
  type: 'object',
  description: 'A robot: a program, which tokens let in.',
  required: ['name', 'isDisabled', 'groups', 'createdAt', 'createdBy'],
  properties: common,
} as const

export function userAnswer({ isAdmin, hasPassword, ...account }: AccountRecord) {
  return { ...robotAnswer(account), isAdmin, hasPassword }
}

export function robotAnswer(account: Omit<AccountRecord, 'isAdmin' | 'hasPassword'>) {
  const { name, disabledAt, groups, createdAt, createdBy } = account
  return {
    name,
    isDisabled: disabledAt !== undefined,
    ...(disabledAt !== undefined && { disabledAt: timeText(disabledAt) }),
    groups,
    createdAt: timeText(createdAt),
    createdBy,
  }
}

/** @throws {@link RegistryError} `ACCOUNT_UNKNOWN`, also when it is of the other kind */
export async function getAccountRecord(
  accounts: Accounts,
  kind: AccountKind,
  name: string,
): Promise<AccountRecord> {
  const found = await accounts.findAccountRecord(name)
  if (found?.kind === kind) return found
  const message = found ? `${name} is a ${found.kind}` : `there is no ${kind} of this name`
  throw new RegistryError('ACCOUNT_UNKNOWN', message, { details: [{ name }] })
}

/**
 * @returns what it was, for the audit trail
 * @throws {@link RegistryError} `ACCOUNT_UNKNOWN`, also when it is of the other kind
 */
export async function deleteAccount(accounts: Accounts, kind: AccountKind, name: string) {
  const { isAdmin, groups } = await getAccountRecord(accounts, kind, name)
  await accounts.deleteAccount(name, kind)
  return { ...(kind === 'user' && { isAdmin }), groups: someNames(groups) }
}
