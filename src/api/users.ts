import type { FastifyInstance } from 'fastify'
import { isAccountName, parseAccountName } from '../auth/account-names.js'
import { requires } from '../auth/guard.js'
import { requireGoodPassword } from '../auth/new-passwords.js'
import { isPasswordHash, usableHashesText } from '../auth/passwords.js'
import { RegistryError } from '../errors.js'
import type { Accounts, ImportedUser } from '../metadata/accounts.js'
import { deleteAccount, getAccountRecord, userAnswer, userSchema } from './account-answers.js'
import { changeOf } from './changes.js'
import { deleteByName, getByName, listByName } from './named-routes.js'
import { namePath, type NamePath } from './parameters.js'
import { problems } from './problems.js'

interface AddRoute {
  Body: { readonly name: string; readonly password?: string; readonly isAdmin?: boolean }
}

interface ChangeRoute {
  Params: NamePath
  Body: {
    readonly password?: string
    readonly isAdmin?: boolean
    readonly isDisabled?: boolean
  }
}

interface ImportRoute {
  Body: { readonly users: readonly ImportedUser[] }
}

/** What makes hashes of passwords. */
export interface PasswordHasher {
  hash(password: string): Promise<string>
}

export interface UserRoutesOptions {
  readonly accounts: Accounts
  readonly passwords: PasswordHasher
  readonly now: () => number
}

const importedMax = 10_000

/** So many users with the longest names and hashes that people have. */
const importBytesMax = 4 * 1024 * 1024

export const passwordSchema = {
  type: 'string',
  description: 'At least 8 bytes of UTF-8 and at most 1024, without control characters.',
} as const

const isAdmin = { type: 'boolean', description: 'Whether they may do everything.' } as const

const userPath = namePath('The name of a user.')

/** Users: people, whom passwords and tokens let in. */
export async function userRoutes(
  app: FastifyInstance,
  { accounts, passwords, now }: UserRoutesOptions,
): Promise<void> {
  listByName(app, 'users', {
    operationId: 'listUsers',
    summary: 'Lists users, by name in byte order.',
    item: userSchema,
    answerOf: userAnswer,
    isName: isAccountName,
    list: (page) => accounts.listAccounts({ kind: 'user', ...page }),
  })

  getByName(app, 'users', {
    operationId: 'getUser',
    summary: 'Tells of one user.',
    params: userPath,
    item: userSchema,
    get: async (name) =>
      userAnswer(await getAccountRecord(accounts, 'user', parseAccountName(name))),
  })

  app.post<AddRoute>(
    '/users',
    {
      ...requires('admin'),
      schema: {
        operationId: 'addUser',
        summary: 'Adds a user.',
        description: 'Without a password only tokens let them in, until they get one.',
        tags: ['users'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: {
            name: {
              type: 'string',
              description:
                'Letters, digits and . _ @ + -, up to 128; the first one a letter or a digit. No robot has it either.',
            },
            password: passwordSchema,
            isAdmin,
          },
        },
        response: {
          201: { ...userSchema, description: 'They were added.' },
          ...problems(409, 507),
        },
      },
    },
    async (request, reply) => {
      const { name: text, password, isAdmin = false } = request.body
      const name = parseAccountName(text)
      const passwordHash = password === undefined ? undefined : await hashOf(passwords, password)

      await accounts.addAccount({
        ...changeOf(request, now),
        kind: 'user',
        name,
        isAdmin,
        ...(passwordHash !== undefined && { passwordHash }),
      })

      reply.code(201).header('Location', userUrl(name))
      return userAnswer(await getAccountRecord(accounts, 'user', name))
    },
  )

  app.patch<ChangeRoute>(
    '/users/:name',
    {
      ...requires('admin'),
      schema: {
        operationId: 'changeUser',
        summary: 'Changes what is given of a user.',
        description:
          'A new password, or being disabled, ends for good what docker logins keep. Personal tokens outlive both; of a disabled user they let nobody in until they are enabled.',
        tags: ['users'],
        params: userPath,
        body: {
          type: 'object',
          additionalProperties: false,
          minProperties: 1,
          properties: {
            password: passwordSchema,
            isAdmin,
            isDisabled: { type: 'boolean', description: 'Whether nothing lets them in.' },
          },
        },
        response: { 200: userSchema, ...problems(404, 507) },
      },
    },
    async ({ params, body: { password, isAdmin, isDisabled } }) => {
      const name = parseAccountName(params.name)
      // Nobody is kept waiting for a hash that is for nobody.
      await getAccountRecord(accounts, 'user', name)
      const passwordHash = password === undefined ? undefined : await hashOf(passwords, password)

      await accounts.changeAccount({
        name,
        kind: 'user',
        at: now(),
        ...(passwordHash !== undefined && { passwordHash }),
        ...(isAdmin !== undefined && { isAdmin }),
        ...(isDisabled !== undefined && { isDisabled }),
      })

      return userAnswer(await getAccountRecord(accounts, 'user', name))
    },
  )

  deleteByName(app, 'users', {
    operationId: 'deleteUser',
    summary: 'Deletes a user, with tokens, grants and memberships.',
    description:
      'What they have pushed stays, and so does their name in the history. Namespaces that they own have no owner then.',
    params: userPath,
    done: 'They are deleted.',
    remove: (name) => deleteAccount(accounts, 'user', parseAccountName(name)),
  })

  app.post<ImportRoute>(
    '/users/import',
    {
      ...requires('admin'),
      bodyLimit: importBytesMax,
      schema: {
        operationId: 'importUsers',
        summary: 'Adds users with the passwords that they have elsewhere: all of them, or none.',
        tags: ['users'],
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['users'],
          properties: {
            users: {
              type: 'array',
              minItems: 1,
              maxItems: importedMax,
              items: {
                type: 'object',
                additionalProperties: false,
                required: ['name', 'passwordHash'],
                properties: {
                  name: { type: 'string', description: 'As of a user that is added.' },
                  passwordHash: { type: 'string', description: usableHashesText },
                },
              },
            },
          },
        },
        response: {
          201: {
            type: 'object',
            description: 'They were added.',
            required: ['count'],
            properties: { count: { type: 'integer', description: 'How many there were.' } },
          },
          ...problems(409, 507),
        },
      },
    },
    async (request, reply) => {
      const { users } = request.body
      requireImportable(users)

      await accounts.importUsers(users, changeOf(request, now))

      return reply.code(201).send({ count: users.length })
    },
  )
}

/** @throws {@link RegistryError} `REQUEST_INVALID` for a password that nobody should have */
export async function hashOf(passwords: PasswordHasher, password: string): Promise<string> {
  requireGoodPassword(password)
  return passwords.hash(password)
}

/** Names stand in the message, hashes never. */
function requireImportable(users: readonly ImportedUser[]): void {
  const seen = new Set<string>()
  const mistakes: { readonly member: string; readonly detail: string }[] = []
  for (const [index, { name, passwordHash }] of users.entries()) {
    const detail = mistakeIn(name, passwordHash, seen)
    if (detail !== undefined) mistakes.push({ member: `users.${index}`, detail })
    seen.add(name)
  }
  if (mistakes.length === 0) return
  const told = mistakes.slice(0, mistakesToldMax)
  const more = mistakes.length > told.length ? `; and ${mistakes.length - told.length} more` : ''
  throw new RegistryError(
    'REQUEST_INVALID',
    told.map(({ member, detail }) => `${member}: ${detail}`).join('; ') + more,
    { details: told },
  )
}

/** A person reads them. */
const mistakesToldMax = 20

function mistakeIn(
  name: string,
  passwordHash: string,
  seen: ReadonlySet<string>,
): string | undefined {
  if (!isAccountName(name)) return 'this cannot be the name of a user'
  if (seen.has(name)) return `${name} stands there twice`
  if (!isPasswordHash(passwordHash)) {
    return `the hash of ${name} is neither bcrypt nor argon2id, or too costly to check`
  }
  return undefined
}

function userUrl(name: string): string {
  return `/api/v1/users/${encodeURIComponent(name)}`
}
