import { hashSync as bcrypt } from '@node-rs/bcrypt'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  basic,
  challengesOf,
  FORM,
  PASSWORD,
  sharedWithAccounts,
  startWithAccounts,
  type AccountsWorld,
  type BearerAnswer,
} from '../support/accounts.js'
import { codesOf, pushImage } from '../support/images.js'
import { startTestServer } from '../support/server.js'

const AT = Date.parse('2024-02-03T04:05:06.789Z')

/** For what changes nothing there, at one moment. */
const everyday = sharedWithAccounts({ now: () => AT })
const alice = basic('alice')
beforeAll(() => fill(everyday))

/** One whose clock goes on. */
async function world() {
  let at = AT
  const started = await startWithAccounts({ now: () => at })
  await fill(started)
  return { world: started, pass: (ms: number) => (at += ms) }
}

/** alice may push to `team/**`, and pull from `other/app`; `open/app` is public. */
async function fill(started: AccountsWorld): Promise<void> {
  await started.user('alice')
  await started.grant('user alice', 'team/**', 'create')
  await started.grant('user alice', 'other/app', 'pull')
  for (const name of ['team/app', 'other/app', 'open/app']) {
    await pushImage(started.as(started.admin), name, 'v1')
  }
  await started.show('open/app', 'public')
}

interface Claims {
  readonly access: readonly { type: string; name: string; actions: string[] }[]
  readonly [name: string]: unknown
}

function claimsIn(token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims
}

/** What a token is for, as `type:name:actions`. */
function accessIn({ body }: { readonly body: string }): string[] {
  const { token } = JSON.parse(body) as BearerAnswer
  return claimsIn(token).access.map(
    ({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`,
  )
}

const password = {
  ...{ grant_type: 'password', username: 'alice', password: PASSWORD },
  ...{ service: 'berth', client_id: 'test' },
}

describe('GET /token', () => {
  it('answers what clients read, and nothing is to be kept by whoever passes it on', async () => {
    const response = await everyday.askToken(alice, 'repository:team/app:pull,push')

    const answer = response.json<BearerAnswer>()
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(response.headers['cache-control']).toBe('no-store')
    expect(answer).toEqual({
      token: answer.access_token,
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/) as string,
      expires_in: 300,
      issued_at: '2024-02-03T04:05:06.000Z',
      scope: 'repository:team/app:pull,push',
    })
    expect(claimsIn(answer.token)).toMatchObject({
      ...{ iss: 'berth', aud: 'berth', sub: 'alice' },
      ...{ iat: 1706933106, nbf: 1706933106, exp: 1706933406 },
      access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
    })
  })

  it.each([
    ['nothing', [], []],
    ['several parameters', ['repository:team/a:pull', 'repository:team/b:push'], undefined],
    [
      'one with spaces',
      ['repository:team/a:pull  repository:team/b:push'],
      ['repository:team/a:pull', 'repository:team/b:push'],
    ],
    [
      'more than there is',
      ['repository:other/app:pull,push,delete,*'],
      ['repository:other/app:pull'],
    ],
    ['everything of what is allowed', ['repository:team/app:*'], ['repository:team/app:pull,push']],
    ['what is public', ['repository:open/app:pull,push'], ['repository:open/app:pull']],
    ['what is hidden', ['repository:secret/app:pull'], []],
    ['a repository that is not there', ['repository:team/new:pull,push'], undefined],
    ['the catalog', ['registry:catalog:*'], undefined],
    ['the catalog, as docker search does', ['registry:catalog:search'], undefined],
    ['another type', ['aggregator:team/app:pull', 'registry:other:*'], []],
    ['a class', ['repository(plugin):team/app:pull'], ['repository:team/app:pull']],
    ['a host with a port', ['repository:host:5000/team/app:pull'], []],
    ['unknown actions', ['repository:team/app:fly,pull,Pull,'], ['repository:team/app:pull']],
    ['the same twice', ['repository:team/app:pull,pull'], ['repository:team/app:pull']],
    [
      'a name that is none',
      ['repository:Team/App:pull', 'repository::pull', 'repository:../x:pull'],
      [],
    ],
    [
      'no scope at all',
      ['', ' ', ':', '::', 'repository', 'repository:team/app', 'repository:team/app:'],
      [],
    ],
    ['a prototype', ['__proto__:constructor:pull', 'repository:__proto__:pull'], []],
  ])('gives of %s what may be given, and it is no error', async (_what, asked, given) => {
    const response = await everyday.askToken(alice, ...asked)

    expect(response.statusCode).toBe(200)
    expect(accessIn(response)).toEqual(given ?? asked)
    expect(response.json<BearerAnswer>().scope).toBe((given ?? asked).join(' '))
  })

  it('gives an admin everything, under the word that they have asked for', async () => {
    const asked = ['repository:a/b:*', 'repository:a/c:pull,push,delete']

    expect(accessIn(await everyday.askToken(everyday.admin, ...asked))).toEqual(asked)
  })

  it.each([
    ['nobody in particular', undefined],
    ['an empty name with an empty password', 'Basic Og=='],
  ])('gives %s what is for everybody', async (_who, authorization) => {
    const scopes = ['repository:open/app:pull,push', 'repository:team/app:pull']

    const response = await everyday.askToken(authorization, ...scopes, 'registry:catalog:*')

    expect(response.statusCode).toBe(200)
    expect(accessIn(response)).toEqual(['repository:open/app:pull', 'registry:catalog:*'])
    const { token } = response.json<BearerAnswer>()
    expect(claimsIn(token)).toMatchObject({ sub: '' })
    const catalog = await everyday.get('/v2/_catalog', `Bearer ${token}`)
    expect(catalog.json()).toEqual({ repositories: ['open/app'] })
  })

  it('gives nobody in particular nothing to keep', async () => {
    const response = await everyday.get('/token?offline_token=true')

    expect(response.statusCode).toBe(200)
    expect(response.json()).not.toHaveProperty('refresh_token')
  })

  it('does what docker login asks, whatever else is said', async () => {
    const { world: started } = await world()
    const query = 'account=somebody-else&client_id=docker&offline_token=true&service=other'

    const response = await started.get(`/token?${query}`, alice)

    const { refresh_token: refreshToken, token } = response.json<BearerAnswer>()
    expect(refreshToken).toMatch(/^berth-refresh_[\w-]{43}$/)
    expect(claimsIn(token)).toMatchObject({ sub: 'alice', access: [] })
    expect((await started.get('/v2/', `Bearer ${token}`)).statusCode).toBe(200)
    const { entries } = await started.accounts.listTokens({
      ...{ account: 'alice', kind: 'refresh', limit: 10 },
    })
    expect(entries).toMatchObject([{ kind: 'refresh', description: 'docker' }])
  })

  it.each([
    ['cross-site', false],
    ['same-site', false],
    ['same-origin', true],
    ['none', true],
  ])('does that for a page that a browser calls %s: %s', async (site, isKept) => {
    const response = await everyday.ask(
      { url: '/token?offline_token=true', headers: { 'sec-fetch-site': site } },
      alice,
    )

    expect(response.statusCode).toBe(200)
    expect('refresh_token' in response.json<BearerAnswer>()).toBe(isKept)
  })

  it.each(['false', '1', '', 'TRUE'])('keeps nothing for offline_token=%s', async (value) => {
    const response = await everyday.get(`/token?offline_token=${value}`, alice)

    expect(response.json()).not.toHaveProperty('refresh_token')
  })

  it.each([
    ['offline_token=true&offline_token=true&client_id=a&client_id=b'],
    ['service=&account=&client_id='],
    ['scope[]=repository:team/app:pull&scope[a]=x&__proto__=x'],
    [`account=${'x'.repeat(20_000)}&client_id=${'y'.repeat(10_000)}&offline_token=true`],
    ['client_id=%00%FF%E0&offline_token=true'],
  ])('takes strange parameters: %.60s', async (query) => {
    const response = await everyday.get(`/token?${query}`, alice)

    expect(response.statusCode).toBe(200)
  })

  it('takes a personal token in place of a password, with its limits', async () => {
    const scope = [{ pattern: 'team/app', actions: ['pull'] }] as const
    const { text, authorization } = await everyday.token('alice', { scope })

    for (const shown of [authorization, `Bearer ${text}`]) {
      const asked = ['repository:team/app:pull,push', 'repository:team/other:pull']
      expect(accessIn(await everyday.askToken(shown, ...asked))).toEqual([
        'repository:team/app:pull',
      ])
    }
  })

  it.each([
    [
      'disabled',
      (w: AccountsWorld) => w.accounts.changeAccount({ name: 'eve', isDisabled: true, at: AT }),
    ],
    ['deleted', (w: AccountsWorld) => w.accounts.deleteAccount('eve')],
  ])('refuses a login as any other when the account is %s in the midst of it', async (_, end) => {
    const { world: started } = await world()
    // Takes long to check: other requests that come after it are answered before.
    const eve = await started.user('eve', { passwordHash: bcrypt(PASSWORD, 11) })
    const login = started.get('/token?offline_token=true', eve).then((answer) => answer)
    await started.get('/v2/')

    await end(started)

    const response = await login
    const wrong = await started.get('/token?offline_token=true', basic('alice', 'wrong'))
    expect([response.statusCode, response.body]).toEqual([401, wrong.body])
    expect(challengesOf(response)).toEqual(challengesOf(wrong))
  })

  it('gives no token for a token: it could make itself last for ever', async () => {
    for (const bearer of [await everyday.bearer(alice), await everyday.bearer(undefined)]) {
      const response = await everyday.askToken(bearer)

      expect(response.statusCode).toBe(401)
      expect(challengesOf(response)).toEqual(['Basic realm="berth"'])
    }
  })

  it.each([
    ['a wrong password', basic('alice', 'wrong')],
    ['a name that nobody has', basic('nobody')],
    ['an unknown scheme', 'Negotiate abc'],
    ['no Base64', 'Basic !!!'],
  ])('refuses %s with one challenge, and the same words', async (_what, authorization) => {
    const response = await everyday.askToken(authorization, 'repository:open/app:pull')

    expect(response.statusCode).toBe(401)
    expect(challengesOf(response)).toEqual(['Basic realm="berth"'])
    expect(response.json()).toEqual({
      errors: [{ code: 'UNAUTHORIZED', message: 'the name or the password is not right' }],
    })
  })

  it('refuses more scopes than anybody needs', async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => `repository:team/${index}:pull`).join(' ')
    const long = (length: number) =>
      everyday.askToken(alice, `repository:team/${'x'.repeat(length)}:pull`)

    expect(accessIn(await everyday.askToken(alice, many(100)))).toHaveLength(100)
    for (const response of [await everyday.askToken(alice, many(101)), await long(17_000)]) {
      expect(response.statusCode).toBe(400)
      expect(codesOf(response)).toEqual(['UNSUPPORTED'])
    }
    expect(accessIn(await long(10_000))).toEqual([])
  })

  it('gives no token that does not fit into the headers of a request', async () => {
    const name = (index: number) => `${String(index).padStart(3, '0')}/${'x'.repeat(138)}`
    const scopes = Array.from({ length: 100 }, (_, index) => `repository:${name(index)}:pull,push`)

    const bearer = await everyday.bearer(everyday.admin, ...scopes)

    const { url } = everyday.testServer
    const response = await fetch(`${url}/v2/`, { headers: { authorization: bearer } })
    expect(response.status).toBe(200)
  })
})

describe('POST /token', () => {
  it('takes a password, and answers as the other one does', async () => {
    const response = await everyday.postToken({
      ...password,
      scope: 'repository:team/app:pull,push',
    })

    const answer = response.json<BearerAnswer>()
    expect(response.statusCode).toBe(200)
    expect(response.headers['cache-control']).toBe('no-store')
    expect(answer).toEqual({
      token: answer.access_token,
      access_token: answer.token,
      expires_in: 300,
      issued_at: '2024-02-03T04:05:06.000Z',
      scope: 'repository:team/app:pull,push',
    })
  })

  it.each([
    FORM,
    `${FORM}; charset=utf-8`,
    `${FORM};charset=UTF-8`,
    `${FORM} ; charset=utf-8`,
    'Application/X-WWW-Form-Urlencoded',
  ])('takes a form of the type %s', async (type) => {
    expect((await everyday.postToken(password, type)).statusCode).toBe(200)
  })

  it.each(['application/json', 'text/plain', `${FORM}x`, 'multipart/form-data; boundary=x', ''])(
    'takes no body of the type %s',
    async (type) => {
      const response = await everyday.postToken(password, type)

      expect(response.statusCode).toBe(400)
      expect(codesOf(response)).toEqual(['UNSUPPORTED'])
    },
  )

  it('takes several scopes, in one parameter or in many', async () => {
    const form = new URLSearchParams(password)
    form.append('scope', 'repository:team/a:pull repository:team/b:pull')
    form.append('scope', 'repository:team/c:pull')

    const response = await everyday.ask({
      ...{ method: 'POST', url: '/token', headers: { 'content-type': FORM } },
      payload: form.toString(),
    })

    expect(accessIn(response)).toEqual([
      'repository:team/a:pull',
      'repository:team/b:pull',
      'repository:team/c:pull',
    ])
  })

  it.each([
    ['no grant type', { ...password, grant_type: '' }],
    ['an unknown one', { ...password, grant_type: 'authorization_code' }],
    ['nothing', {}],
    ['an object of JavaScript', { grant_type: 'constructor' }],
  ])('asks for what is missing: %s', async (_what, form) => {
    const response = await everyday.postToken(form)

    expect(response.statusCode).toBe(400)
    expect(codesOf(response)).toEqual(['UNSUPPORTED'])
  })

  it.each([
    ['a wrong password', { ...password, password: 'wrong' }],
    ['no password', { ...password, password: '' }],
    ['no name', { ...password, username: '' }],
    ['neither', { grant_type: 'password' }],
    ['a name that nobody has', { ...password, username: 'nobody' }],
    ['no refresh token', { grant_type: 'refresh_token' }],
    ['an unknown refresh token', { grant_type: 'refresh_token', refresh_token: 'x'.repeat(1000) }],
  ])('refuses %s with one challenge, and the same words', async (_what, form) => {
    const response = await everyday.postToken(form)

    expect(response.statusCode).toBe(401)
    expect(challengesOf(response)).toEqual(['Basic realm="berth"'])
    expect(response.json()).toEqual({
      errors: [{ code: 'UNAUTHORIZED', message: 'the name or the password is not right' }],
    })
  })

  it('refuses a form beyond all measure', async () => {
    const response = await everyday.postToken({ ...password, password: 'x'.repeat(70_000) })

    expect(response.statusCode).toBe(413)
  })

  it('has no use for what else is shown', async () => {
    const request = { method: 'POST', url: '/token', headers: { 'content-type': FORM } } as const
    const payload = new URLSearchParams(password).toString()

    const response = await everyday.ask({ ...request, payload }, basic('admin', 'wrong'))

    expect(claimsIn(response.json<BearerAnswer>().token)).toMatchObject({ sub: 'alice' })
  })
})

describe('other methods of /token', () => {
  it.each(['HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    '%s is told so, such that clients try another one',
    async (method) => {
      const response = await everyday.ask({ method, url: '/token' }, everyday.admin)

      // containerd falls back to GET on these alone.
      expect([404, 405]).toContain(response.statusCode)
    },
  )

  it.each(['open', 'readOnly'] as const)(
    'it is not there where access.mode is %s',
    async (mode) => {
      const { app } = await startTestServer({ config: { access: { mode } } })

      for (const method of ['GET', 'POST'] as const) {
        const response = await app.inject({ method, url: '/token' })
        expect(response.statusCode).toBe(404)
        expect(codesOf(response)).toEqual(['NAME_UNKNOWN'])
      }
    },
  )
})

describe('a refresh token', () => {
  /** alice's, and a way to use it. */
  async function loggedIn() {
    const { world: started, pass } = await world()
    const refreshToken = await started.refreshToken('alice')
    const use = (more: Readonly<Record<string, string>> = {}) =>
      started.postToken({
        ...{ grant_type: 'refresh_token', refresh_token: refreshToken },
        ...{ service: 'berth', client_id: 'docker', ...more },
      })
    return { world: started, pass, refreshToken, use }
  }

  it('is good for bearer tokens, again and again, and comes back as it is', async () => {
    const { use, refreshToken, world: started } = await loggedIn()
    for (const more of [{}, { access_type: 'offline' }]) {
      const response = await use({ scope: 'repository:team/app:pull,push', ...more })

      expect(response.statusCode).toBe(200)
      expect(response.json<BearerAnswer>().refresh_token).toBe(refreshToken)
      expect(accessIn(response)).toEqual(['repository:team/app:pull,push'])
    }
    const { entries } = await started.accounts.listTokens({ kind: 'refresh', limit: 10 })
    expect(entries).toHaveLength(1)
  })

  it('gives what may be given now, and not what it was when it was made', async () => {
    const { use, world: started } = await loggedIn()
    const scope = 'repository:team/app:pull,push'
    await started.grant('user alice', 'team/**', 'pull')

    expect(accessIn(await use({ scope }))).toEqual(['repository:team/app:pull'])
  })

  it('lets nobody in by itself', async () => {
    const { world: started, refreshToken } = await loggedIn()
    for (const shown of [basic('alice', refreshToken), `Bearer ${refreshToken}`]) {
      for (const url of ['/v2/', '/token', '/api/v1/repositories', '/v2/team/app/tags/list']) {
        expect((await started.get(url, shown)).statusCode).toBe(401)
      }
    }
    const form = { ...password, password: refreshToken }
    expect((await started.postToken(form)).statusCode).toBe(401)
  })

  it('is not what a personal token, a bearer token or a password is', async () => {
    const { world: started } = await loggedIn()
    const { text } = await started.token('alice')
    const bearer = (await started.bearer(alice)).slice('Bearer '.length)
    for (const refreshToken of [text, bearer, PASSWORD]) {
      const form = { grant_type: 'refresh_token', refresh_token: refreshToken }
      expect((await started.postToken(form)).statusCode).toBe(401)
    }
  })

  it.each([
    [
      'the password changes',
      (w: AccountsWorld) => w.accounts.changeAccount({ name: 'alice', passwordHash: 'x', at: AT }),
    ],
    [
      'the account is disabled',
      (w: AccountsWorld) => w.accounts.changeAccount({ name: 'alice', isDisabled: true, at: AT }),
    ],
    ['the account is deleted', (w: AccountsWorld) => w.accounts.deleteAccount('alice')],
  ])('is over when %s', async (_what, change) => {
    const { world: started, use } = await loggedIn()

    await change(started)

    expect((await use()).statusCode).toBe(401)
  })

  it('does not come back when the account is enabled again', async () => {
    const { world: started, use } = await loggedIn()
    for (const isDisabled of [true, false]) {
      await started.accounts.changeAccount({ name: 'alice', isDisabled, at: AT })
    }

    expect((await use()).statusCode).toBe(401)
  })

  it('ends after ninety days', async () => {
    const { use, pass } = await loggedIn()
    const all = 90 * 24 * 60 * 60 * 1000
    pass(all - 1)
    expect((await use()).statusCode).toBe(200)

    pass(1)

    expect((await use()).statusCode).toBe(401)
  })

  it.each(['GET', 'POST'])('is given for no personal token (%s)', async (how) => {
    const { world: started } = await world()
    const { text, authorization } = await started.token('alice')

    const answer =
      how === 'GET'
        ? await started.get('/token?offline_token=true', authorization)
        : await started.postToken({ ...password, password: text, access_type: 'offline' })

    expect(answer.statusCode).toBe(200)
    expect(answer.json()).not.toHaveProperty('refresh_token')
  })

  it('of somebody with a hundred logins is the eldest, and the first to go', async () => {
    const { world: started, use, pass } = await loggedIn()
    for (let count = 0; count < 99; count++) {
      pass(1)
      await started.refreshToken('alice')
    }
    expect((await use()).statusCode).toBe(200)

    pass(1)
    await started.refreshToken('alice')

    expect((await use()).statusCode).toBe(401)
  })
})

it.each([
  ['PUT', '/token', 'GET, POST'],
  ['DELETE', '/token?service=x', 'GET, POST'],
  ['POST', '/v1/search', 'GET'],
  ['PUT', '/healthz', 'GET'],
] as const)('%s %s is told which methods there are', async (method, url, methods) => {
  const { app } = await startWithAccounts()

  const { statusCode, headers } = await app.inject({ method, url })

  expect({ statusCode, allow: headers.allow }).toEqual({ statusCode: 405, allow: methods })
})
