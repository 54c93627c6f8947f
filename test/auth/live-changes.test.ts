import { describe, expect, it } from 'vitest'
import {
  basic,
  BCRYPT_HASH,
  challengeOf,
  startWithAccounts,
  type AccountsWorld,
  type BearerAnswer,
} from '../support/accounts.js'
import { temporaryDirectory } from '../support/directories.js'
import { pushImage } from '../support/images.js'
import { startTestServer } from '../support/server.js'
import { SigningKeys } from '../../src/auth/signing-keys.js'

const minute = 60_000

/** A registry with one image in `team/app`, and a clock. */
async function world() {
  let at = 1_700_000_000_000
  const started = await startWithAccounts({ now: () => at })
  await pushImage(started.as(started.admin), 'team/app', 'v1')
  return {
    world: started,
    now: () => at,
    pass: (ms: number) => {
      at += ms
    },
  }
}

/** What somebody gets who reads the list of tags of `team/app`. */
async function look(world: AccountsWorld, authorization: string | undefined): Promise<number> {
  return (await world.get('/v2/team/app/tags/list', authorization)).statusCode
}

/** What somebody gets who opens an upload in `team/app`. */
async function push(world: AccountsWorld, authorization: string | undefined): Promise<number> {
  const request = { method: 'POST', url: '/v2/team/app/blobs/uploads/' } as const
  return (await world.ask(request, authorization)).statusCode
}

const scope = 'repository:team/app:pull,push'

/**
 * A change, and what a user called alice gets of it who is in the group `builders`; `before` makes her
 * able to look and to push.
 */
interface Change {
  readonly what: string
  readonly before: (world: AccountsWorld) => Promise<unknown>
  readonly change: (world: AccountsWorld) => Promise<unknown>
  /** Of look and push. */
  readonly after: readonly [number, number]
}

const everything: Change['before'] = (world) => world.grant('user alice', 'team/**', 'admin')

const CHANGES: readonly Change[] = [
  {
    what: 'a grant that is taken away',
    before: everything,
    change: async ({ accounts }) => {
      const { entries } = await accounts.listGrants({ limit: 10 })
      for (const { id } of entries) await accounts.removeGrant(id)
    },
    after: [404, 403],
  },
  {
    what: 'a grant that becomes less',
    before: everything,
    change: (world) => world.grant('user alice', 'team/**', 'pull'),
    after: [200, 403],
  },
  {
    what: 'a group that is left',
    before: (world) => world.grant('group builders', 'team/app', 'create'),
    change: ({ accounts }) => accounts.removeMember('builders', 'alice'),
    after: [404, 403],
  },
  {
    what: 'a group that is deleted',
    before: (world) => world.grant('group builders', 'team/app', 'create'),
    change: ({ accounts }) => accounts.deleteGroup('builders'),
    after: [404, 403],
  },
  {
    what: 'an account that is disabled',
    before: everything,
    change: ({ accounts }) => accounts.changeAccount({ name: 'alice', isDisabled: true, at: 1 }),
    after: [401, 401],
  },
  {
    what: 'an account that is deleted',
    before: everything,
    change: ({ accounts }) => accounts.deleteAccount('alice'),
    after: [401, 401],
  },
  {
    what: 'an account that is deleted, and made again with everything it had',
    before: everything,
    change: async (world) => {
      await world.accounts.deleteAccount('alice')
      await world.user('alice', { passwordHash: BCRYPT_HASH.replace(/.{5}$/, 'aaaaa') })
      await everything(world)
    },
    after: [401, 401],
  },
  {
    what: 'a password that is changed',
    before: everything,
    change: ({ accounts }) => {
      // The hash of something else.
      const passwordHash = BCRYPT_HASH.replace(/.{5}$/, 'aaaaa')
      return accounts.changeAccount({ name: 'alice', passwordHash, at: 1 })
    },
    after: [401, 401],
  },
  {
    what: 'an admin who is one no more',
    before: ({ accounts }) => accounts.changeAccount({ name: 'alice', isAdmin: true, at: 1 }),
    change: ({ accounts }) => accounts.changeAccount({ name: 'alice', isAdmin: false, at: 1 }),
    after: [404, 403],
  },
  {
    what: 'a namespace that somebody else owns now',
    before: (world) => world.namespace('team', { owner: 'user alice' }),
    change: (world) => world.namespace('team', { owner: 'user bob' }),
    after: [404, 403],
  },
  {
    what: 'a namespace whose owner has left the group that owns it',
    before: (world) => world.namespace('team', { owner: 'group builders' }),
    change: ({ accounts }) => accounts.removeMember('builders', 'alice'),
    after: [404, 403],
  },
  {
    what: 'a namespace that is removed',
    before: (world) => world.namespace('team', { owner: 'user alice' }),
    change: ({ accounts }) => accounts.removeNamespace('team'),
    after: [404, 403],
  },
]

describe.each(CHANGES)('$what', ({ before, change, after }) => {
  it('counts from the next request on, whatever is shown', async () => {
    const { world: started } = await world()
    await started.user('alice')
    await started.user('bob')
    await started.group('builders', 'alice')
    await before(started)
    const token = (await started.token('alice')).authorization
    const shown = {
      password: basic('alice'),
      token,
      bearer: await started.bearer(basic('alice'), scope),
      'bearer of a token': await started.bearer(token, scope),
    }
    const answers = async () =>
      Object.fromEntries(
        await Promise.all(
          Object.entries(shown).map(async ([how, authorization]) => [
            how,
            [await look(started, authorization), await push(started, authorization)],
          ]),
        ),
      ) as unknown
    const all = (each: readonly [number, number]) =>
      Object.fromEntries(Object.keys(shown).map((how) => [how, each]))
    expect(await answers()).toEqual(all([200, 202]))

    await change(started)

    // Who gets another password keeps their personal tokens, which are no part of it.
    const isKept = after[0] === 401 && (await isThere(started))
    expect(await answers()).toEqual({ ...all(after), ...(isKept && { token: [200, 202] }) })
  })
})

/** Whether alice is not locked, and has the token that she had. */
async function isThere({ accounts }: AccountsWorld): Promise<boolean> {
  const account = await accounts.findAccount('alice')
  if (account === undefined || account.isDisabled) return false
  const query = { account: 'alice', kind: 'personal', limit: 1 } as const
  return (await accounts.listTokens(query)).entries.length > 0
}

describe('a token that is revoked', () => {
  it('is over from the next request on, and so is what was got with it', async () => {
    const { world: started } = await world()
    const { id, authorization, text } = await started.token('admin')
    const bearer = await started.bearer(authorization, scope)
    const form = { grant_type: 'password', username: 'admin', password: text, client_id: 'test' }
    const answer = await started.postToken({ ...form, access_type: 'offline', scope })
    const { refresh_token: refreshToken = '', access_token: second } = answer.json<BearerAnswer>()
    const all = [authorization, bearer, `Bearer ${second}`]
    for (const shown of all) expect(await look(started, shown)).toBe(200)

    await started.accounts.revokeToken(id)

    for (const shown of all) expect(await look(started, shown)).toBe(401)
    const again = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'test' }
    expect((await started.postToken(again)).statusCode).toBe(401)
  })

  it('is over with what was got by it, also where it is one that docker login keeps', async () => {
    const { world: started } = await world()
    const refreshToken = await started.refreshToken('admin')
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'test' }
    const answer = await started.postToken({ ...form, scope })
    const bearer = `Bearer ${answer.json<BearerAnswer>().access_token}`
    expect(await look(started, bearer)).toBe(200)

    const { entries } = await started.accounts.listTokens({
      ...{ account: 'admin', kind: 'refresh', limit: 10 },
    })
    expect(entries).toHaveLength(1)
    await started.accounts.revokeToken(entries[0]?.id ?? '')

    expect(await look(started, bearer)).toBe(401)
    expect((await started.postToken(form)).statusCode).toBe(401)
  })
})

describe('a personal token that ends', () => {
  it('ends what was got with it, at the same moment', async () => {
    const { world: started, now, pass } = await world()
    const { authorization } = await started.token('admin', { expiresAt: now() + minute })
    const bearer = await started.bearer(authorization, scope)
    const all = [authorization, bearer]
    for (const shown of all) expect(await look(started, shown)).toBe(200)

    pass(minute - 1)
    for (const shown of all) expect(await look(started, shown)).toBe(200)
    pass(1)

    for (const shown of all) expect(await look(started, shown)).toBe(401)
  })
})

describe('a bearer token', () => {
  it('ends after five minutes', async () => {
    const { world: started, pass } = await world()
    const bearer = await started.bearer(started.admin, scope)
    pass(5 * minute - 1)
    expect(await look(started, bearer)).toBe(200)

    pass(1)
    // The clock is allowed to go wrong by a few seconds, but only where it is looked at.
    pass(5000)

    const response = await started.get('/v2/team/app/tags/list', bearer)
    expect(response.statusCode).toBe(401)
    expect(challengeOf(response)).toMatchObject({ error: 'invalid_token' })
  })

  it('has no right that was not there when it was got, and gets it from the next one', async () => {
    const { world: started } = await world()
    const alice = await started.user('alice')
    const bearer = await started.bearer(alice, scope)
    expect(await look(started, bearer)).toBe(404)

    await started.grant('user alice', 'team/app', 'pull')

    const response = await started.get('/v2/team/app/tags/list', bearer)
    expect(challengeOf(response)).toMatchObject({
      scope: 'repository:team/app:pull',
      error: 'insufficient_scope',
    })
    expect(await look(started, await started.bearer(alice, scope))).toBe(200)
  })

  it('does not outlive the visibility by which it was given', async () => {
    const { world: started } = await world()
    await started.show('team/app', 'public')
    const [nobody, stranger] = [undefined, await started.user('stranger')]
    const shown = [await started.bearer(nobody, scope), await started.bearer(stranger, scope)]
    for (const bearer of [...shown, nobody]) expect(await look(started, bearer)).toBe(200)

    await started.show('team/app', 'private')

    expect(await look(started, shown[0])).toBe(401)
    expect(await look(started, shown[1])).toBe(404)
    expect(await look(started, undefined)).toBe(401)
  })

  it('is over for nobody in particular when their grant is', async () => {
    const { world: started } = await world()
    const grant = await started.grant('anonymous', 'team/**', 'create')
    const bearer = await started.bearer(undefined, scope)
    expect(await push(started, bearer)).toBe(202)

    await started.accounts.removeGrant(grant)

    expect([await look(started, bearer), await push(started, bearer)]).toEqual([401, 401])
  })
})

describe('a signing key', () => {
  it('that was followed by another is believed as long as they overlap, and not longer', async () => {
    const { world: started, now, pass } = await world()
    const keys = new SigningKeys(started.accounts, now)
    const [used, unused] = [
      await started.bearer(started.admin, scope),
      await started.bearer(started.admin, scope),
    ]
    expect(await look(started, used)).toBe(200)

    await keys.rotate(minute)

    const later = await started.bearer(started.admin, scope)
    const kidOf = (bearer: string) =>
      (
        JSON.parse(Buffer.from(bearer.slice(7).split('.')[0] ?? '', 'base64url').toString()) as {
          kid: string
        }
      ).kid
    expect(kidOf(later)).not.toBe(kidOf(used))
    pass(minute - 1)
    for (const bearer of [used, later]) expect(await look(started, bearer)).toBe(200)
    pass(1)

    for (const bearer of [used, unused]) expect(await look(started, bearer)).toBe(401)
    expect(await look(started, later)).toBe(200)
  })

  it('that was followed without overlap is over at once', async () => {
    const { world: started, now } = await world()
    const bearer = await started.bearer(started.admin, scope)
    expect(await look(started, bearer)).toBe(200)

    await new SigningKeys(started.accounts, now).rotate(0)

    expect(await look(started, bearer)).toBe(401)
    expect(await look(started, await started.bearer(started.admin, scope))).toBe(200)
  })

  it('is the same after a restart', async () => {
    const dataDirectory = await temporaryDirectory()
    const first = await startWithAccounts({ dataDirectory })
    await pushImage(first.as(first.admin), 'team/app', 'v1')
    const bearer = await first.bearer(first.admin, scope)
    await first.testServer.server.close()

    const second = await startWithAccounts({ dataDirectory })

    expect(await look(second, bearer)).toBe(200)
  })
})

describe('access.mode', () => {
  it('can go from open to accounts and back, and nothing is lost', async () => {
    const dataDirectory = await temporaryDirectory()
    const open = await startTestServer({ dataDirectory })
    const { digest } = await pushImage(open.app, 'team/app', 'v1')
    await open.server.close()

    const closed = await startWithAccounts({ dataDirectory })
    const alice = await closed.user('alice')
    await closed.grant('user alice', 'team/**', 'overwrite')
    const token = await closed.token('alice')
    await pushImage(closed.as(alice), 'team/other', 'v1')
    expect(await look(closed, undefined)).toBe(401)
    expect(await look(closed, alice)).toBe(200)
    await closed.testServer.server.close()

    const again = await startTestServer({ dataDirectory })
    for (const authorization of [undefined, alice, basic('alice', 'wrong'), 'Bearer garbage']) {
      const headers = { ...(authorization !== undefined && { authorization }) }
      const response = await again.app.inject({ url: '/v2/team/app/manifests/v1', headers })
      expect(response.headers['docker-content-digest']).toBe(digest)
      const other = await again.app.inject({ url: '/v2/team/other/tags/list', headers })
      expect(other.json()).toEqual({ name: 'team/other', tags: ['v1'] })
    }
    expect((await again.app.inject('/token')).statusCode).toBe(404)
    await pushImage(again.app, 'team/third', 'v1')
    await again.server.close()

    const last = await startWithAccounts({ dataDirectory })
    expect(last.testServer.server.firstAdmin).toBeUndefined()
    for (const shown of [alice, token.authorization]) {
      const response = await last.get('/v2/_catalog', shown)
      expect(response.json()).toEqual({
        repositories: ['team/app', 'team/other', 'team/third'],
      })
    }
    expect(await look(last, undefined)).toBe(401)
  })
})
