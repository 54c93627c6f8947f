import { describe, expect, it } from 'vitest'
import type {
  Accounts,
  GrantSubject,
  NewAccount,
  NewGrant,
  NewToken,
} from '../../src/metadata/accounts.js'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { Page, PageRequest } from '../../src/metadata/pages.js'
import { ABSENT } from '../support/images.js'
import { APP, AT, name, OTHER, putBlob, putImage } from '../support/records.js'

/** Somebody who describes what is described already. */
const byRoot = { identity: 'root', mayOverwrite: true }

const CHANGE = { identity: 'root', at: AT }

const UNKNOWN_ACCOUNT = { code: 'ACCOUNT_UNKNOWN' }
const UNKNOWN_GROUP = { code: 'GROUP_UNKNOWN' }
const CONFLICT = { code: 'CONFLICT' }

const user = (name: string): GrantSubject => ({ kind: 'user', name })
const group = (name: string): GrantSubject => ({ kind: 'group', name })

const day = 24 * 60 * 60 * 1000

async function add(
  accounts: Accounts,
  accountName: string,
  changes: Partial<NewAccount> = {},
): Promise<number> {
  await accounts.addAccount({
    ...CHANGE,
    kind: 'user',
    name: accountName,
    isAdmin: false,
    ...changes,
  })
  return (await accounts.findAccount(accountName))?.id ?? NaN
}

function token(id: string, changes: Partial<NewToken> = {}): NewToken {
  return {
    ...CHANGE,
    id,
    account: 'ada',
    kind: 'personal',
    secretHash: `hash of ${id}`,
    description: `token ${id}`,
    ...changes,
  }
}

function grant(changes: Partial<NewGrant> = {}): NewGrant {
  return { ...CHANGE, subject: user('ada'), pattern: 'team/**', actions: ['pull'], ...changes }
}

/** All of these are refused so. */
async function expectAll(calls: readonly Promise<unknown>[], refusal: object): Promise<void> {
  const reasons = (await Promise.allSettled(calls)).map((outcome) =>
    outcome.status === 'rejected' ? (outcome.reason as unknown) : outcome,
  )
  for (const reason of reasons) expect(reason).toMatchObject(refusal)
}

/** All pages of a list, one after another. */
async function walk<T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  keyOf: (entry: T) => string,
  limit: number,
): Promise<T[]> {
  const found: T[] = []
  let after: string | undefined
  for (;;) {
    const { entries, hasMore } = await list({ limit, ...(after !== undefined && { after }) })
    found.push(...entries)
    after = entries.map(keyOf).at(-1)
    if (!hasMore) return found
    expect(entries).toHaveLength(limit)
  }
}

/** What every MetadataStore promises of accounts. Each backend's test file calls this once. */
export function accountsContract(backend: string, open: () => Promise<MetadataStore>): void {
  const openAccounts = async () => (await open()).accounts

  describe(`accounts of MetadataStore on ${backend}`, () => {
    describe('accounts', () => {
      it('are there by name and by id', async () => {
        const accounts = await openAccounts()

        const id = await add(accounts, 'ada', { passwordHash: 'secret', isAdmin: true })
        await add(accounts, 'ci', { kind: 'robot', identity: 'ada' })

        const ada = await accounts.findAccount('ada')
        expect(ada).toEqual({
          id,
          kind: 'user',
          name: 'ada',
          passwordHash: 'secret',
          isAdmin: true,
          isDisabled: false,
          epoch: 0,
        })
        expect(await accounts.findAccountById(id)).toEqual(ada)
        expect(await accounts.findAccountRecord('ci')).toEqual({
          kind: 'robot',
          name: 'ci',
          isAdmin: false,
          hasPassword: false,
          createdAt: AT,
          createdBy: 'ada',
          groups: [],
        })
        expect(await accounts.findAccount('Ada')).toBeUndefined()
        expect(await accounts.findAccountRecord('Ada')).toBeUndefined()
        expect(await accounts.findAccountById(id + 100)).toBeUndefined()
      })

      it('have names that nobody else has, users and robots together', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')

        const again = add(accounts, 'ada', { kind: 'robot', passwordHash: 'other' })

        await expect(again).rejects.toMatchObject({ ...CONFLICT, details: [{ name: 'ada' }] })
        expect(await accounts.findAccount('ada')).toMatchObject({ kind: 'user' })
        expect(await accounts.findAccount('ada')).not.toHaveProperty('passwordHash')
      })

      it('have ids that are never given again', async () => {
        const accounts = await openAccounts()
        const first = await add(accounts, 'ada')

        await accounts.deleteAccount('ada')
        const second = await add(accounts, 'ada')

        expect(second).toBeGreaterThan(first)
        expect(await accounts.findAccountById(first)).toBeUndefined()
      })

      it('tell whether there are users: robots are none', async () => {
        const accounts = await openAccounts()
        const before = await accounts.hasUsers()
        await add(accounts, 'ci', { kind: 'robot' })
        const withRobot = await accounts.hasUsers()
        await add(accounts, 'ada')

        expect([before, withRobot, await accounts.hasUsers()]).toEqual([false, false, true])
      })

      it('tell whether an admin can log in: with a password or a token, and not when disabled', async () => {
        const accounts = await openAccounts()
        const seen: boolean[] = []
        const look = async () => void seen.push(await accounts.canAdminLogIn(AT))

        await add(accounts, 'ada', { passwordHash: 'h' })
        await look()
        await add(accounts, 'gwen', { isAdmin: true })
        await look()
        await accounts.changeAccount({ name: 'gwen', passwordHash: 'h', at: AT })
        await look()
        await accounts.changeAccount({ name: 'gwen', isDisabled: true, at: AT })
        await look()
        await add(accounts, 'zoe', { isAdmin: true })
        await accounts.addToken(token('refresh', { account: 'zoe', kind: 'refresh' }))
        await look()
        const scope = [{ pattern: '**', actions: ['pull'] }] as const
        await accounts.addToken(token('scoped', { account: 'zoe', scope }))
        await accounts.addToken(token('expired', { account: 'zoe', expiresAt: AT }))
        await look()
        await accounts.addToken(token('personal', { account: 'zoe', expiresAt: AT + 1 }))
        await look()
        await accounts.revokeToken('personal')
        await accounts.addToken(token('endless', { account: 'zoe' }))
        await look()

        expect(seen).toEqual([false, false, true, false, false, false, true, true])
      })

      it.each([1, 2, 100])('are listed by name, in pages of %i', async (limit) => {
        const accounts = await openAccounts()
        for (const text of ['zoe', 'ada', 'Bob']) await add(accounts, text)
        await add(accounts, 'ci', { kind: 'robot' })
        await accounts.addGroup('team', CHANGE)
        await accounts.addGroup('all', CHANGE)
        await accounts.addMember('team', 'ada')
        await accounts.addMember('all', 'ada')

        const all = await walk(
          (page) => accounts.listAccounts(page),
          ({ name }) => name,
          limit,
        )
        const robots = await accounts.listAccounts({ kind: 'robot', limit })
        const users = await walk(
          (page) => accounts.listAccounts({ kind: 'user', ...page }),
          ({ name }) => name,
          limit,
        )

        expect(all.map(({ name }) => name)).toEqual(['Bob', 'ada', 'ci', 'zoe'])
        expect(robots.entries.map(({ name }) => name)).toEqual(['ci'])
        expect(users.map(({ name }) => name)).toEqual(['Bob', 'ada', 'zoe'])
        expect(all[1]).toMatchObject({ groups: ['all', 'team'] })
      })

      it('are changed in what is given, and in nothing else', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada', { passwordHash: 'old' })

        await accounts.changeAccount({ name: 'ada', isAdmin: true, at: AT })
        const promoted = await accounts.findAccount('ada')
        await accounts.changeAccount({ name: 'ada', isDisabled: true, at: AT + 1 })
        await accounts.changeAccount({ name: 'ada', isDisabled: true, at: AT + 2 })
        const disabled = await accounts.findAccountRecord('ada')
        await accounts.changeAccount({ name: 'ada', isDisabled: false, at: AT + 3 })
        const enabled = await accounts.findAccount('ada')

        expect(promoted).toMatchObject({ isAdmin: true, passwordHash: 'old', epoch: 0 })
        expect(disabled).toMatchObject({ isAdmin: true, disabledAt: AT + 1, hasPassword: true })
        expect(enabled).toMatchObject({ isAdmin: true, isDisabled: false, passwordHash: 'old' })
      })

      it.each([
        ['a new password', { passwordHash: 'new' }],
        ['a lock', { isDisabled: true }],
      ])('lose what was let in before by %s', async (_, change) => {
        const accounts = await openAccounts()
        await add(accounts, 'ada', { passwordHash: 'old' })
        await add(accounts, 'bob')
        await accounts.addToken(token('personal'))
        await accounts.addToken(token('refresh', { kind: 'refresh' }))
        await accounts.addToken(token('other', { kind: 'refresh', account: 'bob' }))

        await accounts.changeAccount({ name: 'ada', at: AT, ...change })

        expect(await accounts.findAccount('ada')).toMatchObject({ epoch: 1 })
        expect(await accounts.findTokenById('refresh')).toBeUndefined()
        expect(await accounts.findTokenById('personal')).toBeDefined()
        expect(await accounts.findTokenById('other')).toBeDefined()
      })

      it('are known by their kind where that is asked for', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ci', { kind: 'robot' })

        const calls = [
          accounts.changeAccount({ name: 'ci', kind: 'user', isAdmin: true, at: AT }),
          accounts.deleteAccount('ci', 'user'),
        ]

        await expectAll(calls, { ...UNKNOWN_ACCOUNT, message: 'ci is a robot' })
        expect(await accounts.findAccount('ci')).toMatchObject({ isAdmin: false })
      })

      it('are refused by a name that nobody has', async () => {
        const accounts = await openAccounts()
        const calls = [
          accounts.changeAccount({ name: 'nobody', isAdmin: true, at: AT }),
          accounts.deleteAccount('nobody'),
          accounts.addToken(token('t', { account: 'nobody' })),
          accounts.listTokens({ account: 'nobody', kind: 'personal', limit: 1 }),
          accounts.putGrant(grant({ subject: user('nobody') })),
          accounts.listGrants({ subject: user('nobody'), limit: 1 }),
          accounts.putNamespace({
            ...CHANGE,
            name: 'team',
            owner: { kind: 'user', name: 'nobody' },
            defaultVisibility: 'private',
          }),
        ]

        await expectAll(calls, UNKNOWN_ACCOUNT)
      })

      it('take everything along that was theirs alone when they go', async () => {
        const accounts = await openAccounts()
        const id = await add(accounts, 'ada')
        await accounts.addGroup('team', CHANGE)
        await accounts.addMember('team', 'ada')
        await accounts.addToken(token('t'))
        await accounts.addToken(token('r', { kind: 'refresh' }))
        await accounts.putGrant(grant())
        await accounts.putGrant(grant({ subject: group('team') }))
        const owner = { kind: 'user', name: 'ada' } as const
        await accounts.putNamespace({ ...CHANGE, name: 'a', owner, defaultVisibility: 'public' })

        await accounts.deleteAccount('ada', 'user')
        await add(accounts, 'ada')

        const { entries } = await accounts.listGrants({ limit: 10 })
        expect(entries.map(({ subject }) => subject)).toEqual([group('team')])
        expect(await accounts.listMembers('team', { limit: 10 })).toMatchObject({ entries: [] })
        expect(await accounts.findToken('hash of t')).toBeUndefined()
        expect(await accounts.findToken('hash of r')).toBeUndefined()
        expect(await accounts.findNamespace('a')).toEqual({
          name: 'a',
          defaultVisibility: 'public',
          createdAt: AT,
          createdBy: 'root',
        })
        expect(await accounts.listRightsOf(id)).toEqual([])
      })

      it('have decoys: the password of some user, the same for the same name', async () => {
        const accounts = await openAccounts()
        expect(await accounts.findDecoyHash('nobody')).toBeUndefined()
        await add(accounts, 'ci', { kind: 'robot' })
        await add(accounts, 'ada', { passwordHash: 'of ada' })
        await add(accounts, 'bob')
        await add(accounts, 'mia', { passwordHash: 'of mia' })

        const names = ['a', 'ada', 'bee', 'mia', 'zoe', '']
        const hashes = await Promise.all(names.map((text) => accounts.findDecoyHash(text)))

        expect(hashes).toEqual(['of ada', 'of ada', 'of mia', 'of mia', 'of ada', 'of ada'])
      })
    })

    describe('imported users', () => {
      it('have the passwords that they had', async () => {
        const accounts = await openAccounts()

        await accounts.importUsers(
          [
            { name: 'ada', passwordHash: '$2y$a' },
            { name: 'bob', passwordHash: '$2y$b' },
          ],
          CHANGE,
        )

        expect(await accounts.findAccount('ada')).toMatchObject({
          kind: 'user',
          passwordHash: '$2y$a',
          isAdmin: false,
        })
        expect(await accounts.findAccount('bob')).toMatchObject({ passwordHash: '$2y$b' })
      })

      it('are all there or none, and those in the way are named', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'bob')
        await add(accounts, 'zoe', { kind: 'robot' })
        const users = ['ada', 'bob', 'mia', 'zoe'].map((text) => ({
          name: text,
          passwordHash: '$2y$x',
        }))

        const imported = accounts.importUsers(users, CHANGE)

        await expect(imported).rejects.toMatchObject({
          ...CONFLICT,
          message: 'there are users or robots called bob, zoe already',
          details: [{ name: 'bob' }, { name: 'zoe' }],
        })
        const { entries } = await accounts.listAccounts({ limit: 10 })
        expect(entries.map(({ name }) => name)).toEqual(['bob', 'zoe'])
      })

      it('may not be there twice', async () => {
        const accounts = await openAccounts()
        const ada = { name: 'ada', passwordHash: '$2y$x' }

        const imported = accounts.importUsers([ada, ada], CHANGE)

        await expect(imported).rejects.toMatchObject(CONFLICT)
        expect(await accounts.hasUsers()).toBe(false)
      })
    })

    describe('groups', () => {
      it('have members, who come and go', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await add(accounts, 'ci', { kind: 'robot' })
        await accounts.addGroup('team', CHANGE)

        const added = [
          await accounts.addMember('team', 'ci'),
          await accounts.addMember('team', 'ada'),
          await accounts.addMember('team', 'ada'),
        ]
        const members = await walk(
          (page) => accounts.listMembers('team', page),
          (member) => member,
          1,
        )
        const groups = await accounts.listGroups({ limit: 10 })
        const removed = [
          await accounts.removeMember('team', 'ada'),
          await accounts.removeMember('team', 'ada'),
        ]

        expect(added).toEqual([true, true, false])
        expect(members).toEqual(['ada', 'ci'])
        expect(groups.entries).toEqual([
          { name: 'team', memberCount: 2, createdAt: AT, createdBy: 'root' },
        ])
        expect(removed).toEqual([true, false])
        expect(await accounts.listMembers('team', { limit: 10 })).toEqual({
          entries: ['ci'],
          hasMore: false,
        })
      })

      it('may be called as an account is, and as no other group is', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'team')
        await accounts.addGroup('team', CHANGE)

        await expect(accounts.addGroup('team', CHANGE)).rejects.toMatchObject(CONFLICT)
      })

      it('take their grants along when they go', async () => {
        const accounts = await openAccounts()
        const id = await add(accounts, 'ada')
        await accounts.addGroup('team', CHANGE)
        await accounts.addMember('team', 'ada')
        await accounts.putGrant(grant({ subject: group('team') }))
        const owner = { kind: 'group', name: 'team' } as const
        await accounts.putNamespace({ ...CHANGE, name: 'a', owner, defaultVisibility: 'private' })

        await accounts.deleteGroup('team')
        await accounts.addGroup('team', CHANGE)

        expect(await accounts.listRightsOf(id)).toEqual([])
        expect(await accounts.findAccountRecord('ada')).toMatchObject({ groups: [] })
        expect(await accounts.findNamespace('a')).not.toHaveProperty('owner')
      })

      it('are listed by name, in pages', async () => {
        const accounts = await openAccounts()
        for (const text of ['c', 'a', 'b']) await accounts.addGroup(text, CHANGE)

        const all = await walk(
          (page) => accounts.listGroups(page),
          ({ name }) => name,
          2,
        )

        expect(all.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
      })

      it('are refused by a name that none has', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        const calls = [
          accounts.deleteGroup('none'),
          accounts.listMembers('none', { limit: 1 }),
          accounts.addMember('none', 'ada'),
          accounts.removeMember('none', 'ada'),
          accounts.putGrant(grant({ subject: group('none') })),
          accounts.listGrants({ subject: group('none'), limit: 1 }),
        ]

        await expectAll(calls, UNKNOWN_GROUP)
        await accounts.addGroup('team', CHANGE)
        await expectAll(
          [accounts.addMember('team', 'nobody'), accounts.removeMember('team', 'nobody')],
          UNKNOWN_ACCOUNT,
        )
      })
    })

    describe('tokens', () => {
      it('are found by the hash of what they are, and by id, with their account', async () => {
        const accounts = await openAccounts()
        const id = await add(accounts, 'ada', { passwordHash: 'x' })
        const scope = [{ pattern: 'team/**', actions: ['pull'] }] as const

        await accounts.addToken(token('t', { scope, expiresAt: AT + 5 }))
        await accounts.addToken(token('r', { kind: 'refresh' }))

        const account = await accounts.findAccountById(id)
        const found = await accounts.findToken('hash of t')
        expect(found).toEqual({
          id: 't',
          account,
          kind: 'personal',
          description: 'token t',
          scope,
          createdAt: AT,
          createdBy: 'root',
          expiresAt: AT + 5,
        })
        expect(await accounts.findTokenById('t')).toEqual(found)
        expect(await accounts.findToken('hash of r')).toMatchObject({ kind: 'refresh' })
        expect(await accounts.findToken('hash of R')).toBeUndefined()
        expect(await accounts.findTokenById('T')).toBeUndefined()
      })

      it('are found when they are over, and when their account is', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await accounts.addToken(token('t', { expiresAt: AT - 1 }))
        await accounts.changeAccount({ name: 'ada', isDisabled: true, at: AT })

        expect(await accounts.findToken('hash of t')).toMatchObject({
          expiresAt: AT - 1,
          account: { isDisabled: true },
        })
      })

      it.each([1, 2, 100])('are listed by kind and account, in pages of %i', async (limit) => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await add(accounts, 'bob')
        for (const id of ['c', 'a', 'b']) await accounts.addToken(token(id))
        await accounts.addToken(token('r', { kind: 'refresh' }))
        await accounts.addToken(token('o', { account: 'bob' }))

        const list = (query: { account?: string; kind: 'personal' | 'refresh' }) =>
          walk(
            (page) => accounts.listTokens({ ...query, ...page }),
            ({ id }) => id,
            limit,
          )
        const idsOf = (tokens: readonly { readonly id: string }[]) => tokens.map(({ id }) => id)

        expect(idsOf(await list({ kind: 'personal' }))).toEqual(['a', 'b', 'c', 'o'])
        expect(idsOf(await list({ account: 'ada', kind: 'personal' }))).toEqual(['a', 'b', 'c'])
        expect(idsOf(await list({ account: 'ada', kind: 'refresh' }))).toEqual(['r'])
        expect(await list({ account: 'bob', kind: 'personal' })).toEqual([
          {
            id: 'o',
            account: 'bob',
            kind: 'personal',
            description: 'token o',
            createdAt: AT,
            createdBy: 'root',
          },
        ])
      })

      it('are revoked alone', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await accounts.addToken(token('t'))
        await accounts.addToken(token('other', { kind: 'refresh' }))

        const revoked = [await accounts.revokeToken('t'), await accounts.revokeToken('t')]

        expect(revoked).toEqual([true, false])
        expect(await accounts.findTokenById('other')).toBeDefined()
      })

      it('are refused of an account that has changed since it was shown', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await accounts.changeAccount({ name: 'ada', passwordHash: 'new', at: AT })

        const late = accounts.addToken(token('r', { kind: 'refresh', epoch: 0 }))

        await expect(late).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
        await accounts.addToken(token('r', { kind: 'refresh', epoch: 1 }))
        expect(await accounts.findTokenById('r')).toBeDefined()
      })

      it('last longer by being used, where the use says so', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await accounts.addToken(token('r', { kind: 'refresh', expiresAt: AT + 5 }))

        await accounts.touchTokens([{ id: 'r', at: AT + 1, expiresAt: AT + 9 }])
        await accounts.touchTokens([{ id: 'r', at: AT + 2, expiresAt: AT + 7 }])

        expect(await accounts.findTokenById('r')).toMatchObject({ expiresAt: AT + 9 })
      })

      it('know when they were used last', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await accounts.addToken(token('t'))

        await accounts.touchTokens([
          { id: 't', at: AT + 5 },
          { id: 'gone', at: AT },
        ])
        await accounts.touchTokens([{ id: 't', at: AT + 1 }])

        expect(await accounts.findTokenById('t')).toMatchObject({ lastUsedAt: AT + 5 })
      })

      it('are no more than a hundred of docker login for each account, the last ones', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await add(accounts, 'bob')
        await accounts.addToken(token('personal', { at: AT - 9 }))
        await accounts.addToken(token('other', { kind: 'refresh', account: 'bob', at: AT - 9 }))
        for (let index = 0; index < 103; index++) {
          await accounts.addToken(token(`r${index}`, { kind: 'refresh', at: AT + index }))
        }
        // In the same millisecond as others, and yet the last.
        await accounts.addToken(token('a', { kind: 'refresh', at: AT + 102 }))

        const { entries } = await accounts.listTokens({
          account: 'ada',
          kind: 'refresh',
          limit: 1000,
        })

        expect(entries).toHaveLength(100)
        const ids = new Set(entries.map(({ id }) => id))
        expect(['r0', 'r3', 'r4', 'r102', 'a'].map((id) => ids.has(id))).toEqual([
          false,
          false,
          true,
          true,
          true,
        ])
        expect(await accounts.findTokenById('personal')).toBeDefined()
        expect(await accounts.findTokenById('other')).toBeDefined()
      })

      it('are forgotten when they have expired: refresh tokens at once, personal ones later', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await accounts.addToken(token('r', { kind: 'refresh', expiresAt: AT + 5 }))
        await accounts.addToken(token('p', { expiresAt: AT + 5 }))
        await accounts.addToken(token('forever'))
        const there = async () => {
          const found = ['r', 'p', 'forever'].map((id) => accounts.findTokenById(id))
          return (await Promise.all(found)).map((one) => one !== undefined)
        }

        await accounts.addToken(token('1', { at: AT + 5 }))
        const atTheEnd = await there()
        await accounts.addToken(token('2', { at: AT + 6 }))
        const after = await there()
        await accounts.addToken(token('3', { at: AT + 6 + 90 * day }))
        const muchLater = await there()

        expect(atTheEnd).toEqual([true, true, true])
        expect(after).toEqual([false, true, true])
        expect(muchLater).toEqual([false, false, true])
      })
    })

    describe('grants', () => {
      it('give a subject exactly these actions on a pattern', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')

        const first = await accounts.putGrant(grant({ actions: ['pull', 'delete'] }))
        const second = await accounts.putGrant(
          grant({ actions: ['overwrite'], at: AT + 1, identity: 'bob' }),
        )

        expect(first).toEqual({
          id: first.id,
          subject: user('ada'),
          pattern: 'team/**',
          actions: ['pull', 'delete'],
          createdAt: AT,
          createdBy: 'root',
        })
        expect(second).toEqual({
          ...first,
          actions: ['overwrite'],
          createdAt: AT + 1,
          createdBy: 'bob',
        })
        expect(await accounts.listGrants({ limit: 10 })).toEqual({
          entries: [second],
          hasMore: false,
        })
        expect(await accounts.findGrant(first.id)).toEqual(second)
      })

      it('are removed, and their ids are never given again', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        const { id } = await accounts.putGrant(grant())

        const removed = [await accounts.removeGrant(id), await accounts.removeGrant(id)]
        const next = await accounts.putGrant(grant())

        expect(removed).toEqual([true, false])
        expect(await accounts.findGrant(id)).toBeUndefined()
        expect(next.id).toBeGreaterThan(id)
      })

      it.each([1, 2, 100])('are listed by id, of each subject, in pages of %i', async (limit) => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        await add(accounts, 'ci', { kind: 'robot' })
        await accounts.addGroup('ada', CHANGE)
        const robot: GrantSubject = { kind: 'robot', name: 'ci' }
        const subjects: GrantSubject[] = [
          user('ada'),
          group('ada'),
          robot,
          { kind: 'signed-in' },
          { kind: 'anonymous' },
        ]
        for (const pattern of ['c', 'a', 'b']) {
          for (const subject of subjects) await accounts.putGrant(grant({ subject, pattern }))
        }
        const list = async (subject?: GrantSubject) => {
          const found: GrantSubject[] = []
          let after = 0
          for (;;) {
            const query = { after, limit, ...(subject && { subject }) }
            const { entries, hasMore } = await accounts.listGrants(query)
            found.push(...entries.map((entry) => entry.subject))
            after = entries.at(-1)?.id ?? after
            if (!hasMore) return found
          }
        }

        expect(await list()).toEqual([...subjects, ...subjects, ...subjects])
        for (const subject of subjects) {
          expect(await list(subject)).toEqual([subject, subject, subject])
        }
      })

      it('are not given to a robot by the name of a user', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ci', { kind: 'robot' })

        const put = accounts.putGrant(grant({ subject: user('ci') }))

        await expect(put).rejects.toMatchObject({ ...UNKNOWN_ACCOUNT, message: 'ci is a robot' })
        expect(await accounts.listGrants({ limit: 10 })).toMatchObject({ entries: [] })
      })

      it('are the rights of an account with those of its groups and of everybody', async () => {
        const accounts = await openAccounts()
        const ada = await add(accounts, 'ada')
        const bob = await add(accounts, 'bob')
        for (const text of ['team', 'others']) await accounts.addGroup(text, CHANGE)
        await accounts.addMember('team', 'ada')
        await accounts.addMember('others', 'bob')
        const own = await accounts.putGrant(grant())
        const ofTeam = await accounts.putGrant(grant({ subject: group('team') }))
        const ofOthers = await accounts.putGrant(grant({ subject: group('others') }))
        const signedIn = await accounts.putGrant(grant({ subject: { kind: 'signed-in' } }))
        const anonymous = await accounts.putGrant(grant({ subject: { kind: 'anonymous' } }))
        const owners = { a: user('ada'), t: group('team'), o: group('others') }
        for (const [text, owner] of Object.entries(owners)) {
          await accounts.putNamespace({
            ...CHANGE,
            name: text,
            owner: owner as { kind: 'user' | 'group'; name: string },
            defaultVisibility: 'private',
          })
        }
        const held = async (id: number | undefined) => {
          const rights = await accounts.listRightsOf(id)
          return new Set(rights.map((right) => (right.kind === 'grant' ? right.id : right.name)))
        }

        expect(await held(ada)).toEqual(
          new Set([own.id, ofTeam.id, signedIn.id, anonymous.id, 'a', 't']),
        )
        expect(await held(bob)).toEqual(new Set([ofOthers.id, signedIn.id, anonymous.id, 'o']))
        expect(await held(undefined)).toEqual(new Set([anonymous.id]))
        expect(await accounts.listRightsOf(undefined)).toEqual([
          {
            kind: 'grant',
            id: anonymous.id,
            subject: { kind: 'anonymous' },
            pattern: 'team/**',
            actions: ['pull'],
          },
        ])
        expect(await accounts.listRightsOf(ada)).toContainEqual({
          kind: 'namespace',
          name: 't',
          owner: group('team'),
        })
      })
    })

    describe('namespaces', () => {
      it('are made, changed and removed', async () => {
        const accounts = await openAccounts()
        await add(accounts, 'ada')
        const owner = { kind: 'user', name: 'ada' } as const

        await accounts.putNamespace({ ...CHANGE, name: 'a', owner, defaultVisibility: 'public' })
        const made = await accounts.findNamespace('a')
        await accounts.putNamespace({
          ...{ name: 'a', defaultVisibility: 'private' },
          ...{ identity: 'bob', at: AT + 1 },
        })
        const changed = await accounts.findNamespace('a')
        const removed = [await accounts.removeNamespace('a'), await accounts.removeNamespace('a')]

        const fixed = { name: 'a', createdAt: AT, createdBy: 'root' }
        expect(made).toEqual({ ...fixed, owner, defaultVisibility: 'public' })
        expect(changed).toEqual({ ...fixed, defaultVisibility: 'private' })
        expect(removed).toEqual([true, false])
        expect(await accounts.findNamespace('a')).toBeUndefined()
      })

      it('are listed by name, in pages', async () => {
        const accounts = await openAccounts()
        for (const text of ['c', 'a', 'b']) {
          await accounts.putNamespace({ ...CHANGE, name: text, defaultVisibility: 'private' })
        }

        const all = await walk(
          (page) => accounts.listNamespaces(page),
          ({ name }) => name,
          2,
        )

        expect(all.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
      })
    })

    describe('the access version', () => {
      const owner = { kind: 'group', name: 'team' } as const
      const namespace = { ...CHANGE, name: 'team', owner, defaultVisibility: 'public' } as const

      /** Each grows it when it is done in this order. */
      const changes: readonly [string, (store: MetadataStore) => Promise<unknown>][] = [
        ['a new account', ({ accounts }) => add(accounts, 'mia')],
        [
          'an import',
          ({ accounts }) => accounts.importUsers([{ name: 'eve', passwordHash: 'x' }], CHANGE),
        ],
        ['a password', ({ accounts }) => changed(accounts, { passwordHash: 'x' })],
        ['the admin flag', ({ accounts }) => changed(accounts, { isAdmin: true })],
        ['a lock', ({ accounts }) => changed(accounts, { isDisabled: true })],
        ['the end of a lock', ({ accounts }) => changed(accounts, { isDisabled: false })],
        ['a member', ({ accounts }) => accounts.addMember('team', 'ada')],
        ['a member less', ({ accounts }) => accounts.removeMember('team', 'ada')],
        ['a revoked token', ({ accounts }) => accounts.revokeToken('t')],
        ['a grant', ({ accounts }) => accounts.putGrant(grant())],
        ['another grant', ({ accounts }) => accounts.putGrant(grant({ actions: ['admin'] }))],
        ['a namespace', ({ accounts }) => accounts.putNamespace(namespace)],
        [
          'a namespace of nobody',
          ({ accounts }) =>
            accounts.putNamespace({ ...CHANGE, name: 'team', defaultVisibility: 'public' }),
        ],
        ['a namespace less', ({ accounts }) => accounts.removeNamespace('team')],
        ['a group less', ({ accounts }) => accounts.deleteGroup('team')],
        ['an account less', ({ accounts }) => accounts.deleteAccount('mia')],
        [
          'a signing key',
          ({ accounts }) =>
            accounts.addSigningKey({
              id: 'k',
              privateKey: '{}',
              at: AT,
              othersUntil: AT,
              forgottenUntil: 0,
            }),
        ],
      ]

      function changed(accounts: Accounts, change: object): Promise<void> {
        return accounts.changeAccount({ name: 'ada', at: AT, ...change })
      }

      it('grows with each change of what somebody may do', async () => {
        const store = await open()
        const { accounts } = store
        await add(accounts, 'ada')
        await accounts.addGroup('team', CHANGE)
        await accounts.addMember('team', 'ada')
        await accounts.removeMember('team', 'ada')
        await accounts.putGrant(grant({ subject: group('team') }))
        await accounts.addToken(token('t'))

        for (const [what, change] of changes) {
          const before = await accounts.getAccessVersion()
          await change(store)
          expect(await accounts.getAccessVersion(), what).toBeGreaterThan(before)
        }
      })

      it('stays where nothing has changed for anybody', async () => {
        const store = await open()
        const { accounts } = store
        await add(accounts, 'ada')
        await accounts.addGroup('team', CHANGE)
        await accounts.addMember('team', 'ada')
        await accounts.addToken(token('t'))
        await store.describeRepository({
          ...{ repository: APP, description: 'x', at: AT },
          ...byRoot,
        })
        const before = await accounts.getAccessVersion()

        await accounts.touchTokens([{ id: 't', at: AT }])
        await accounts.addToken(token('r', { kind: 'refresh', expiresAt: AT + 1 }))
        await accounts.addToken(token('s', { kind: 'refresh', at: AT + 2 }))
        await accounts.addMember('team', 'ada')
        await accounts.revokeToken('none')
        await accounts.removeGrant(1)
        await accounts.setVisibility(APP, 'private')
        await accounts
          .addAccount({ ...CHANGE, kind: 'user', name: 'ada', isAdmin: true })
          .catch(() => undefined)
        await putImage(store, '{"schemaVersion":2}', { repository: OTHER }).catch(() => undefined)
        await putBlob(store, 'bytes', { repository: OTHER })

        expect(await accounts.getAccessVersion()).toBe(before)
      })
    })

    describe('signing keys', () => {
      it('are the one that signs, and those before it for a while', async () => {
        const accounts = await openAccounts()
        const none = await accounts.listSigningKeys(AT)
        await accounts.addSigningKey({
          ...{ id: '1', privateKey: '{"a":1}' },
          ...{ at: AT, othersUntil: AT, forgottenUntil: AT },
        })
        await accounts.addSigningKey({
          ...{ id: '2', privateKey: '{"b":1}' },
          ...{ at: AT + 10, othersUntil: AT + 20, forgottenUntil: AT },
        })
        await accounts.addSigningKey({
          ...{ id: '3', privateKey: '{"c":1}' },
          ...{ at: AT + 15, othersUntil: AT + 30, forgottenUntil: AT },
        })
        const idsAt = async (at: number) =>
          (await accounts.listSigningKeys(at)).map(({ id }) => id).toSorted()

        expect(none).toEqual([])
        expect(await idsAt(AT + 15)).toEqual(['1', '2', '3'])
        expect(await idsAt(AT + 20)).toEqual(['2', '3'])
        expect(await idsAt(AT + 30)).toEqual(['3'])
        expect(await accounts.listSigningKeys(AT + 20)).toContainEqual({
          id: '2',
          privateKey: '{"b":1}',
          createdAt: AT + 10,
          validUntil: AT + 30,
        })
        await accounts.addSigningKey({
          ...{ id: '4', privateKey: '{}' },
          ...{ at: AT + 30, othersUntil: AT + 40, forgottenUntil: AT + 20 },
        })
        expect(await idsAt(AT)).toEqual(['2', '3', '4'])
        await accounts.addSigningKey({
          ...{ id: '5', privateKey: '{}' },
          ...{ at: AT + 35, forgottenUntil: AT },
        })
        expect(await idsAt(AT)).toEqual(['5'])
      })
    })

    describe('repositories that have a blob', () => {
      it('are listed in pages, without those that were deleted', async () => {
        const store = await open()
        const names = ['a', 'b', 'c', 'd', 'e'].map(name)
        let digest = ABSENT
        for (const repository of names) {
          digest = await putBlob(store, 'shared', { repository })
        }
        for (const repository of [name('b'), name('c')]) {
          await store.deleteRepository({
            ...{ repository, identity: 'root', at: AT },
            tagRules: { immutable: [], protected: [] },
          })
        }

        const list = (page: PageRequest) => store.accounts.listBlobHolders(digest, page)

        for (const limit of [1, 2, 100]) {
          const found = await walk(list, (repository) => repository, limit)
          expect(found.toSorted()).toEqual(['a', 'd', 'e'])
        }
        expect(await store.accounts.listBlobHolders(ABSENT, { limit: 1 })).toEqual({
          entries: [],
          hasMore: false,
        })
      })
    })

    describe('repositories of a pattern', () => {
      it('are those of the catalog', async () => {
        const store = await open()
        for (const text of ['team/a', 'team/b', 'team/b/c', 'teams/a', 'x']) {
          await store.describeRepository({
            ...{ repository: name(text), description: 'x', at: AT },
            ...byRoot,
          })
        }
        await putBlob(store, 'x', { repository: name('team/hidden') })
        const list = (pattern: string, limit = 10) => store.accounts.listMatching(pattern, limit)

        expect(await list('team/*')).toEqual({ entries: ['team/a', 'team/b'], hasMore: false })
        expect(await list('team/**', 2)).toEqual({ entries: ['team/a', 'team/b'], hasMore: true })
        expect(await list('**/a')).toMatchObject({ entries: ['team/a', 'teams/a'] })
        expect(await list('x')).toEqual({ entries: ['x'], hasMore: false })
        expect(await list('team')).toEqual({ entries: [], hasMore: false })
        expect(await list('team/hidden')).toMatchObject({ entries: [] })
      })
    })
  })
}
