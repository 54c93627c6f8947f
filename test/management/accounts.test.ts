import path from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { hashOfToken } from '../../src/auth/personal-tokens.js'
import { openForWriting } from '../../src/metadata/sqlite/connection.js'
import { answerOf, ask, problemOf, walkPages } from '../support/management.js'
import { sharedTestServer, startTestServer } from '../support/server.js'

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const now = () => AT
const AT_TEXT = '2026-01-02T03:04:05.678Z'

const PASSWORD = 'correct horse'
const BCRYPT = '$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC'

interface Named {
  readonly name: string
}

/** For what is refused: it has a user called ada, and nothing else. */
const shared = sharedTestServer({ now })
beforeAll(() => answerOf(shared.app, 'POST', '/users', { name: 'ada' }))

async function startWith(...users: readonly string[]): Promise<FastifyInstance> {
  const { app } = await startTestServer({ now })
  for (const name of users) await answerOf(app, 'POST', '/users', { name })
  return app
}

/** The database below a server, for what the API shows to nobody. */
function databaseIn(dataDirectory: string) {
  const connection = openForWriting(path.join(dataDirectory, 'berth.db'))
  onTestFinished(() => void connection.close())
  return connection
}

/** What is kept of somebody's password. */
function passwordHashOf(dataDirectory: string, name: string): unknown {
  const database = databaseIn(dataDirectory)
  return database.prepare('select password_hash from accounts where name = ?').pluck().get(name)
}

/** The sentence of a refusal, below its status. */
async function refusal(
  app: FastifyInstance,
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
) {
  const response = await ask(app, method, path, { body })
  const { status, code, detail } = problemOf(response)
  return { status, code, detail }
}

async function namesAt(app: FastifyInstance, path: string): Promise<string[]> {
  const { items } = await answerOf<{ items: Named[] }>(app, 'GET', path)
  return items.map(({ name }) => name)
}

describe('users', () => {
  it('are added, told of, listed and deleted', async () => {
    const app = await startWith()

    const added = await ask(app, 'POST', '/users', {
      body: { name: 'ada@example.org', password: PASSWORD, isAdmin: true },
    })
    await answerOf(app, 'POST', '/users', { name: 'Bob' })

    const ada = {
      name: 'ada@example.org',
      isAdmin: true,
      hasPassword: true,
      isDisabled: false,
      groups: [],
      createdAt: AT_TEXT,
      createdBy: 'operator',
    }
    expect(added.statusCode).toBe(201)
    expect(added.headers.location).toBe('/api/v1/users/ada%40example.org')
    expect(added.json()).toEqual(ada)
    expect(await answerOf(app, 'GET', '/users/ada%40example.org')).toEqual(ada)
    expect(await answerOf(app, 'GET', '/users/Bob')).toMatchObject({
      isAdmin: false,
      hasPassword: false,
    })
    expect(await namesAt(app, '/users')).toEqual(['Bob', 'ada@example.org'])

    const deleted = await ask(app, 'DELETE', '/users/Bob')
    expect([deleted.statusCode, deleted.body]).toEqual([204, ''])
    expect(await namesAt(app, '/users')).toEqual(['ada@example.org'])
  })

  it('are walked by cursors', async () => {
    const app = await startWith('c', 'a', 'b')
    await answerOf(app, 'POST', '/robots', { name: 'aa' })

    const { items, pages } = await walkPages<Named>(app, '/users', 2)

    expect(items.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(pages).toBe(2)
  })

  it('have a password that is kept as a hash, and shown nowhere', async () => {
    const { app, dataDirectory } = await startTestServer()

    const added = await ask(app, 'POST', '/users', { body: { name: 'ada', password: PASSWORD } })
    const first = passwordHashOf(dataDirectory, 'ada')
    await answerOf(app, 'PATCH', '/users/ada', { password: 'another one' })
    const second = passwordHashOf(dataDirectory, 'ada')

    expect(first).toMatch(/^\$argon2id\$/)
    expect(second).toMatch(/^\$argon2id\$/)
    expect(second).not.toBe(first)
    expect(added.body).not.toMatch(/argon|correct/)
  })

  it('are changed in what is given alone', async () => {
    const app = await startWith('ada')

    const promoted = await answerOf(app, 'PATCH', '/users/ada', { isAdmin: true })
    const disabled = await answerOf(app, 'PATCH', '/users/ada', { isDisabled: true })
    const enabled = await answerOf(app, 'PATCH', '/users/ada', { isDisabled: false })

    expect(promoted).toMatchObject({ isAdmin: true, isDisabled: false })
    expect(disabled).toMatchObject({ isAdmin: true, isDisabled: true, disabledAt: AT_TEXT })
    expect(enabled).toMatchObject({ isAdmin: true, isDisabled: false })
    expect(enabled).not.toHaveProperty('disabledAt')
  })

  it.each([
    ['', /the name of an account is 1 to 128/],
    ['a'.repeat(129), /the name of an account is 1 to 128/],
    ['-x', /begins with a letter or a digit/],
    ['a b', /the name of an account/],
    ['a/b', /the name of an account/],
    ['a:b', /the name of an account/],
    ['a\0', /the name of an account/],
    ['ä', /the name of an account/],
    ['anonymous', /no account can be called anonymous/],
    ['Operator', /no account can be called Operator/],
  ])('are not called %j', async (name, sentence) => {
    const { app } = shared

    const user = await refusal(app, 'POST', '/users', { name })
    const robot = await refusal(app, 'POST', '/robots', { name })

    const expected = {
      status: 400,
      code: 'REQUEST_INVALID',
      detail: expect.stringMatching(sentence) as string,
    }
    expect([user, robot]).toEqual([expected, expected])
    expect(await namesAt(app, '/users')).toEqual(['ada'])
    expect(await namesAt(app, '/robots')).toEqual([])
  })

  it.each([
    ['7 chars', /at least 8 bytes/],
    ['x'.repeat(1025), /at most 1024 bytes/],
    ['ü'.repeat(513), /at most 1024 bytes/],
    ['with\nline', /no control characters/],
    ['with\0nothing', /no control characters/],
    ['half \ud800 of it', /half of a character/],
    ['berth_secret', /does not begin with berth_/],
  ])('have no password such as %j', async (password, sentence) => {
    const { app } = shared

    const added = await refusal(app, 'POST', '/users', { name: 'bob', password })
    const changed = await refusal(app, 'PATCH', '/users/ada', { password })

    const expected = {
      status: 400,
      code: 'REQUEST_INVALID',
      detail: expect.stringMatching(sentence) as string,
    }
    expect([added, changed]).toEqual([expected, expected])
    expect(added.detail).not.toContain(password)
    expect(await answerOf(app, 'GET', '/users/ada')).toMatchObject({ hasPassword: false })
    expect(await namesAt(app, '/users')).toEqual(['ada'])
  })

  it('may have any other password', async () => {
    const app = await startWith()

    for (const [index, password] of ['8 bytes.', 'ü'.repeat(512), '💩💩', ' x: "\\ y '].entries()) {
      const body = { name: `user${index}`, password }
      expect((await ask(app, 'POST', '/users', { body })).statusCode).toBe(201)
    }
  })

  it('are refused where their name is taken, or is that of a robot, or of nobody', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'POST', '/robots', { name: 'ci' })

    expect(await refusal(app, 'POST', '/users', { name: 'ada' })).toMatchObject({ status: 409 })
    expect(await refusal(app, 'POST', '/users', { name: 'ci' })).toMatchObject({
      status: 409,
      detail: 'there is a user or a robot called ci already',
    })
    const robot = { status: 404, code: 'ACCOUNT_UNKNOWN', detail: 'ci is a robot' }
    expect(await refusal(app, 'GET', '/users/ci')).toEqual(robot)
    expect(await refusal(app, 'PATCH', '/users/ci', { isAdmin: true })).toEqual(robot)
    expect(await refusal(app, 'DELETE', '/users/ci')).toEqual(robot)
    const nobody = { status: 404, code: 'ACCOUNT_UNKNOWN', detail: 'there is no user of this name' }
    expect(await refusal(app, 'GET', '/users/nobody')).toEqual(nobody)
    expect(await refusal(app, 'PATCH', '/users/nobody', { password: PASSWORD })).toEqual(nobody)
    expect(await refusal(app, 'DELETE', '/users/nobody')).toEqual(nobody)
  })

  it.each([
    ['POST', '/users', { name: 'x', isRoot: true }],
    ['POST', '/users', { name: 1 }],
    ['POST', '/users', { name: 'x', password: null }],
    ['PATCH', '/users/ada', {}],
    ['PATCH', '/users/ada', { isAdmin: 'yes' }],
    ['PATCH', '/users/ada', { name: 'bob' }],
  ] as const)('are told by nothing but what is known: %s %s %j', async (method, path, body) => {
    const { app } = shared

    expect(await refusal(app, method, path, body)).toMatchObject({ code: 'REQUEST_INVALID' })
    expect(await answerOf(app, 'GET', '/users/ada')).toMatchObject({ isAdmin: false })
  })
})

describe('POST /api/v1/users/import', () => {
  const importing = (app: FastifyInstance, users: readonly object[]) =>
    ask(app, 'POST', '/users/import', { body: { users } })

  it('keeps the hashes as they are', async () => {
    const { app, dataDirectory } = await startTestServer()
    const argon = `$argon2id$v=19$m=19456,t=2,p=1$${'a'.repeat(22)}$${'b'.repeat(43)}`

    const response = await importing(app, [
      { name: 'ada', passwordHash: BCRYPT },
      { name: 'bob', passwordHash: argon },
    ])

    expect(response.statusCode).toBe(201)
    expect(response.json()).toEqual({ count: 2 })
    expect(passwordHashOf(dataDirectory, 'ada')).toBe(BCRYPT)
    expect(passwordHashOf(dataDirectory, 'bob')).toBe(argon)
  })

  it('takes what its description says that it takes, and nothing dearer', async () => {
    const app = await startWith()
    const bcrypt = (cost: number) => BCRYPT.replace('05', String(cost).padStart(2, '0'))
    const argon = (mib: number, passes: number, lanes: number) =>
      `$argon2id$v=19$m=${mib * 1024},t=${passes},p=${lanes}$${'a'.repeat(22)}$${'b'.repeat(43)}`
    const document = await answerOf<object>(app, 'GET', '/openapi.json')
    const text = JSON.stringify(document)
    const numbers = (pattern: RegExp) => (pattern.exec(text) ?? []).slice(1).map(Number)
    const [costMin = 0, costMax = 0] = numbers(/a cost of (\d+) to (\d+)/)
    const [mib = 0, passes = 0, lanes = 0] = numbers(/up to (\d+) MiB, (\d+) passes, (\d+) lanes/)
    const good = [bcrypt(costMin), bcrypt(costMax), argon(mib, passes, lanes)]
    const bad = [
      ...[bcrypt(costMin - 1), bcrypt(costMax + 1)],
      ...[argon(mib + 1, 1, 1), argon(mib, passes + 1, 1), argon(mib, 1, lanes + 1)],
    ]

    for (const [index, passwordHash] of [...good, ...bad].entries()) {
      const { statusCode } = await importing(app, [{ name: `user-${index}`, passwordHash }])
      expect({ passwordHash, statusCode }).toEqual({
        passwordHash,
        statusCode: index < good.length ? 201 : 400,
      })
    }
  })

  it('names all that it cannot use, and then adds nobody', async () => {
    const app = await startWith()

    const response = await importing(app, [
      { name: 'ada', passwordHash: BCRYPT },
      { name: 'bob', passwordHash: '$apr1$secret$secret' },
      { name: 'a b', passwordHash: BCRYPT },
      { name: 'ada', passwordHash: BCRYPT },
      { name: 'mia', passwordHash: '$2y$31$'.padEnd(60, 'a') },
    ])

    expect(problemOf(response)).toMatchObject({
      status: 400,
      detail:
        'users.1: the hash of bob is neither bcrypt nor argon2id, or too costly to check; users.2: this cannot be the name of a user; users.3: ada stands there twice; users.4: the hash of mia is neither bcrypt nor argon2id, or too costly to check',
      errors: [{ member: 'users.1' }, { member: 'users.2' }, { member: 'users.3' }, {}],
    })
    expect(response.body).not.toContain('secret')
    expect(await namesAt(app, '/users')).toEqual([])
  })

  it('names those who are there already, and then adds nobody', async () => {
    const app = await startWith('ada', 'bob')

    const users = ['ada', 'mia', 'bob'].map((name) => ({ name, passwordHash: BCRYPT }))
    const response = await importing(app, users)

    expect(problemOf(response)).toMatchObject({
      status: 409,
      detail: 'there are users or robots called ada, bob already',
      errors: [{ name: 'ada' }, { name: 'bob' }],
    })
    expect(await namesAt(app, '/users')).toEqual(['ada', 'bob'])
  })

  it('takes ten thousand at once, and not one more', async () => {
    const app = await startWith()
    const users = Array.from({ length: 10_001 }, (_, index) => ({
      name: `somebody.with.a.long.name.${index}@example.org`,
      passwordHash: BCRYPT,
    }))

    expect(problemOf(await importing(app, users))).toMatchObject({ status: 400 })
    const response = await importing(app, users.slice(1))

    expect(response.json()).toEqual({ count: 10_000 })
  })
})

describe('robots', () => {
  it('are added, told of, listed, disabled and deleted', async () => {
    const app = await startWith('ada')

    const added = await ask(app, 'POST', '/robots', { body: { name: 'ci' } })
    const disabled = await answerOf(app, 'PATCH', '/robots/ci', { isDisabled: true })

    const ci = {
      name: 'ci',
      isDisabled: false,
      groups: [],
      createdAt: AT_TEXT,
      createdBy: 'operator',
    }
    expect(added.statusCode).toBe(201)
    expect(added.json()).toEqual(ci)
    expect(disabled).toEqual({ ...ci, isDisabled: true, disabledAt: AT_TEXT })
    expect(await answerOf(app, 'GET', '/robots/ci')).toEqual(disabled)
    expect(await namesAt(app, '/robots')).toEqual(['ci'])
    expect(await refusal(app, 'DELETE', '/robots/ada')).toMatchObject({ detail: 'ada is a user' })
    expect(await refusal(app, 'GET', '/robots/ada')).toMatchObject({ status: 404 })
    expect((await ask(app, 'DELETE', '/robots/ci')).statusCode).toBe(204)
    expect(await refusal(app, 'DELETE', '/robots/ci')).toMatchObject({ status: 404 })
  })

  it('have no password', async () => {
    const { app } = shared

    const refused = await refusal(app, 'POST', '/robots', { name: 'ci', password: PASSWORD })

    expect(refused).toMatchObject({
      status: 400,
      detail: expect.stringContaining('password') as string,
    })
  })
})

describe('groups', () => {
  it('have members', async () => {
    const app = await startWith('ada', 'bob')
    const members = '/groups/team/members'

    const added = await ask(app, 'POST', '/groups', { body: { name: 'team' } })
    const joins = [
      await answerOf(app, 'PUT', `${members}/bob`),
      await answerOf(app, 'PUT', `${members}/ada`),
      await answerOf(app, 'PUT', `${members}/ada`),
    ]
    const walked = await walkPages<Named>(app, members, 1)
    const listed = await answerOf(app, 'GET', '/groups')
    const leaves = [
      await answerOf(app, 'DELETE', `${members}/bob`),
      await answerOf(app, 'DELETE', `${members}/bob`),
    ]

    expect([added.statusCode, added.json()]).toEqual([201, { name: 'team' }])
    expect(joins).toEqual([{ changed: true }, { changed: true }, { changed: false }])
    expect(walked.items).toEqual([{ name: 'ada' }, { name: 'bob' }])
    expect(listed).toEqual({
      items: [{ name: 'team', memberCount: 2, createdAt: AT_TEXT, createdBy: 'operator' }],
    })
    expect(leaves).toEqual([{ changed: true }, { changed: false }])
    expect(await answerOf(app, 'GET', '/users/ada')).toMatchObject({ groups: ['team'] })
    expect((await ask(app, 'DELETE', '/groups/team')).statusCode).toBe(204)
    expect(await answerOf(app, 'GET', '/users/ada')).toMatchObject({ groups: [] })
  })

  it('are refused where they are not, and where they are already', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'POST', '/groups', { name: 'team' })

    const missing = { status: 404, code: 'GROUP_UNKNOWN' }
    expect(await refusal(app, 'DELETE', '/groups/none')).toMatchObject(missing)
    expect(await refusal(app, 'GET', '/groups/none/members')).toMatchObject(missing)
    expect(await refusal(app, 'PUT', '/groups/none/members/ada')).toMatchObject(missing)
    expect(await refusal(app, 'PUT', '/groups/team/members/nobody')).toMatchObject({
      status: 404,
      code: 'ACCOUNT_UNKNOWN',
    })
    expect(await refusal(app, 'POST', '/groups', { name: 'team' })).toMatchObject({ status: 409 })
    expect(await refusal(app, 'POST', '/groups', { name: 'a b' })).toMatchObject({ status: 400 })
  })
})

interface TokenAnswer {
  readonly id: string
  readonly token: string
  readonly expiresAt?: string
}

describe('tokens', () => {
  const dayMs = 24 * 60 * 60 * 1000

  const create = (app: FastifyInstance, body: object) =>
    answerOf<TokenAnswer>(app, 'POST', '/tokens', { description: 'for a test', ...body })

  it('are shown once, and kept as their hash', async () => {
    const { app, dataDirectory } = await startTestServer({ now })
    await answerOf(app, 'POST', '/users', { name: 'ada' })
    const scope = [{ pattern: 'team/**', actions: ['delete', 'pull'] }]

    const response = await ask(app, 'POST', '/tokens', {
      body: { account: 'ada', description: 'laptop', scope, days: 7 },
    })

    const { token, ...shown } = response.json<TokenAnswer>()
    expect(response.statusCode).toBe(201)
    expect(response.headers['cache-control']).toBe('no-store')
    expect(token).toMatch(/^berth_[A-Za-z0-9]{43}$/)
    expect(shown).toEqual({
      id: shown.id,
      account: 'ada',
      kind: 'personal',
      description: 'laptop',
      scope: [{ pattern: 'team/**', actions: ['pull', 'delete'] }],
      createdAt: AT_TEXT,
      createdBy: 'operator',
      expiresAt: new Date(AT + 7 * dayMs).toISOString(),
      isExpired: false,
    })
    const listed = await ask(app, 'GET', '/tokens?account=ada')
    expect(listed.json()).toEqual({ items: [shown] })
    const kept = databaseIn(dataDirectory).prepare('select id, secret_hash from tokens').all()
    expect(kept).toEqual([{ id: shown.id, secret_hash: hashOfToken(token) }])
  })

  it('last a year for a user and for ever for a robot, unless it is said', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'POST', '/robots', { name: 'ci' })

    const ofUser = await create(app, { account: 'ada' })
    const forEver = await create(app, { account: 'ada', days: 0 })
    const ofRobot = await create(app, { account: 'ci' })
    const short = await create(app, { account: 'ci', days: 1 })

    expect(ofUser.expiresAt).toBe(new Date(AT + 365 * dayMs).toISOString())
    expect(forEver.expiresAt).toBeUndefined()
    expect(ofRobot.expiresAt).toBeUndefined()
    expect(short.expiresAt).toBe(new Date(AT + dayMs).toISOString())
  })

  it('are listed when they have expired, and as such', async () => {
    let at = AT
    const { app } = await startTestServer({ now: () => at })
    await answerOf(app, 'POST', '/users', { name: 'ada' })
    await create(app, { account: 'ada', days: 1 })

    at += dayMs

    expect(await answerOf(app, 'GET', '/tokens')).toMatchObject({ items: [{ isExpired: true }] })
  })

  it('are listed of everybody or one, in pages, docker logins apart', async () => {
    const { app, dataDirectory } = await startTestServer({ now })
    for (const name of ['ada', 'bob']) await answerOf(app, 'POST', '/users', { name })
    for (let count = 0; count < 3; count++) await create(app, { account: 'ada' })
    await create(app, { account: 'bob' })
    databaseIn(dataDirectory).exec(
      `insert into tokens (id, account_id, kind, secret_hash, description, created_at, created_by)
       values ('r', (select id from accounts where name = 'ada'), 'refresh', 'x', 'docker', 0, 'ada')`,
    )

    const all = await walkPages<TokenAnswer>(app, '/tokens', 3)
    const ofAda = await walkPages<TokenAnswer>(app, '/tokens?account=ada', 2)
    const logins = await walkPages<TokenAnswer>(app, '/tokens?account=ada&kind=refresh', 2)

    expect([all.items.length, all.pages]).toEqual([4, 2])
    expect([ofAda.items.length, ofAda.pages]).toEqual([3, 2])
    expect(logins.items.map(({ id }) => id)).toEqual(['r'])
    expect(await refusal(app, 'GET', '/tokens?account=nobody')).toMatchObject({ status: 404 })
  })

  it('are revoked by their id', async () => {
    const app = await startWith('ada')
    const { id, token } = await create(app, { account: 'ada' })

    const wrong = await refusal(app, 'DELETE', `/tokens/${token}`)
    const revoked = await ask(app, 'DELETE', `/tokens/${id}`)
    const again = await refusal(app, 'DELETE', `/tokens/${id}`)

    const unknown = { status: 404, code: 'TOKEN_UNKNOWN', detail: 'there is no token of this id' }
    expect(wrong).toEqual(unknown)
    expect(revoked.statusCode).toBe(204)
    expect(again).toEqual(unknown)
    expect(await answerOf(app, 'GET', '/tokens')).toEqual({ items: [] })
  })

  it('are not made for nobody, nor for somebody who is disabled', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'PATCH', '/users/ada', { isDisabled: true })
    const body = { description: 'x' }

    expect(await refusal(app, 'POST', '/tokens', { ...body, account: 'nobody' })).toMatchObject({
      code: 'ACCOUNT_UNKNOWN',
    })
    expect(await refusal(app, 'POST', '/tokens', { ...body, account: 'ada' })).toEqual({
      status: 409,
      code: 'CONFLICT',
      detail: 'ada is disabled: a token would let nobody in',
    })
    expect(await answerOf(app, 'GET', '/tokens')).toEqual({ items: [] })
  })

  it.each([
    [{ description: '' }],
    [{ days: -1 }],
    [{ days: 1.5 }],
    [{ days: 36_501 }],
    [{ scope: [] }],
    [{ scope: [{ pattern: 'team/**', actions: [] }] }],
    [{ scope: [{ pattern: 'team/**', actions: ['push'] }] }],
    [{ scope: [{ pattern: 'Team/**', actions: ['pull'] }] }],
    [{ scope: [{ pattern: '', actions: ['pull'] }] }],
  ])('are refused with %j', async (wrong) => {
    const { app } = shared

    const refused = await refusal(app, 'POST', '/tokens', {
      ...{ account: 'ada', description: 'x' },
      ...wrong,
    })

    expect(refused).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
    expect(await answerOf(app, 'GET', '/tokens')).toEqual({ items: [] })
  })
})

interface GrantAnswer {
  readonly id: number
  readonly subject: string
  readonly warnings: readonly string[]
}

describe('grants', () => {
  const put = (app: FastifyInstance, subject: string, pattern: string, actions: string[]) =>
    answerOf<GrantAnswer>(app, 'PUT', '/grants', { subject, pattern, actions })

  it('are given to every kind of subject, listed and taken away', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'POST', '/robots', { name: 'ci' })
    await answerOf(app, 'POST', '/groups', { name: 'ada' })
    await answerOf(app, 'PUT', '/repositories/team%2Fapp', { description: 'x' })
    const subjects = ['user:ada', 'robot:ci', 'group:ada', 'signed-in', 'anonymous']

    const given = []
    for (const subject of subjects) given.push(await put(app, subject, 'team/**', ['pull']))
    const { items, pages } = await walkPages<GrantAnswer>(app, '/grants', 2)
    const ofGroup = await walkPages<GrantAnswer>(app, '/grants?subject=group:ada', 2)

    const [first] = given
    expect(first).toEqual({
      id: first?.id,
      subject: 'user:ada',
      pattern: 'team/**',
      actions: ['pull'],
      createdAt: AT_TEXT,
      createdBy: 'operator',
      warnings: [],
    })
    expect(items.map(({ subject }) => subject)).toEqual(subjects)
    expect(pages).toBe(3)
    expect(ofGroup.items.map(({ subject }) => subject)).toEqual(['group:ada'])
    expect((await ask(app, 'DELETE', `/grants/${first?.id}`)).statusCode).toBe(204)
    expect(await refusal(app, 'DELETE', `/grants/${first?.id}`)).toMatchObject({
      status: 404,
      code: 'GRANT_UNKNOWN',
    })
  })

  it('take the place of the one before on the same pattern', async () => {
    const app = await startWith('ada')

    const first = await put(app, 'user:ada', 'team/*', ['pull'])
    const second = await put(app, 'user:ada', 'team/*', ['delete', 'create'])

    expect(second).toMatchObject({ id: first.id, actions: ['create', 'delete'] })
    expect(await walkPages(app, '/grants', 9)).toMatchObject({ items: [{ id: first.id }] })
  })

  it('are told what may be other than it was meant', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'PUT', '/repositories/team%2Fapp', { description: 'x' })
    const warningsOf = async (subject: string, pattern: string, actions: string[]) =>
      (await put(app, subject, pattern, actions)).warnings

    expect(await warningsOf('user:ada', 'team/*', ['admin'])).toEqual([])
    expect(await warningsOf('user:ada', 'team', ['pull'])).toEqual([
      'team matches no repository that is there now',
    ])
    expect(await warningsOf('anonymous', '**', ['pull', 'create'])).toEqual([
      '** is every repository there is, and every one that will be',
      'anonymous is everybody who can reach the registry: they have create without an account',
    ])
    expect(await warningsOf('anonymous', 'team/app', ['pull'])).toEqual([])
    expect(await warningsOf('signed-in', 'team/app', ['admin'])).toEqual([])
  })

  it.each([
    ['ada', 'a subject is user:NAME, robot:NAME, group:NAME, signed-in or anonymous'],
    ['users:ada', 'a subject is user:NAME, robot:NAME, group:NAME, signed-in or anonymous'],
    ['', 'a subject is user:NAME, robot:NAME, group:NAME, signed-in or anonymous'],
    ['user:', expect.stringMatching(/^the name of an account is/)],
    ['user:operator', expect.stringMatching(/^no account can be called operator/)],
    ['group:a b', expect.stringMatching(/^the name of a group is/)],
    ['robot:ada', 'ada is a user'],
    ['user:nobody', 'there is no user of this name'],
    ['robot:nobody', 'there is no robot of this name'],
    ['group:nobody', 'there is no group of this name'],
  ])('are given to nobody by the subject %j', async (subject, detail) => {
    const { app } = shared

    const refused = await refusal(app, 'PUT', '/grants', {
      subject,
      pattern: 'team/**',
      actions: ['pull'],
    })

    expect(refused.detail).toEqual(detail)
    expect(await answerOf(app, 'GET', '/grants')).toEqual({ items: [] })
  })

  it.each([
    ['Team/**', 'Team/** can match no repository: '],
    ['/team', '/team can match no repository: '],
    ['team/', 'team/ can match no repository: '],
    ['a//*', 'a//* can match no repository: '],
    ['', 'pattern of the body must match'],
    ['a b', 'pattern of the body must match'],
    ['ä/*', 'pattern of the body must match'],
  ])('are not given on the pattern %j', async (pattern, sentence) => {
    const { app } = shared

    const refused = await refusal(app, 'PUT', '/grants', {
      ...{ subject: 'user:ada', pattern, actions: ['pull'] },
    })

    expect(refused).toMatchObject({
      status: 400,
      detail: expect.stringContaining(sentence) as string,
    })
  })

  it.each([[[]], [['push']], [['pull', 'pull']], ['pull']])(
    'are not given for the actions %j',
    async (actions) => {
      const { app } = shared

      const body = { subject: 'user:ada', pattern: 'team/**', actions }

      expect(await refusal(app, 'PUT', '/grants', body)).toMatchObject({ status: 400 })
    },
  )

  it.each(['0', '-1', 'x', '1.5', '99999999999999999999'])(
    'are not taken away by the id %s',
    async (id) => {
      const { app } = shared

      const { status } = await refusal(app, 'DELETE', `/grants/${id}`)

      expect([400, 404]).toContain(status)
    },
  )
})

describe('namespaces', () => {
  it('are made, changed, listed and taken away', async () => {
    const app = await startWith('ada')
    await answerOf(app, 'POST', '/groups', { name: 'team' })

    const made = await answerOf(app, 'PUT', '/namespaces/mirror', { defaultVisibility: 'public' })
    const owned = await answerOf(app, 'PUT', '/namespaces/team', {
      owner: 'group:team',
      defaultVisibility: 'private',
    })
    const passed = await answerOf(app, 'PUT', '/namespaces/team', {
      owner: 'user:ada',
      defaultVisibility: 'public',
    })
    const { items } = await walkPages<Named>(app, '/namespaces', 1)

    const common = { createdAt: AT_TEXT, createdBy: 'operator' }
    expect(made).toEqual({ name: 'mirror', defaultVisibility: 'public', ...common })
    expect(owned).toMatchObject({ owner: 'group:team', defaultVisibility: 'private' })
    expect(passed).toMatchObject({ owner: 'user:ada', defaultVisibility: 'public' })
    expect(await answerOf(app, 'GET', '/namespaces/team')).toEqual(passed)
    expect(items.map(({ name }) => name)).toEqual(['mirror', 'team'])
    expect((await ask(app, 'DELETE', '/namespaces/team')).statusCode).toBe(204)
    const unknown = { status: 404, code: 'NAMESPACE_UNKNOWN' }
    expect(await refusal(app, 'GET', '/namespaces/team')).toMatchObject(unknown)
    expect(await refusal(app, 'DELETE', '/namespaces/team')).toMatchObject(unknown)
  })

  it('say what repositories in them are at first', async () => {
    const app = await startWith()
    await answerOf(app, 'PUT', '/namespaces/mirror', { defaultVisibility: 'public' })

    const inside = await answerOf(app, 'PUT', '/repositories/mirror%2Fx', { description: 'x' })
    const outside = await answerOf(app, 'PUT', '/repositories/team%2Fx', { description: 'x' })

    expect(inside).toMatchObject({ visibility: 'public' })
    expect(outside).toMatchObject({ visibility: 'private' })
  })

  it.each([
    ['Team', {}],
    ['a%2Fb', {}],
    ['team', { defaultVisibility: 'secret' }],
    ['team', { owner: 'robot:ci' }],
    ['team', { owner: 'anonymous' }],
    ['team', { owner: 'ada' }],
  ])('are not made as %s with %j', async (name, wrong) => {
    const { app } = shared

    const body = { defaultVisibility: 'private', ...wrong }

    expect(await refusal(app, 'PUT', `/namespaces/${name}`, body)).toMatchObject({ status: 400 })
    expect(await answerOf(app, 'GET', '/namespaces')).toEqual({ items: [] })
  })
})

describe('PUT /api/v1/repositories/{name}/visibility', () => {
  it('makes a repository public, or private', async () => {
    const app = await startWith()
    await answerOf(app, 'PUT', '/repositories/a%2Fb', { description: 'x' })
    const path = '/repositories/a%2Fb/visibility'

    const opened = await answerOf(app, 'PUT', path, { visibility: 'public' })
    const closed = await answerOf(app, 'PUT', path, { visibility: 'private' })

    expect(opened).toMatchObject({ name: 'a/b', visibility: 'public' })
    expect(closed).toMatchObject({ visibility: 'private' })
    expect(await refusal(app, 'PUT', path, { visibility: 'x' })).toMatchObject({ status: 400 })
    const none = '/repositories/none/visibility'
    expect(await refusal(app, 'PUT', none, { visibility: 'public' })).toMatchObject({
      code: 'NAME_UNKNOWN',
    })
  })
})

describe('GET /api/v1/access/explain', () => {
  const explain = (app: FastifyInstance, account: string, repository: string, action: string) =>
    answerOf(
      app,
      'GET',
      `/access/explain?account=${account}&repository=${encodeURIComponent(repository)}&action=${action}`,
    )

  it('tells what decides', async () => {
    const app = await startWith('ada', 'bob', 'root', 'gone')
    await answerOf(app, 'PATCH', '/users/root', { isAdmin: true })
    await answerOf(app, 'PATCH', '/users/gone', { isDisabled: true })
    await answerOf(app, 'POST', '/groups', { name: 'team' })
    await answerOf(app, 'PUT', '/groups/team/members/ada')
    const grant = { subject: 'group:team', pattern: 'team/**', actions: ['overwrite'] }
    const { id } = await answerOf<GrantAnswer>(app, 'PUT', '/grants', grant)
    const owned = { owner: 'user:bob', defaultVisibility: 'public' }
    await answerOf(app, 'PUT', '/namespaces/mirror', owned)

    expect(await explain(app, 'ada', 'team/app', 'create')).toEqual({
      allowed: true,
      decidedBy: `grant ${id}: group:team has overwrite on team/**`,
      grants: [{ id, ...grant }],
    })
    expect(await explain(app, 'ada', 'team/app', 'delete')).toEqual({
      allowed: false,
      decidedBy: 'nothing gives ada delete on team/app',
      grants: [],
    })
    expect(await explain(app, 'bob', 'team/app', 'pull')).toMatchObject({ allowed: false })
    expect(await explain(app, 'bob', 'mirror/x', 'admin')).toEqual({
      allowed: true,
      decidedBy: 'the namespace mirror is owned by user:bob',
      grants: [],
    })
    expect(await explain(app, 'anonymous', 'mirror/x', 'pull')).toMatchObject({
      allowed: true,
      decidedBy: 'mirror/x is public: everybody may pull from it',
    })
    expect(await explain(app, 'anonymous', 'mirror/x', 'create')).toMatchObject({
      allowed: false,
      decidedBy: 'nothing gives anonymous create on mirror/x',
    })
    expect(await explain(app, 'root', 'team/app', 'admin')).toMatchObject({
      allowed: true,
      decidedBy: 'root is an admin, who may do everything',
    })
    expect(await explain(app, 'gone', 'mirror/x', 'pull')).toMatchObject({
      allowed: false,
      decidedBy: 'gone is disabled',
    })
  })

  it('says that nobody deletes where that is switched off', async () => {
    const { app } = await startTestServer({ config: { deletes: { enabled: false } } })
    await answerOf(app, 'POST', '/users', { name: 'root', isAdmin: true })

    expect(await explain(app, 'root', 'team/app', 'delete')).toEqual({
      allowed: false,
      decidedBy: 'deleting is switched off on this registry (deletes.enabled)',
      grants: [],
    })
    expect(await explain(app, 'root', 'team/app', 'admin')).toMatchObject({ allowed: true })
    expect(await explain(app, 'anonymous', 'team/app', 'delete')).toMatchObject({
      decidedBy: 'nothing gives anonymous delete on team/app',
    })
  })

  it.each([
    ['account=nobody&repository=a&action=pull', 404],
    ['account=ada&repository=A&action=pull', 400],
    ['account=ada&repository=a&action=push', 400],
    ['account=ada&repository=a', 400],
  ])('refuses %s', async (query, status) => {
    const { app } = shared

    expect(await refusal(app, 'GET', `/access/explain?${query}`)).toMatchObject({ status })
  })
})

describe('what is about accounts', () => {
  it.each([
    ['GET', '/users'],
    ['POST', '/users'],
    ['GET', '/users/ada'],
    ['PATCH', '/users/ada'],
    ['DELETE', '/users/ada'],
    ['POST', '/users/import'],
    ['GET', '/robots'],
    ['GET', '/groups'],
    ['PUT', '/groups/team/members/ada'],
    ['GET', '/tokens'],
    ['POST', '/tokens'],
    ['GET', '/grants'],
    ['PUT', '/grants'],
    ['GET', '/namespaces'],
    ['PUT', '/repositories/a/visibility'],
    ['GET', '/access/explain?account=ada&repository=a&action=pull'],
  ] as const)('is not for everybody: %s %s', async (method, path) => {
    const { app } = shared

    const response = await ask(app, method, path, { token: null })

    expect(response.statusCode).toBe(403)
  })
})
