import { describe, expect, it } from 'vitest'
import { pushImage } from '../support/images.js'
import { answerOf, ask, problemOf, walkPages } from '../support/management.js'
import { sharedTestServer, startTestServer } from '../support/server.js'

interface Repository {
  readonly name: string
  readonly createdAt: string
  readonly description: string
  readonly logicalBytes: number
  readonly listed: boolean
}

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const now = () => AT
const AT_TEXT = '2026-01-02T03:04:05.678Z'

const APP = '/repositories/team%2Fapp'

describe('GET /api/v1/repositories', () => {
  it('has what the catalog has, with sizes and times', async () => {
    const { app } = await startTestServer({ now })
    const { manifest } = await pushImage(app, 'team/app', 'v1', { config: '{}', layers: ['abc'] })

    const answer = await answerOf(app, 'GET', '/repositories')

    expect(answer).toEqual({
      items: [
        {
          name: 'team/app',
          createdAt: AT_TEXT,
          description: '',
          logicalBytes: manifest.length + 2 + 3,
          listed: true,
          visibility: 'private',
        },
      ],
    })
  })

  it.each([1, 2, 3, 100])('is walked by cursors of pages of %i', async (limit) => {
    const { app } = await startTestServer()
    for (const name of ['b', 'a%2Fb', 'a', 'c']) {
      await answerOf(app, 'PUT', `/repositories/${name}`, { description: 'x' })
    }

    const all = await walkPages<Repository>(app, '/repositories', limit)
    const some = await walkPages<Repository>(app, '/repositories?prefix=a', limit)

    expect(all.items.map(({ name }) => name)).toEqual(['a', 'a/b', 'b', 'c'])
    expect(all.pages).toBe(Math.ceil(4 / limit))
    expect(some.items.map(({ name }) => name)).toEqual(['a', 'a/b'])
    expect(some.pages).toBe(Math.ceil(2 / limit))
  })
})

describe('PUT /api/v1/repositories/{name}', () => {
  /** Has no repository. */
  const refusing = sharedTestServer()

  it('makes a described repository that stays in the catalog', async () => {
    const { app } = await startTestServer({ now })

    const created = await ask(app, 'PUT', APP, {
      body: { description: 'Ours.' },
    })

    expect(created.statusCode).toBe(201)
    expect(created.headers.location).toBe('/api/v1/repositories/team%2Fapp')
    expect(created.json()).toEqual({
      name: 'team/app',
      createdAt: AT_TEXT,
      description: 'Ours.',
      logicalBytes: 0,
      listed: true,
      visibility: 'private',
    })
    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: ['team/app'] })
    expect(await answerOf(app, 'GET', APP)).toEqual(created.json())
  })

  it('changes a description; an empty one lets an empty repository leave the catalog', async () => {
    const { app } = await startTestServer()
    const describe = (description: string) => ask(app, 'PUT', APP, { body: { description } })
    await describe('first')

    const changed = await describe('second')
    const emptied = await describe('')

    expect([changed.statusCode, emptied.statusCode]).toEqual([200, 200])
    expect(changed.json()).toMatchObject({ description: 'second', listed: true })
    expect(emptied.json()).toMatchObject({ description: '', listed: false })
    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })
  })

  it('gives docker search a description', async () => {
    const { app } = await startTestServer()
    await answerOf(app, 'PUT', APP, { description: 'Two\n  lines.' })

    const { results } = (await app.inject('/v1/search?q=team')).json<{ results: object[] }>()

    expect(results).toMatchObject([{ name: 'team/app', description: 'Two lines.' }])
  })

  it.each([
    [{}, 'description'],
    [{ description: 5 }, 'description'],
    [{ description: null }, 'description'],
    [{ description: 'x'.repeat(4001) }, 'description'],
    [{ description: 'x', owner: 'me' }, 'owner'],
    [[], ''],
    ['text', ''],
  ])('refuses %.40j, and changes nothing', async (body, member) => {
    const { app } = refusing

    const response = await ask(app, 'PUT', APP, { body })

    expect(response.statusCode).toBe(400)
    expect(problemOf(response).errors).toMatchObject([{ member }])
    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })
  })

  it.each(['', '{', '{"description":"a","description":"b"}', '{"description":"\xff"}'])(
    'refuses a body that is no JSON: %s',
    async (text) => {
      const { app } = refusing

      const response = await app.inject({
        method: 'PUT',
        url: `/api/v1${APP}`,
        headers: { 'content-type': 'application/json; charset=utf-8' },
        payload: Buffer.from(text, 'latin1'),
      })

      expect(response.statusCode).toBe(400)
      expect(problemOf(response).code).toBe('REQUEST_INVALID')
    },
  )

  it.each(['text/plain', 'application/x-www-form-urlencoded', ''])(
    'refuses a body that a page elsewhere could send: "%s"',
    async (contentType) => {
      const { app } = refusing

      const response = await app.inject({
        method: 'PUT',
        url: `/api/v1${APP}`,
        headers: { 'content-type': contentType },
        payload: '{"description":"x"}',
      })

      expect(response.statusCode).toBe(415)
      expect(problemOf(response).code).toBe('MEDIA_TYPE_INVALID')
    },
  )

  it('refuses a body of more than a mebibyte', async () => {
    const { app } = refusing

    const response = await ask(app, 'PUT', APP, { body: { description: 'x'.repeat(1 << 20) } })

    expect(response.statusCode).toBe(413)
    expect(problemOf(response).code).toBe('BODY_TOO_LARGE')
  })

  it('refuses names that are none, and those that are not there', async () => {
    const { app } = refusing
    const put = (name: string, description: string) =>
      ask(app, 'PUT', `/repositories/${name}`, { body: { description } })

    expect(problemOf(await put('Team', 'x'))).toMatchObject({ status: 400, code: 'NAME_INVALID' })
    expect(problemOf(await put('%231', 'x'))).toMatchObject({ status: 400, code: 'NAME_INVALID' })
    expect(problemOf(await put('team', ''))).toMatchObject({ status: 404, code: 'NAME_UNKNOWN' })
    expect((await ask(app, 'GET', '/repositories/team')).statusCode).toBe(404)
  })
})
