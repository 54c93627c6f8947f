import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import path from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { Passwords } from '../../src/auth/passwords.js'
import {
  ARGON2_HASH,
  basic,
  guessUntilThrottled,
  PASSWORD,
  startWithAccounts,
  type AccountsWorld,
} from '../support/accounts.js'
import { OCI_MANIFEST, pushImage, sha256 } from '../support/images.js'
import { startTestServer } from '../support/server.js'

/** A request whose body comes only when `rest` is called. */
async function begin(
  world: AccountsWorld,
  options: { method: string; path: string; authorization: string; type: string; body: string },
): Promise<Unfinished> {
  const sent = request(`${world.testServer.url}${options.path}`, {
    method: options.method,
    headers: {
      authorization: options.authorization,
      'content-type': options.type,
      'content-length': Buffer.byteLength(options.body),
      expect: '100-continue',
    },
  })
  sent.flushHeaders()
  // The registry wants the body: so far it has let them in.
  await once(sent, 'continue')
  const rest = async () => {
    const answered = once(sent, 'response')
    sent.end(options.body)
    const [response] = (await answered) as [{ statusCode: number; resume: () => void }]
    response.resume()
    return response.statusCode
  }
  /** The same request with something else shown. */
  rest.again = (authorization: string) => begin(world, { ...options, authorization })
  return rest
}

interface Unfinished {
  (): Promise<number>
  readonly again: (authorization: string) => Promise<Unfinished>
}

async function rotateKey(world: AccountsWorld, body: object = {}): Promise<void> {
  const { statusCode } = await world.ask(
    { method: 'POST', url: '/api/v1/signing-keys', payload: body },
    world.admin,
  )
  expect(statusCode).toBe(201)
}

it('takes no body of an admin who is none any more when it comes', async () => {
  const world = await startWithAccounts()
  await world.user('ada', { isAdmin: true })
  const rest = await begin(world, {
    ...{ method: 'POST', path: '/api/v1/users', type: 'application/json' },
    authorization: basic('ada'),
    body: JSON.stringify({ name: 'backdoor', password: PASSWORD, isAdmin: true }),
  })

  await world.accounts.deleteAccount('ada')

  expect(await rest()).toBe(401)
  expect(await world.accounts.findAccount('backdoor')).toBeUndefined()
})

it('takes no manifest of somebody who may not push any more when it comes', async () => {
  const world = await startWithAccounts()
  await world.user('ada')
  const grant = await world.grant('user ada', 'team/**', 'overwrite')
  const { digest } = await pushImage(world.as(basic('ada')), 'team/app', 'v1')
  const other = await pushImage(world.as(basic('ada')), 'team/app', 'v2')
  const bytes = (await world.get(`/v2/team/app/manifests/${other.digest}`, world.admin)).body
  const rest = await begin(world, {
    ...{ method: 'PUT', path: '/v2/team/app/manifests/v1', type: OCI_MANIFEST },
    authorization: basic('ada'),
    body: bytes,
  })

  await world.accounts.removeGrant(grant)

  expect(await rest()).toBe(403)
  const tag = await world.get('/v2/team/app/manifests/v1', world.admin)
  expect(tag.headers['docker-content-digest']).toBe(digest)
})

describe.each([
  ['a small blob', 1000],
  ['a large blob', 300_000],
])('%s', (_what, length) => {
  const bytes = 'b'.repeat(length)
  const digest = sha256(bytes)
  const blob = `/v2/team/app/blobs/${digest}`

  describe.each(['POST', 'PUT'])('that comes with %s', (method) => {
    /** The request, of which everything but the body has arrived. */
    async function beginUpload(world: AccountsWorld, authorization: string) {
      const url = '/v2/team/app/blobs/uploads/'
      const opened =
        method === 'POST' ? url : await world.ask({ method: 'POST', url }, authorization)
      const path = typeof opened === 'string' ? opened : String(opened.headers.location)
      return begin(world, {
        ...{ method, path: `${path}?digest=${digest}`, type: 'application/octet-stream' },
        authorization,
        body: bytes,
      })
    }

    it('is not there when whoever sends it may not push any more at its end', async () => {
      const world = await startWithAccounts()
      await world.user('ada')
      await world.grant('user ada', 'team/**', 'pull')
      const grant = await world.grant('signed-in', 'team/**', 'create')
      const rest = await beginUpload(world, basic('ada'))

      await world.accounts.removeGrant(grant)

      expect(await rest()).toBe(403)
      expect((await world.get(blob, world.admin)).statusCode).toBe(404)
    })

    it('is taken of a token that was good when it began', async () => {
      let at = Date.now()
      const world = await startWithAccounts({ now: () => at })
      await world.user('ada')
      await world.grant('user ada', 'team/**', 'create')
      const bearer = await world.bearer(basic('ada'), 'repository:team/app:pull,push')
      const rest = await beginUpload(world, bearer)

      at += 60 * 60 * 1000
      await world.user('bob')

      expect(await rest()).toBe(201)
      expect((await world.get(blob, bearer)).statusCode).toBe(401)
      expect((await world.get(blob, world.admin)).statusCode).toBe(200)
    })

    it('is taken of a token whose key was rotated and has run out', async () => {
      let at = Date.now()
      const world = await startWithAccounts({ now: () => at })
      const bearer = await world.bearer(world.admin, 'repository:team/app:pull,push')
      const rest = await beginUpload(world, bearer)

      await rotateKey(world)
      at += 60 * 60 * 1000

      expect(await rest()).toBe(201)
    })

    it('is asked for again with another token when the key was revoked, and then taken', async () => {
      const world = await startWithAccounts()
      const bearer = () => world.bearer(world.admin, 'repository:team/app:pull,push')
      const rest = await beginUpload(world, await bearer())

      await rotateKey(world, { revokeOthers: true })

      expect(await rest()).toBe(401)
      expect((await world.get(blob, world.admin)).statusCode).toBe(404)
      const again = await rest.again(await bearer())
      expect(await again()).toBe(201)
      expect((await world.get(blob, world.admin)).body).toBe(bytes)
    })

    it('is taken of a password that nobody asks for again, whatever is guessed meanwhile', async () => {
      const world = await startWithAccounts()
      await world.user('ada')
      await world.grant('user ada', 'team/**', 'create')
      const rest = await beginUpload(world, basic('ada'))

      await world.user('bob')
      const verify = vi.spyOn(Passwords.prototype, 'verify')
      // What was right is remembered for a minute.
      const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 120_000)
      const status = await rest()
      const asked = verify.mock.calls.length
      verify.mockRestore()
      clock.mockRestore()

      expect([status, asked]).toEqual([201, 0])
    })

    it('is not taken of a password that is not the right one any more', async () => {
      const world = await startWithAccounts()
      await world.user('ada')
      await world.grant('user ada', 'team/**', 'create')
      const rest = await beginUpload(world, basic('ada'))

      await world.accounts.changeAccount({ name: 'ada', passwordHash: ARGON2_HASH, at: 1 })

      expect(await rest()).toBe(401)
    })
  })
})

it('remembers a right password for the place it came from, and for no other that is guessing', async () => {
  const world = await startWithAccounts()
  await world.user('ada')
  const ask = (remoteAddress: string, password: string) =>
    world.ask({ url: '/v2/', remoteAddress }, basic('ada', password))
  expect((await ask('10.9.0.1', PASSWORD)).statusCode).toBe(200)

  await guessUntilThrottled(() => ask('10.9.0.2', 'guess'))

  expect((await ask('10.9.0.2', PASSWORD)).statusCode).toBe(429)
  expect((await ask('10.9.0.1', PASSWORD)).statusCode).toBe(200)
})

it('mounts by a bearer token only what that is for, also where nobody says from where', async () => {
  const world = await startWithAccounts()
  await pushImage(world.as(world.admin), 'secret/app', 'v1')
  const layer = sha256('layer')
  const url = (from: string) => `/v2/boss/app/blobs/uploads/?mount=${layer}${from}`
  const bearer = await world.bearer(world.admin, 'repository:boss/app:pull,push')
  const wider = await world.bearer(
    world.admin,
    'repository:boss/app:pull,push',
    'repository:secret/app:pull',
  )
  const post = async (from: string, authorization: string) =>
    (await world.ask({ method: 'POST', url: url(from) }, authorization)).statusCode

  expect(await post('', bearer)).toBe(202)
  expect(await post('&from=secret%2Fapp', bearer)).toBe(202)
  expect(await post('', wider)).toBe(201)
})

it('shows nobody but who was granted it what was deleted under a name that is public now', async () => {
  const world = await startWithAccounts()
  await world.user('bob')
  await pushImage(world.as(world.admin), 'team/app', 'v1')
  const path = '/api/v1/repositories/team%2Fapp?confirm=team%2Fapp'
  await world.ask({ method: 'DELETE', url: path }, world.admin)
  await pushImage(world.as(world.admin), 'team/app', 'v1')
  await world.show('team/app', 'public')

  const list = async (authorization?: string) =>
    (await world.get('/api/v1/deleted-repositories?limit=1', authorization)).json<{
      items: unknown[]
    }>().items.length

  expect([await list(), await list(basic('bob')), await list(world.admin)]).toEqual([0, 0, 1])
})

it('ends every key of before when the others are to be revoked', async () => {
  const world = await startWithAccounts()
  const first = await world.bearer(world.admin)
  const rotate = (revokeOthers: boolean) =>
    world.ask(
      {
        ...{ method: 'POST', url: '/api/v1/signing-keys' },
        headers: { 'content-type': 'application/json' },
        payload: JSON.stringify({ revokeOthers }),
      },
      world.admin,
    )
  await rotate(false)
  const second = await world.bearer(world.admin)
  expect((await world.get('/v2/', first)).statusCode).toBe(200)

  await rotate(true)

  const answers = [await world.get('/v2/', first), await world.get('/v2/', second)]
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([401, 401])
})

it('keeps its database to its owner', async () => {
  const world = await startWithAccounts()

  const { mode } = await stat(path.join(world.testServer.dataDirectory, 'berth.db'))

  expect(mode & 0o777).toBe(0o600)
})

it('has no token in the audit trail that somebody pastes where an id belongs', async () => {
  const world = await startWithAccounts()
  const { id, text } = await world.token('admin')
  const revoke = (name: string) =>
    world.ask({ method: 'DELETE', url: `/api/v1/tokens/${name}` }, world.admin)

  expect((await revoke(text)).statusCode).toBe(404)
  expect((await revoke(id)).statusCode).toBe(204)

  await world.testServer.server.audit.flush()
  const { items } = (await world.get('/api/v1/audit?action=token.revoke', world.admin)).json<{
    items: { target: string }[]
  }>()
  expect(items.map(({ target }) => target)).toEqual([id, ''])
})

it('makes a first admin under another name where a robot has the usual one', async () => {
  const world = await startWithAccounts()
  const { dataDirectory, server } = world.testServer
  await world.accounts.deleteAccount('admin')
  await world.robot('admin')
  await server.close()

  const again = await startTestServer({ dataDirectory, config: { access: { mode: 'accounts' } } })

  expect(again.server.firstAdmin?.name).toBe('admin-2')
})

it('lets docker login last as long as it is used, though the tokens that it gets are used, too', async () => {
  let at = Date.now()
  const days = (count: number) => count * 24 * 60 * 60 * 1000
  const world = await startWithAccounts({ now: () => at })
  const { dataDirectory, server } = world.testServer
  const refreshToken = await world.refreshToken('admin')
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken }

  at += days(60)
  const { token } = (await world.postToken(form)).json<{ token: string }>()
  for (let count = 0; count < 3; count++) {
    expect((await world.get('/v2/', `Bearer ${token}`)).statusCode).toBe(200)
  }
  await server.close()
  at += days(60)

  const again = await startWithAccounts({ dataDirectory, now: () => at })
  expect((await again.postToken(form)).statusCode).toBe(200)
})
