import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { namedPath } from './references.js'
import { localTimeText, shortened } from './tables.js'
import { UsageError } from './usage.js'

interface ScopeAnswer {
  readonly pattern: string
  readonly actions: readonly string[]
}

interface TokenAnswer {
  readonly id: string
  readonly account: string
  readonly description: string
  readonly scope?: readonly ScopeAnswer[]
  readonly expiresAt?: string
  readonly isExpired: boolean
  readonly lastUsedAt?: string
}

/** What a line has room for. */
const descriptionLengthMax = 40

export const tokenCreate: Command = managementCommand({
  name: 'token create',
  summary: 'Makes a token for a user or a robot, and prints it this once.',
  operands: ['ACCOUNT'],
  options: {
    description: { type: 'string' },
    days: { type: 'string' },
    scope: { type: 'string', multiple: true },
  },
  optionsUsage: '--description TEXT [--days N] [--scope PATTERN=ACTIONS]…',
  optionsHelp: `  --description TEXT
                    what it is for
  --days N          how long it is good; 0: it does not expire
  --scope PATTERN=ACTIONS
                    no more than this of what its account may do: team/**=pull,create`,
  help: `It stands in place of a password, with the name of its account: docker login -u ACCOUNT. Standard output has the
token and nothing else. Without --days that of a user is good for 365 days, and that of a robot does not expire.`,
  async run({ management, operands: [account = ''], options, print, io }) {
    const { description, days, scope } = options
    if (description === undefined)
      throw new UsageError('--description TEXT is missing: what is it for?')
    const made = await management.request<TokenAnswer & { readonly token: string }>(
      'POST',
      '/tokens',
      {
        account,
        description,
        ...(days !== undefined && { days: parseDays(days) }),
        ...(scope !== undefined && { scope: scope.map(parseScope) }),
      },
    )
    io.stderr.write(`Token ${made.id} of ${account}, ${expiryText(made)}. It is shown this once:\n`)
    print(made, () => `${made.token}\n`)
  },
})

export const tokenList: Command = managementCommand({
  name: 'token list',
  summary: 'Lists tokens, without what they are.',
  operands: ['[ACCOUNT]'],
  options: { ...limitOption, logins: { type: 'boolean' } },
  optionsUsage: `[--logins] ${limitUsage}`,
  optionsHelp: `  --logins          what docker logins keep, in place of tokens that were made\n${limitHelp}`,
  async run(call) {
    const [account] = call.operands
    await printPages<TokenAnswer>(call, {
      path: '/tokens',
      query: { account, ...(call.options.logins && { kind: 'refresh' }) },
      limit: call.options.limit,
      titles: ['TOKEN', 'ACCOUNT', 'EXPIRES', 'USED', 'SCOPE', 'DESCRIPTION'],
      rowOf: (token) => [
        token.id,
        token.account,
        token.isExpired
          ? 'has expired'
          : token.expiresAt
            ? localTimeText(token.expiresAt)
            : 'never',
        token.lastUsedAt ? localTimeText(token.lastUsedAt) : 'never',
        token.scope?.map(scopeText).join(' ') ?? 'all',
        shortened(token.description, descriptionLengthMax),
      ],
    })
  },
})

export const tokenRevoke: Command = managementCommand({
  name: 'token revoke',
  summary: 'Revokes a token; it lets nobody in any more.',
  operands: ['ID'],
  options: {},
  help: 'ID is what berth token list calls it: not the token itself, which has no place on a command line.',
  async run({ management, operands: [id = ''], print }) {
    await management.request('DELETE', namedPath('tokens', id))
    print({}, () => `Revoked the token ${id}.\n`)
  },
})

function parseDays(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new UsageError('--days must be a number of days, or 0')
  return Number(text)
}

function parseScope(text: string): ScopeAnswer {
  const at = text.indexOf('=')
  if (at === -1) throw new UsageError(`${text} is not PATTERN=ACTIONS: write team/**=pull,create`)
  return { pattern: text.slice(0, at), actions: text.slice(at + 1).split(',') }
}

function scopeText({ pattern, actions }: ScopeAnswer): string {
  return `${pattern}=${actions.join(',')}`
}

function expiryText({ expiresAt }: TokenAnswer): string {
  return expiresAt === undefined
    ? 'which does not expire'
    : `good until ${localTimeText(expiresAt)}`
}
