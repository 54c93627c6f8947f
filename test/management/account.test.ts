import { describe, expect, it, vi } from 'vitest'
import { basic, PASSWORD, startWithAccounts, type AccountsWorld } from '../support/accounts.js'

const json = { 'content-type': 'application/json' }

function send(
  world: AccountsWorld,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  authorization: string,
  body?: object,
) {
  return world.ask(
    {
      ...{ method, url: `/api/v1${path}` },
      ...(body && { headers: json, payload: JSON.stringify(body) }),
    },
    authorization,
  )
}

async function world(): Promise<AccountsWorld> {
  const started = await startWithAccounts()
  await started.user('ada')
  await started.user('bob')
  return started
}

describe('what somebody does with their own account', () => {
  it('tells them who they are', async () => {
    const started = await world()
    await started.group('red', 'ada')

    const answer = await send(started, 'GET', '/account', basic('ada'))

    expect(answer.json()).toEqual({ name: 'ada', kind: 'user', isAdmin: false, groups: ['red'] })
  })

  it('gives them another password, with which alone they come in from then on', async () => {
    const started = await world()

    const body = { password: 'another password' }
    const answer = await send(started, 'PUT', '/account/password', basic('ada'), body)

    expect(answer.statusCode).toBe(204)
    expect((await started.get('/v2/', basic('ada'))).statusCode).toBe(401)
    expect((await started.get('/v2/', basic('ada', body.password))).statusCode).toBe(200)
    expect((await started.get('/v2/', basic('bob'))).statusCode).toBe(200)
  })

  it('makes, lists and revokes their tokens', async () => {
    const started = await world()

    const made = await send(started, 'POST', '/account/tokens', basic('ada'), {
      description: 'laptop',
    })
    const { id, token, account } = made.json<{ id: string; token: string; account: string }>()

    expect(made.statusCode).toBe(201)
    expect(account).toBe('ada')
    expect((await started.get('/v2/', basic('ada', token))).statusCode).toBe(200)
    const listed = await send(started, 'GET', '/account/tokens', basic('ada'))
    expect(listed.json()).toMatchObject({ items: [{ id, description: 'laptop' }] })
    expect(listed.body).not.toContain(token)
    expect((await send(started, 'GET', '/account/tokens', basic('bob'))).json()).toEqual({
      items: [],
    })
    expect((await send(started, 'DELETE', `/account/tokens/${id}`, basic('bob'))).statusCode).toBe(
      404,
    )
    expect((await send(started, 'DELETE', `/account/tokens/${id}`, basic('ada'))).statusCode).toBe(
      204,
    )
    expect((await started.get('/v2/', basic('ada', token))).statusCode).toBe(401)
  })

  it('lets no token make what outlives it', async () => {
    const started = await world()
    const { authorization } = await started.token('ada')
    const narrow = await started.token('ada', {
      scope: [{ pattern: 'red/**', actions: ['pull'] }],
    })

    const answers = [
      await send(started, 'POST', '/account/tokens', authorization, { description: 'more' }),
      await send(started, 'PUT', '/account/password', authorization, { password: PASSWORD }),
      await send(started, 'DELETE', `/account/tokens/${narrow.id}`, narrow.authorization),
    ]

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([403, 403, 403])
  })
})

describe('grants by somebody who is no admin', () => {
  it('are for what they own, and for nothing beside it', async () => {
    const started = await world()
    await started.namespace('red', { owner: 'user ada' })
    const grant = (pattern: string) => ({ subject: 'user:bob', pattern, actions: ['pull'] })

    const given = await send(started, 'PUT', '/grants', basic('ada'), grant('red/base/**'))
    const others = await Promise.all(
      ['**', '*/app', 're*', 'redder/**', 'green/app'].map((pattern) =>
        send(started, 'PUT', '/grants', basic('ada'), grant(pattern)),
      ),
    )

    expect(given.statusCode).toBe(200)
    expect(others.map(({ statusCode }) => statusCode)).toEqual([403, 403, 403, 403, 403])
    const bob = await send(started, 'PUT', '/grants', basic('bob'), grant('red/base/**'))
    expect(bob.statusCode).toBe(403)
  })

  it('are seen and taken away by them, and others are as if they were not there', async () => {
    const started = await world()
    await started.namespace('red', { owner: 'user ada' })
    const theirs = await started.grant('user bob', 'red/**', 'pull')
    const other = await started.grant('user bob', 'green/**', 'pull')

    const listed = await send(started, 'GET', '/grants', basic('ada'))
    const refused = await send(started, 'DELETE', `/grants/${other}`, basic('ada'))
    const removed = await send(started, 'DELETE', `/grants/${theirs}`, basic('ada'))

    expect(listed.json()).toMatchObject({ items: [{ id: theirs }] })
    expect(listed.json<{ items: unknown[] }>().items).toHaveLength(1)
    expect([refused.statusCode, removed.statusCode]).toEqual([404, 204])
  })

  it('are listed for them page by page, with few reads of the many that are not theirs', async () => {
    const started = await world()
    await started.namespace('red', { owner: 'user ada' })
    const ids: number[] = []
    for (const pattern of ['red/a', 'red', 'red/**']) {
      ids.push(await started.grant('user bob', pattern, 'pull'))
      const others = Array.from({ length: 300 }, (_, index) => `green/${pattern}${index}`)
      await Promise.all(others.map((other) => started.grant('user bob', other, 'pull')))
    }
    const reads = vi.spyOn(started.accounts, 'listGrants')
    const list = async (authorization: string, query: string) => {
      const answer = await send(started, 'GET', `/grants?limit=1${query}`, authorization)
      return answer.json<{ items: { id: number }[]; nextCursor?: string }>()
    }

    const listed: number[] = []
    let cursor = ''
    for (let pages = 0; pages < ids.length; pages++) {
      const { items, nextCursor } = await list(basic('ada'), `&subject=user:bob${cursor}`)
      listed.push(...items.map(({ id }) => id))
      cursor = `&cursor=${nextCursor ?? 'none'}`
    }

    expect(listed).toEqual(ids)
    expect(cursor).toBe('&cursor=none')
    expect(reads.mock.calls.length).toBeLessThanOrEqual(2 * ids.length)
    reads.mockClear()
    expect(await list(basic('bob'), '')).toEqual({ items: [] })
    expect(reads).not.toHaveBeenCalled()
  })

  it('are none of a part of the rights', async () => {
    const started = await world()
    await started.namespace('red', { owner: 'user ada' })
    const { authorization } = await started.token('ada', {
      scope: [{ pattern: 'red/**', actions: ['admin'] }],
    })

    const body = { subject: 'user:bob', pattern: 'red/**', actions: ['pull'] }
    const answer = await send(started, 'PUT', '/grants', authorization, body)

    expect(answer.statusCode).toBe(403)
  })
})
