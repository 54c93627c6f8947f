import { once } from 'node:events'
import { mkdtemp, readFile, rename } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { fastify } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { AUDIT_ACTIONS } from '../../src/events/actions.js'
import { auditRequests } from '../../src/events/audit-requests.js'
import type { AuditLog, Noted } from '../../src/events/audit.js'
import { AUDITED_ROUTES } from '../../src/events/audited-routes.js'
import { BCRYPT_HASH, startWithAccounts } from '../support/accounts.js'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { prepareImage, pushBlob, pushImage, putManifest } from '../support/images.js'
import { answerOf, ask, operatorTokenIn, problemOf, walkPages } from '../support/management.js'
import { sharedTestServer, startTestServer, type TestServer } from '../support/server.js'

interface Event {
  readonly id: number
  readonly at: string
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly repository?: string
  readonly address?: string
  readonly result: string
  readonly details: Readonly<Record<string, unknown>>
}

const APP = 'team/app'
const PATH = '/repositories/team%2Fapp'

/** What is in the trail besides the start, the first first. */
async function eventsOf({ app }: Pick<TestServer, 'app'>, query = ''): Promise<Event[]> {
  const { items } = await answerOf<{ items: Event[] }>(app, 'GET', `/audit${query}`)
  return items.toReversed().filter(({ action }) => action !== 'server.start')
}

/** The events of what happens meanwhile. */
async function eventsWhile(server: TestServer, work: () => Promise<unknown>): Promise<Event[]> {
  const before = await eventsOf(server, '?limit=1000')
  await work()
  return (await eventsOf(server, '?limit=1000')).slice(before.length)
}

const anonymous = { actor: 'anonymous', address: '127.0.0.1' }
const operator = { actor: 'operator', address: '127.0.0.1' }

describe('the registry API', () => {
  it('leaves one event for a push, however many blobs it has', async () => {
    const server = await startTestServer()

    const events = await eventsWhile(server, () =>
      pushImage(server.app, APP, 'v1', { layers: ['a', 'b', 'c'] }),
    )

    const { digest } = events[0]?.details ?? {}
    expect(digest).toMatch(/^sha256:/)
    expect(events).toMatchObject([
      {
        ...{ ...anonymous, action: 'manifest.push', repository: APP, target: 'v1', result: 'done' },
        details: { digest, tags: ['v1'] },
      },
    ])
  })

  it('says which tags a push by digest has set', async () => {
    const server = await startTestServer()
    const manifest = await prepareImage(server.app, APP)
    const { digest } = await pushImage(server.app, APP)

    const [event] = await eventsWhile(server, () =>
      putManifest(server.app, APP, digest, manifest, { query: '?tag=v1&tag=v2' }),
    )

    expect(event).toMatchObject({ target: digest, details: { digest, tags: ['v1', 'v2'] } })
  })

  it('says why a push was refused', async () => {
    const server = await startTestServer()

    const events = await eventsWhile(server, () => putManifest(server.app, APP, 'v1', '{}'))

    expect(events).toMatchObject([
      {
        ...{ action: 'manifest.push', target: 'v1', repository: APP, result: 'refused' },
        details: { status: 400, code: 'MANIFEST_INVALID' },
      },
    ])
  })

  it('tells deleting a tag, a manifest and a blob apart', async () => {
    const server = await startTestServer()
    const { app } = server
    const { digest } = await pushImage(app, APP, 'v1')
    const blob = await pushBlob(app, APP, 'alone')
    const remove = (url: string) => app.inject({ method: 'DELETE', url: `/v2/${APP}/${url}` })

    const events = await eventsWhile(server, async () => {
      await remove('manifests/v1')
      await remove(`manifests/${digest}`)
      await remove(`manifests/${digest}`)
      await remove(`blobs/${blob}`)
    })

    expect(events).toMatchObject([
      { ...anonymous, action: 'tag.delete', repository: APP, target: 'v1', result: 'done' },
      { action: 'manifest.delete', repository: APP, target: digest, result: 'done' },
      { action: 'manifest.delete', result: 'refused', details: { code: 'MANIFEST_UNKNOWN' } },
      { action: 'blob.delete', repository: APP, target: blob, result: 'done' },
    ])
  })

  it('tells of uploads only where they are refused for what somebody may', async () => {
    const server = await startTestServer({ config: { access: { mode: 'readOnly' } } })
    const { app } = server
    const post = (query = '') =>
      app.inject({ method: 'POST', url: `/v2/${APP}/blobs/uploads/${query}` })

    const events = await eventsWhile(server, async () => {
      await post()
      await app.inject({ method: 'GET', url: `/v2/${APP}/manifests/v1` })
      await app.inject({ method: 'HEAD', url: `/v2/${APP}/manifests/v1` })
    })

    expect(events).toMatchObject([
      { action: 'blob.upload', repository: APP, result: 'refused', details: { status: 405 } },
    ])
    expect(events).toHaveLength(1)
  })

  it('leaves nothing of an upload that is malformed', async () => {
    const server = await startTestServer()
    const url = `/v2/${APP}/blobs/uploads/?digest=nonsense`

    const events = await eventsWhile(server, () => server.app.inject({ method: 'POST', url }))

    expect(events).toEqual([])
  })

  it('counts pulls of manifests where it is told to, and of nothing else', async () => {
    const server = await startTestServer({ config: { audit: { pulls: true } } })
    const { app } = server
    const { digest } = await pushImage(app, APP, 'v1')

    const events = await eventsWhile(server, async () => {
      await app.inject({ url: `/v2/${APP}/manifests/v1` })
      await app.inject({ method: 'HEAD', url: `/v2/${APP}/manifests/v1` })
      await app.inject({ url: `/v2/${APP}/tags/list` })
      await app.inject({ url: `/v2/${APP}/manifests/v2` })
    })

    expect(events).toMatchObject([
      { action: 'manifest.pull', repository: APP, target: 'v1', details: { digest } },
      { action: 'manifest.pull', target: 'v2', result: 'refused', details: { status: 404 } },
    ])
    expect(events).toHaveLength(2)
  })

  it('tells of a client that went away, and where from', async () => {
    const server = await startTestServer()

    const events = await eventsWhile(server, async () => {
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(
        `PUT /v2/${APP}/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{`,
      )
      const open = () =>
        new Promise<number>((resolve, reject) => {
          server.app.server.getConnections((error, count) =>
            error ? reject(error) : resolve(count),
          )
        })
      await eventually(open, (count) => count === 1)
      socket.destroy()
      await eventually(
        () => eventsOf(server),
        (events) => events.length > 0,
      )
    })

    expect(events).toMatchObject([
      { ...anonymous, action: 'manifest.push', result: 'failed', details: { clientGone: true } },
    ])
  })

  it('keeps no more of a text from outside than a line', async () => {
    const server = await startTestServer()
    const long = 'x'.repeat(20_000)

    const [event] = await eventsWhile(server, () => putManifest(server.app, APP, long, '{}'))

    expect(JSON.stringify(event).length).toBeLessThan(1000)
    expect(event?.target).toHaveLength(300)
  })

  it('keeps a client that is refused again and again from filling the disk', async () => {
    const clock = { at: Date.now() }
    const server = await startTestServer({
      config: { access: { mode: 'readOnly' } },
      now: () => clock.at,
    })
    const refuse = () => putManifest(server.app, APP, 'v1', '{}')

    for (let count = 0; count < 130; count++) await refuse()
    clock.at += 60_000

    const events = await eventsOf(server, '?limit=1000')
    expect(events).toHaveLength(121)
    expect(events.at(-1)).toMatchObject({
      ...{ actor: 'berth', address: '127.0.0.1', action: 'audit.skipped', result: 'refused' },
      details: { count: 10 },
    })
  })
})

describe('the management API', () => {
  it('tells who deleted, described and restored what', async () => {
    const server = await startTestServer()
    const { app, dataDirectory } = server
    const { digest } = await pushImage(app, APP, 'v1')
    const token = operatorTokenIn(dataDirectory)

    const events = await eventsWhile(server, async () => {
      await ask(app, 'PUT', PATH, { body: { description: 'Ours.' }, token })
      await ask(app, 'DELETE', `${PATH}/tags/v1`)
      await ask(app, 'POST', `${PATH}/restore`, { body: { tag: 'v1' } })
      await ask(app, 'DELETE', `${PATH}/manifests/${digest}`)
      await ask(app, 'DELETE', PATH)
      await ask(app, 'DELETE', `${PATH}?confirm=team%2Fapp`, { token })
    })

    expect(events).toMatchObject([
      { ...operator, action: 'repository.describe', details: { description: 'Ours.' } },
      { ...anonymous, action: 'tag.delete', target: 'v1' },
      { ...anonymous, action: 'repository.restore', target: 'v1' },
      { ...anonymous, action: 'manifest.delete', target: digest },
      { ...anonymous, action: 'repository.delete', result: 'refused', details: { status: 400 } },
      { ...operator, action: 'repository.delete', result: 'done' },
    ])
    expect(new Set(events.map(({ repository }) => repository))).toEqual(new Set([APP]))
  })

  it.each(['gc', 'retention', 'verify', 'backup'])(
    'tells of a %s run from begin to end',
    async (kind) => {
      const server = await startTestServer({
        config: { verify: { everyDays: 0, bytesPerSecond: 1e9 } },
      })
      const body = kind === 'backup' ? { directory: await temporaryDirectory() } : {}

      const events = await eventsWhile(server, async () => {
        const { id } = await answerOf<{ id: number }>(server.app, 'POST', `/${kind}/runs`, body)
        await eventually(
          () => answerOf<{ status: string }>(server.app, 'GET', `/runs/${id}`),
          ({ status }) => status !== 'running',
        )
        await eventually(
          () => eventsOf(server, `?action=${kind}.end`),
          ({ length }) => length > 0,
        )
      })

      const run = expect.any(Number) as unknown
      expect(events).toMatchObject([
        { ...operator, action: `${kind}.begin`, result: 'done', details: { run, options: body } },
        { actor: 'operator', action: `${kind}.end`, result: 'done', details: { run } },
      ])
      expect(events[1]).not.toHaveProperty('address')
      expect(events[1]?.details['run']).toBe(events[0]?.details['run'])
    },
  )

  it('says of a run that the clock has begun that Berth did', async () => {
    const rules = [{ repositories: '**', tags: ['**'], keepTags: [], keepNewest: 1 }]
    const server = await startTestServer({ config: { retention: { everyHours: 1, rules } } })

    const events = await eventually(
      () => eventsOf(server),
      ({ length }) => length === 2,
    )

    expect(events).toMatchObject([
      { actor: 'berth', action: 'retention.begin', result: 'done' },
      { actor: 'berth', action: 'retention.end', result: 'done' },
    ])
    expect(events[0]).not.toHaveProperty('address')
  })

  it('tells of what only the operator may do, and of a token that is none', async () => {
    const server = await startTestServer()
    const { app } = server

    const events = await eventsWhile(server, async () => {
      await ask(app, 'POST', '/gc/runs', { body: {}, token: null })
      await ask(app, 'GET', '/runs', { token: 'guessed' })
      await ask(app, 'GET', '/runs', { token: null })
    })

    expect(events).toMatchObject([
      { ...anonymous, action: 'gc.begin', result: 'refused', details: { code: 'DENIED' } },
      { ...anonymous, action: 'login', result: 'refused' },
    ])
    expect(events).toHaveLength(2)
    expect(JSON.stringify(events)).not.toContain('guessed')
  })
})

it('has accounts and rights, each with what it was done to and no secret', async () => {
  const server = await startTestServer()
  const { app } = server

  const grant = { subject: 'user:ada', pattern: 'team/**', actions: ['pull'] }
  let token: { id: string; expiresAt: string } | undefined
  const events = await eventsWhile(server, async () => {
    await ask(app, 'POST', '/users', { body: { name: 'ada', password: 'correct horse' } })
    await ask(app, 'PATCH', '/users/ada', { body: { password: 'another horse' } })
    const { id } = await answerOf<{ id: number }>(app, 'PUT', '/grants', grant)
    await ask(app, 'DELETE', `/grants/${id}`)
    token = await answerOf(app, 'POST', '/tokens', { account: 'ada', description: 'laptop' })
    await ask(app, 'DELETE', `/tokens/${token?.id}`)
  })

  const operator = { actor: 'operator', result: 'done' }
  const id = expect.any(Number) as number
  const made = { account: 'ada', description: 'laptop' }
  expect(events).toMatchObject([
    { ...operator, action: 'user.add', target: 'ada' },
    { ...operator, action: 'user.change', target: 'ada', details: { password: 'changed' } },
    { ...operator, action: 'grant.put', target: 'user:ada', details: { id, ...grant } },
    { ...operator, action: 'grant.remove', details: grant },
    {
      ...{ ...operator, action: 'token.create', target: 'ada' },
      details: { id: token?.id, expiresAt: token?.expiresAt, ...made },
    },
    {
      ...{ ...operator, action: 'token.revoke', target: token?.id },
      details: { kind: 'personal', ...made },
    },
  ])
  expect(events[3]?.target).toBe(String(events[2]?.details['id']))
  expect(JSON.stringify(events)).not.toMatch(/horse|berth_/)
})

it('says what was there before something was changed, and what went with it', async () => {
  const server = await startTestServer()
  const { app } = server
  const users = Array.from({ length: 120 }, (_, index) => ({
    ...{ name: `user${index}`, passwordHash: BCRYPT_HASH },
  }))
  const owned = { owner: 'group:team', defaultVisibility: 'public' }
  const old = 'Old. '.repeat(100)
  const { digest } = await pushImage(app, APP, 'v1')

  const events = await eventsWhile(server, async () => {
    await answerOf(app, 'POST', '/users/import', { users })
    await answerOf(app, 'POST', '/groups', { name: 'team' })
    await answerOf(app, 'PUT', '/groups/team/members/user7')
    await answerOf(app, 'PUT', '/groups/team/members/user7')
    await answerOf(app, 'DELETE', '/groups/team/members/user8')
    await answerOf(app, 'PUT', '/namespaces/team', owned)
    await answerOf(app, 'PUT', '/namespaces/team', { defaultVisibility: 'private' })
    await ask(app, 'DELETE', '/namespaces/team')
    await ask(app, 'DELETE', '/users/user7')
    await answerOf(app, 'PUT', '/groups/team/members/user9')
    await ask(app, 'DELETE', '/groups/team')
    await answerOf(app, 'PUT', `${PATH}/visibility`, { visibility: 'public' })
    await answerOf(app, 'PUT', PATH, { description: old })
    await answerOf(app, 'PUT', PATH, { description: 'New.' })
    await answerOf(app, 'DELETE', `${PATH}/manifests/${digest}`)
    await answerOf(app, 'POST', `${PATH}/restore`, { digest })
    await app.inject({ method: 'DELETE', url: `/v2/${APP}/manifests/${digest}` })
    await answerOf(app, 'POST', `${PATH}/restore`, { digest })
    await answerOf(app, 'DELETE', `${PATH}/tags/v1`)
    await answerOf(app, 'POST', `${PATH}/restore`, { tag: 'v1' })
  })

  const join = { group: 'team', account: 'user7' }
  const names = users.slice(0, 100).map(({ name }) => name)
  const gone = { tags: ['v1'], moreTags: false }
  const cut = `${old.slice(0, 299)}…`
  expect(events.map(({ action, target, details }) => [action, target, details])).toEqual([
    ['user.import', '', { count: 120, names }],
    ['group.add', 'team', {}],
    ['group.join', 'team user7', { ...join, changed: true }],
    ['group.join', 'team user7', { ...join, changed: false }],
    ['group.leave', 'team user8', { group: 'team', account: 'user8', changed: false }],
    ['namespace.put', 'team', owned],
    ['namespace.put', 'team', { defaultVisibility: 'private', before: owned }],
    ['namespace.remove', 'team', { defaultVisibility: 'private' }],
    ['user.delete', 'user7', { isAdmin: false, groups: ['team'] }],
    ['group.join', 'team user9', { group: 'team', account: 'user9', changed: true }],
    ['group.delete', 'team', { members: ['user9'], moreMembers: false }],
    ['repository.visibility', '', { visibility: 'public', before: 'private' }],
    ['repository.describe', '', { description: cut }],
    ['repository.describe', '', { description: 'New.', before: cut }],
    ['manifest.delete', digest, gone],
    ['repository.restore', digest, { options: { digest }, tagCount: 1 }],
    ['manifest.delete', digest, gone],
    ['repository.restore', digest, { options: { digest }, tagCount: 1 }],
    ['tag.delete', 'v1', {}],
    ['repository.restore', 'v1', { options: { tag: 'v1' }, digest, changed: true }],
  ])
  expect(JSON.stringify(events)).not.toContain(BCRYPT_HASH)
})

it('names the token that has let somebody in, and the key that signs', async () => {
  const world = await startWithAccounts()
  const { app, testServer } = world
  const ada = await world.user('ada')
  const { id, authorization } = await world.token('ada')
  const tokens = '/api/v1/account/tokens'
  const json = { headers: { 'content-type': 'application/json' } }

  const events = await eventsWhile(testServer, async () => {
    await world.get('/v2/', authorization)
    const request = { ...json, method: 'POST', url: tokens } as const
    const made = await world.ask({ ...request, payload: { description: 'mine' } }, ada)
    await world.ask({ method: 'DELETE', url: `${tokens}/${made.json<{ id: string }>().id}` }, ada)
    await answerOf(app, 'POST', '/signing-keys', {})
  })

  const [login, create, revoke, rotate] = events.filter(({ details: { by } }) => by !== 'password')
  const { items } = await answerOf<{ items: { id: string }[] }>(app, 'GET', '/signing-keys')
  const made = { account: 'ada', description: 'mine' }
  expect(login).toMatchObject({ action: 'login', details: { by: 'token', token: id } })
  expect(create).toMatchObject({ actor: 'ada', action: 'token.create', details: made })
  expect(revoke).toMatchObject({
    ...{ actor: 'ada', action: 'token.revoke', target: create?.details['id'] },
    details: { ...made, kind: 'personal' },
  })
  expect(rotate).toMatchObject({ action: 'signing-key.rotate', details: { revokeOthers: false } })
  expect(items.map((key) => key.id)).toContain(rotate?.details['id'])
})

describe('every route that changes something', () => {
  it('is one that the audit trail knows', async () => {
    const { app } = await startTestServer({ config: { access: { mode: 'accounts' } } })

    const routes = Object.keys(AUDITED_ROUTES).map((route) => route.split(' ', 2))

    // The other way round: without its line there it stops the start, as the next test shows.
    for (const [method = '', url = ''] of routes) {
      expect({ method, url, is: app.hasRoute({ method: method, url }) }).toMatchObject({
        is: true,
      })
    }
  })

  it('stops the start when it is not', () => {
    const app = fastify()
    auditRequests(app, {} as never, { pulls: false })

    expect(() => app.get('/new', async () => 'read')).not.toThrow()
    expect(() => app.post('/new', async () => 'changed')).toThrow(
      'the route POST /new is not in AUDITED_ROUTES',
    )
  })
})

it.each([
  ['no credentials', undefined, 0],
  ['an empty name and password', 'Basic Og==', 0],
  ['some', 'Basic YTpi', 1],
])('has a 401 for a request with %s as it should', async (_, authorization, count) => {
  const noted: Noted[] = []
  const app = fastify()
  onTestFinished(() => app.close())
  auditRequests(app, { note: (one: Noted) => void noted.push(one) } as AuditLog, { pulls: false })
  app.delete('/api/v1/repositories/:name', async (_request, reply) => reply.code(401).send())

  const headers = { ...(authorization !== undefined && { authorization }) }
  await app.inject({ method: 'DELETE', url: '/api/v1/repositories/app', headers })

  const expected = { action: 'repository.delete', repository: 'app', result: 'refused' }
  expect(noted).toMatchObject(Array(count).fill(expected))
  expect(noted).toHaveLength(count)
})

describe('GET of the audit trail', () => {
  const registry = sharedTestServer()

  it('is for the operator alone', async () => {
    const { app } = registry

    const refused = await ask(app, 'GET', '/audit', { token: null })

    expect(refused.statusCode).toBe(403)
  })

  it('filters, a page at a time', async () => {
    const server = await startTestServer()
    const { app } = server
    for (let count = 0; count < 5; count++) await pushImage(app, APP, `v${count}`)
    await pushImage(app, 'other', 'v1')
    await ask(app, 'DELETE', `${PATH}/tags/v1`)

    const query = '/audit?action=manifest.push&repository=team%2Fapp&actor=anonymous&result=done'
    const { items, pages } = await walkPages<Event>(app, query, 2)

    expect(items.map(({ target }) => target)).toEqual(['v4', 'v3', 'v2', 'v1', 'v0'])
    expect(pages).toBe(3)
    const { at } = items[2] as Event
    expect(await eventsOf(server, `?since=${at}&limit=1000`)).toHaveLength(5)
  })

  it.each([
    ['action=nonsense', 'action'],
    ['result=nonsense', 'result'],
    ['since=yesterday', 'since'],
    ['until=2026', 'until'],
    ['repository=NO', 'repository'],
    ['cursor=nonsense', 'cursor'],
    ['limit=0', 'limit'],
    ['nonsense=1', 'nonsense'],
  ])('refuses %s', async (query, what) => {
    const { app } = registry

    const refused = await ask(app, 'GET', `/audit?${query}`)

    expect(refused.statusCode).toBe(400)
    expect(JSON.stringify(problemOf(refused))).toContain(what)
  })
})

describe('a start', () => {
  it('is an event, and so are an end and the settings that have changed in between', async () => {
    const dataDirectory = await temporaryDirectory()
    const before = await startTestServer({ dataDirectory, config: { undo: { days: 3 } } })
    await before.server.close()

    const { app } = await startTestServer({ dataDirectory, config: { undo: { days: 5 } } })

    const { items } = await answerOf<{ items: Event[] }>(app, 'GET', '/audit')
    expect(items.map(({ action }) => action)).toEqual([
      ...['config.change', 'server.start', 'server.stop', 'server.start'],
    ])
    expect(items[0]).toMatchObject({
      ...{ actor: 'berth', target: '', result: 'done' },
      details: { changes: [{ key: 'undo.days', from: 3, to: 5 }] },
    })
    expect(items[1]?.details).toMatchObject({ settings: { 'undo.days': 5, 'http.port': 0 } })
  })

  it('with the same settings is that alone', async () => {
    const dataDirectory = await temporaryDirectory()
    const before = await startTestServer({ dataDirectory })
    await before.server.close()

    const { app } = await startTestServer({ dataDirectory })

    const { items } = await answerOf<{ items: Event[] }>(app, 'GET', '/audit?action=config.change')
    expect(items).toEqual([])
  })
})

it('forgets after audit.days, and has everything until then', async () => {
  const dataDirectory = await temporaryDirectory()
  const clock = { at: Date.now() }
  const open = () =>
    startTestServer({ dataDirectory, config: { audit: { days: 2 } }, now: () => clock.at })
  const before = await open()
  await pushImage(before.app, APP, 'old')
  clock.at += 86_400_000
  await pushImage(before.app, APP, 'young')
  await before.server.close()
  clock.at += 86_400_001

  // A round of what is done by itself comes with the start.
  const { app } = await open()

  const { items } = await eventually(
    () => answerOf<{ items: Event[] }>(app, 'GET', '/audit?action=manifest.push'),
    ({ items }) => items.length < 2,
  )
  expect(items).toMatchObject([{ target: 'young' }])
})

it('keeps what has happened right before the end, in the database and in the file', async () => {
  const dataDirectory = await temporaryDirectory()
  const file = path.join(await mkdtemp(path.join(dataDirectory, 'log-')), 'audit.jsonl')
  const config = { audit: { file } }
  const before = await startTestServer({ dataDirectory, config })
  await pushImage(before.app, APP, 'v1')

  await before.server.close()

  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  const written = lines.map((line) => JSON.parse(line) as Event)
  expect(written.map(({ action }) => action)).toEqual([
    ...['server.start', 'manifest.push', 'server.stop'],
  ])
  const { app } = await startTestServer({ dataDirectory })
  const stored = await eventsOf({ app }, '?action=manifest.push')
  expect(stored).toMatchObject([written[1]!])
})

it('goes on in another file when it is told to', async () => {
  const directory = await temporaryDirectory()
  const file = path.join(directory, 'audit.jsonl')
  const { app, server } = await startTestServer({ config: { audit: { file } } })
  onTestFinished(() => server.close())
  await server.audit.flush()
  await rename(file, `${file}.1`)

  await server.audit.reopen()
  await pushImage(app, APP, 'v1')
  await server.audit.flush()

  expect(await readFile(`${file}.1`, 'utf8')).toContain('server.start')
  expect(await readFile(file, 'utf8')).toMatch(/^[^\n]*manifest\.push[^\n]*\n$/)
})

it('does not start when the file cannot be opened, and leaves the directory free', async () => {
  const dataDirectory = await temporaryDirectory()
  const file = path.join(dataDirectory, 'nowhere', 'audit.jsonl')

  const started = startTestServer({ dataDirectory, config: { audit: { file } } })

  await expect(started).rejects.toThrow(`audit.file, ${file}, cannot be opened for writing: ENOENT`)
  await startTestServer({ dataDirectory })
})

describe('docs/audit.md', () => {
  it.each(AUDIT_ACTIONS)('says what %s means', async (action) => {
    const text = await readFile(new URL('../../docs/audit.md', import.meta.url), 'utf8')

    expect(text).toContain(`| \`${action}\` `)
  })
})
