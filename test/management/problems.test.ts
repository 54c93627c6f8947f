import { request } from 'node:http'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { pushImage } from '../support/images.js'
import { ask, problemOf } from '../support/management.js'
import { operatorTokenOf, sharedTestServer } from '../support/server.js'

const registry = sharedTestServer()

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

function operatorHeaders(app: Parameters<typeof operatorTokenOf>[0]) {
  return { authorization: `Bearer ${operatorTokenOf(app)}` }
}

describe('a refusal of the management API', () => {
  it.each([
    ['/api/v1/runs/1', 404, 'RUN_UNKNOWN'],
    ['/api/v1/runs?limit=0', 400, 'REQUEST_INVALID'],
    ['/api/v1/nothing', 404, 'ENDPOINT_UNKNOWN'],
    ['/api/v1/runs/', 404, 'ENDPOINT_UNKNOWN'],
    ['/api/v1/runs/1/2', 404, 'ENDPOINT_UNKNOWN'],
    ['/api/v1', 404, 'ENDPOINT_UNKNOWN'],
    ['/api/v2/runs', 404, 'ENDPOINT_UNKNOWN'],
    ['/api/', 404, 'ENDPOINT_UNKNOWN'],
    ['/api', 404, 'ENDPOINT_UNKNOWN'],
    ['/api/%ZZ', 400, 'REQUEST_INVALID'],
    [`/api/v1/runs?cursor=${'x'.repeat(40_000)}`, 414, 'URL_TOO_LONG'],
  ])('is a problem document: %.60s', async (url, status, code) => {
    const { app } = registry

    const response = await app.inject({ url, headers: operatorHeaders(app) })

    expect(response.statusCode).toBe(status)
    expect(response.headers['content-type']).toBe('application/problem+json')
    expect(problemOf(response)).toMatchObject({ type: 'about:blank', status, code })
    expect(problemOf(response).title).toMatch(/^[A-Z]/)
    expect(problemOf(response).detail).toMatch(/^\S.*[^.]$/)
  })

  it('has another form beside the API', async () => {
    const { app } = registry

    const response = await app.inject('/apis')

    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ errors: [{ code: 'NAME_UNKNOWN' }] })
  })

  it.each(METHODS.filter((method) => method !== 'GET'))(
    'says which methods are possible where %s is not',
    async (method) => {
      const { app } = registry

      const response = await app.inject({ method, url: '/api/v1/runs' })

      expect(response.statusCode).toBe(405)
      expect(response.headers.allow).toBe('GET')
    },
  )

  it.each([
    ['DELETE', '/repositories/app/tags/v1?dryRun=true', undefined, 'dryRun'],
    ['DELETE', '/repositories/app/tags/v1', { dryRun: true }, 'body'],
    ['GET', '/repositories/app?bogus=1', undefined, 'bogus'],
    ['GET', '/gc?x=1', undefined, 'x'],
    ['GET', '/openapi.json?x=1', undefined, 'x'],
  ] as const)('is for what %s %s does not know, and nothing has changed', async (...request) => {
    const [method, path, body, unknown] = request
    const { app } = registry
    await pushImage(app, 'app', 'v1')

    const response = await ask(app, method, path, { body })

    expect(response.statusCode).toBe(400)
    expect(problemOf(response)).toMatchObject({ code: 'REQUEST_INVALID' })
    expect(problemOf(response).detail).toContain(unknown)
    expect((await app.inject('/v2/app/manifests/v1')).statusCode).toBe(200)
  })

  it('names every member that is wrong', async () => {
    const { app } = registry

    const response = await ask(app, 'GET', '/runs?limit=many&kind=nonsense&colour=red')

    expect(response.statusCode).toBe(400)
    const { errors } = problemOf(response)
    expect(errors?.map(({ member }) => member).toSorted()).toEqual(['colour', 'kind', 'limit'])
  })

  it.each(['x', 'YQ==', 'YQ', '____', 'LTE', 'MS41'])(
    'is what a cursor gets that no list has given: %s',
    async (cursor) => {
      const { app } = registry

      const response = await ask(app, 'GET', `/runs?cursor=${cursor}`)

      expect(response.statusCode).toBe(400)
      expect(problemOf(response).detail).toMatch('cursor')
    },
  )

  it('comes before a body that nothing would take', async () => {
    const { url } = registry
    const upload = request(`${url}/api/v1/runs`, {
      method: 'PUT',
      headers: { 'content-length': 1000, expect: '100-continue' },
    })
    const answered = once(upload, 'response')
    let isInvited = false
    upload.on('continue', () => (isInvited = true))
    upload.flushHeaders()

    const [answer] = (await answered) as [{ statusCode: number; resume(): void }]
    answer.resume()
    upload.destroy()

    expect(answer.statusCode).toBe(405)
    expect(isInvited).toBe(false)
  })
})
