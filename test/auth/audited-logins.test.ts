import { expect, it } from 'vitest'
import { basic, FORM, guessUntilThrottled, startWithAccounts } from '../support/accounts.js'
import { answerOf } from '../support/management.js'

interface Event {
  readonly address: string
  readonly target: string
  readonly result: string
  readonly details: Readonly<Record<string, unknown>>
}

it('tells of logins that are wrong, and of those that are not even looked at any more', async () => {
  const { app } = await startWithAccounts()
  const ask = () =>
    app.inject({ url: '/v2/', headers: { authorization: basic('admin', 'guessed') } })

  await guessUntilThrottled(ask)

  const { items } = await answerOf<{ items: Event[] }>(app, 'GET', '/audit?action=login&limit=2')
  expect(items).toMatchObject([
    { target: 'admin', result: 'refused', details: { by: 'password', throttled: true } },
    { target: 'admin', result: 'refused', details: { by: 'password' } },
  ])
  expect(JSON.stringify(items)).not.toContain('guessed')
})

it('tells once a minute of what docker login keeps, from each address, and whenever it is wrong', async () => {
  let at = 1_700_000_000_000
  const world = await startWithAccounts({ now: () => at })
  const refreshToken = await world.refreshToken('admin')
  const use = async (remoteAddress: string, text = refreshToken) => {
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: text })
    const headers = { 'content-type': FORM }
    const payload = form.toString()
    const url = '/token'
    return (await world.app.inject({ method: 'POST', url, headers, payload, remoteAddress }))
      .statusCode
  }

  for (let count = 0; count < 3; count++) expect(await use('192.0.2.1')).toBe(200)
  expect(await use('192.0.2.2')).toBe(200)
  at += 60_000
  expect(await use('192.0.2.1')).toBe(200)
  expect(await use('192.0.2.3', 'berth-refresh_of-nobody')).toBe(401)
  // The clock is set back.
  at -= 60 * 60_000
  expect(await use('192.0.2.1')).toBe(200)
  expect(await use('192.0.2.1')).toBe(200)

  const page = await answerOf<{ items: Event[] }>(world.app, 'GET', '/audit?action=login&limit=9')
  const byRefresh = page.items.filter(({ details }) => details['by'] === 'refresh')
  expect(byRefresh.map(({ address, target, result }) => [address, target, result])).toEqual([
    ['192.0.2.3', '', 'refused'],
    ['192.0.2.1', 'admin', 'done'],
    ['192.0.2.2', 'admin', 'done'],
    ['192.0.2.1', 'admin', 'done'],
    // By the clock it was before all of them.
    ['192.0.2.1', 'admin', 'done'],
  ])
  expect(JSON.stringify(page.items)).not.toContain('berth-refresh_')
})
