import { describe, expect, it } from 'vitest'
import { RequestRate } from '../../src/auth/request-rate.js'
import { operatorTokenOf, startTestServer, type TestServer } from '../support/server.js'

/** How many of so many requests at once are let through. */
function admitted(rate: RequestRate, caller: string | undefined, count: number): number {
  let passed = 0
  for (let index = 0; index < count; index++) {
    try {
      rate.admit(caller)
      passed++
    } catch {
      // Counted by not being counted.
    }
  }
  return passed
}

describe('a rate', () => {
  it('lets a burst through, then as many as it says, and a burst again after a pause', () => {
    let at = 0
    const rate = new RequestRate({ requestsPerMinute: 60, burst: 5 }, () => at)
    const after = (ms: number) => {
      at += ms
      return admitted(rate, 'a', 100)
    }

    expect([after(0), after(0), after(999), after(1), after(3000), after(1_000_000)]).toEqual([
      5, 0, 0, 1, 3, 5,
    ])
  })

  it('counts each caller apart, and the operator not at all', () => {
    const rate = new RequestRate({ requestsPerMinute: 1, burst: 2 }, () => 0)

    expect([admitted(rate, 'a', 5), admitted(rate, 'b', 5), admitted(rate, undefined, 5)]).toEqual([
      2, 2, 5,
    ])
  })

  it('says when the next request may come', () => {
    let at = 0
    const rate = new RequestRate({ requestsPerMinute: 1, burst: 1 }, () => at)
    rate.admit('a')
    at = 500

    expect(() => rate.admit('a')).toThrow(
      expect.objectContaining({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 60 }),
    )
  })

  it('remembers those who asked last', () => {
    const rate = new RequestRate({ requestsPerMinute: 1, burst: 1 }, () => 0)
    admitted(rate, 'first', 1)
    for (let index = 0; index < 20_000; index++) rate.admit(`caller ${index}`)

    expect([admitted(rate, 'first', 1), admitted(rate, 'caller 19999', 1)]).toEqual([1, 0])
  })
})

describe('a server with a rate', () => {
  const http = { rateLimit: { requestsPerMinute: 1, burst: 2 } }
  const ask = async ({ app }: TestServer, url: string, options = {}) =>
    app.inject({ url, ...options })

  it.each([
    ['/v2/', { errors: [{ code: 'TOOMANYREQUESTS' }] }],
    ['/v2/a/tags/list', { errors: [{ code: 'TOOMANYREQUESTS' }] }],
    ['/v1/search', { errors: [{ code: 'TOOMANYREQUESTS' }] }],
    ['/api/v1/repositories', { status: 429, code: 'TOOMANYREQUESTS' }],
  ])('refuses what is too much of %s in the form of its room', async (url, answer) => {
    const server = await startTestServer({ config: { http } })
    await ask(server, '/v2/')
    await ask(server, '/api/v1/repositories')

    const response = await ask(server, url)

    expect(response.statusCode).toBe(429)
    expect(response.json()).toMatchObject(answer)
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(50)
  })

  it('never refuses its operator, nor who asks whether it is alive', async () => {
    const server = await startTestServer({ config: { http } })
    const headers = { authorization: `Bearer ${operatorTokenOf(server.app)}` }
    const ok = async (url: string, options = {}) => (await ask(server, url, options)).statusCode

    for (let count = 0; count < 5; count++) {
      expect(await ok('/api/v1/repositories', { headers })).toBe(200)
      expect([await ok('/healthz'), await ok('/readyz')]).toEqual([200, 200])
    }
  })

  it('takes the address from a proxy that it trusts, and from no other', async () => {
    const server = await startTestServer({
      config: { http: { ...http, trustedProxies: ['10.0.0.0/8'] } },
    })
    const from = async (remoteAddress: string, forwarded: string) => {
      const headers = { 'x-forwarded-for': forwarded }
      return (await ask(server, '/v2/', { remoteAddress, headers })).statusCode
    }
    const times = async (
      count: number,
      remoteAddress: string,
      forwarded: (n: number) => string,
    ) => {
      const statuses: number[] = []
      for (let n = 0; n < count; n++) statuses.push(await from(remoteAddress, forwarded(n)))
      return statuses
    }

    // Who says in each request to be somebody else is one and the same.
    expect(await times(3, '192.0.2.1', (n) => `198.51.100.${n}`)).toEqual([200, 200, 429])
    expect(await times(3, '10.0.0.1', (n) => `198.51.100.${n}`)).toEqual([200, 200, 200])
    // Through the proxy, too: what came from further than the proxy is not believed.
    expect(await times(3, '10.0.0.1', (n) => `203.0.113.${n}, 192.0.2.7`)).toEqual([200, 200, 429])
  })
})

describe('a server without a rate', () => {
  it('refuses nobody', async () => {
    const server = await startTestServer()

    const responses = await Promise.all(
      Array.from({ length: 1000 }, () => server.app.inject('/v2/')),
    )

    expect(responses.every(({ statusCode }) => statusCode === 200)).toBe(true)
  })
})
