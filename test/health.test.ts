import { expect, it, vi } from 'vitest'
import { startTestServer } from './support/server.js'

it('tries the stores again where the clock was set back, and not only when that time has come again', async () => {
  let at = Date.now()
  const { app, server } = await startTestServer({ now: () => at })
  const check = vi.spyOn(server.stores.blobs, 'checkReady')
  const statusOf = async () => (await app.inject('/readyz')).statusCode

  check.mockRejectedValueOnce(new Error('no room'))
  const broken = await statusOf()
  const soonAfter = await statusOf()
  at -= 60 * 60 * 1000
  const setBack = await statusOf()

  expect([broken, soonAfter, setBack]).toEqual([503, 503, 200])
})
