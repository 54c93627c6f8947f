import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { localTimeText, Table } from './tables.js'

interface KeysAnswer {
  readonly items: readonly {
    readonly id: string
    readonly createdAt: string
    readonly signs: boolean
    readonly validUntil?: string
  }[]
}

export const signingKeyList: Command = managementCommand({
  name: 'signing-key list',
  summary: 'Lists the keys that bearer tokens are signed with.',
  operands: [],
  options: {},
  async run({ management, print }) {
    const keys = await management.request<KeysAnswer>('GET', '/signing-keys')
    print(keys, () => tableOf(keys))
  },
})

export const signingKeyRotate: Command = managementCommand({
  name: 'signing-key rotate',
  summary: 'Has a new key sign bearer tokens.',
  operands: [],
  options: { 'revoke-others': { type: 'boolean' } },
  optionsUsage: '[--revoke-others]',
  optionsHelp: `  --revoke-others   what has been signed before is of no use at once; clients get new tokens`,
  async run({ management, options, print }) {
    const asked = { revokeOthers: options['revoke-others'] === true }
    const keys = await management.request<KeysAnswer>('POST', '/signing-keys', asked)
    print(keys, () => tableOf(keys))
  },
})

function tableOf({ items }: KeysAnswer): string {
  return new Table(['ID', 'CREATED', 'SIGNS', 'BELIEVED UNTIL']).textOf(
    items.map(({ id, createdAt, signs, validUntil }) => [
      id,
      localTimeText(createdAt),
      signs ? 'yes' : '',
      validUntil === undefined ? '' : localTimeText(validUntil),
    ]),
  )
}
