import { expect, it } from 'vitest'
import { basic, startWithAccounts } from '../support/accounts.js'
import { answerOf } from '../support/management.js'

interface Event {
  readonly target: string
  readonly result: string
  readonly details: Readonly<Record<string, unknown>>
}

it('tells of logins that are wrong, and of those that are not even looked at any more', async () => {
  const { app } = await startWithAccounts()
  const ask = () =>
    app.inject({ url: '/v2/', headers: { authorization: basic('admin', 'guessed') } })

  for (let count = 0; count < 11; count++) expect((await ask()).statusCode).toBe(401)
  expect((await ask()).statusCode).toBe(429)

  const { items } = await answerOf<{ items: Event[] }>(app, 'GET', '/audit?action=login&limit=2')
  expect(items).toMatchObject([
    { target: 'admin', result: 'refused', details: { by: 'password', throttled: true } },
    { target: 'admin', result: 'refused', details: { by: 'password' } },
  ])
  expect(JSON.stringify(items)).not.toContain('guessed')
})
