import { describe, expect, it } from 'vitest'
import { pushBlob, pushImage } from '../support/images.js'
import { answerOf, ask, problemOf } from '../support/management.js'
import { sharedTestServer, startTestServer } from '../support/server.js'

const APP = 'team/app'
const REPOSITORY = '/repositories/team%2Fapp'

async function digestOf(app: Parameters<typeof ask>[0], tag: string): Promise<string | undefined> {
  const response = await app.inject({ method: 'HEAD', url: `/v2/${APP}/manifests/${tag}` })
  return response.headers['docker-content-digest'] as string | undefined
}

describe('DELETE of a repository', () => {
  it('wants its name once more, and tells until when it can come back', async () => {
    const now = Date.now()
    const { app } = await startTestServer({ now: () => now })
    await pushImage(app, APP, 'v1')

    const refused = await ask(app, 'DELETE', REPOSITORY)
    expect(refused.statusCode).toBe(400)
    expect(problemOf(refused).detail).toContain('once more')
    expect(await digestOf(app, 'v1')).toBeDefined()

    const answer = await answerOf(app, 'DELETE', `${REPOSITORY}?confirm=team%2Fapp`)
    expect(answer).toEqual({ restorableUntil: new Date(now + 7 * 86_400_000).toISOString() })
    expect(await digestOf(app, 'v1')).toBeUndefined()
    expect((await ask(app, 'DELETE', `${REPOSITORY}?confirm=team%2Fapp`)).statusCode).toBe(404)
  })
})

describe('POST of a restore', () => {
  const refusing = sharedTestServer()
  const restore = `${REPOSITORY}/restore`

  it('brings a repository back whole, or says why not', async () => {
    const { app } = await startTestServer()
    const { digest } = await pushImage(app, APP, 'v1')
    await answerOf(app, 'DELETE', `${REPOSITORY}?confirm=team%2Fapp`)
    await pushImage(app, APP, 'v1', { config: 'pushed since' })

    const refused = await ask(app, 'POST', restore, { body: {} })
    expect(refused.statusCode).toBe(409)
    expect(problemOf(refused)).toMatchObject({ code: 'CONFLICT' })

    expect(await answerOf(app, 'POST', restore, { as: 'team/old' })).toEqual({})
    const { headers } = await app.inject({ method: 'HEAD', url: '/v2/team/old/manifests/v1' })
    expect(headers['docker-content-digest']).toBe(digest)
    expect((await ask(app, 'POST', restore, { body: {} })).statusCode).toBe(404)
  })

  it('brings a repository back though a push to its name has begun, or was given up', async () => {
    const { app } = await startTestServer()
    const { digest } = await pushImage(app, APP, 'v1')
    await answerOf(app, 'DELETE', `${REPOSITORY}?confirm=team%2Fapp`)
    await pushBlob(app, APP, 'the first layer')
    expect(await answerOf(app, 'GET', REPOSITORY)).toMatchObject({ listed: false })
    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })

    expect(await answerOf(app, 'POST', restore, {})).toEqual({})

    expect(await digestOf(app, 'v1')).toBe(digest)
    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: [APP] })
  })

  it('brings a tag back, as it was before its last change and at a time', async () => {
    let now = Date.now()
    const { app } = await startTestServer({ now: () => now })
    const digests: string[] = []
    for (const config of ['one', 'two', 'three']) {
      digests.push((await pushImage(app, APP, 'latest', { config })).digest)
      now += 1000
    }

    expect(await answerOf(app, 'POST', restore, { tag: 'latest' })).toEqual({
      ...{ digest: digests[1], changed: true },
    })
    const at = new Date(now - 3000).toISOString()
    expect(await answerOf(app, 'POST', restore, { tag: 'latest', at })).toEqual({
      ...{ digest: digests[0], changed: true },
    })
    expect(await answerOf(app, 'POST', restore, { tag: 'latest', at })).toEqual({
      ...{ digest: digests[0], changed: false },
    })
    expect(await digestOf(app, 'latest')).toBe(digests[0])
  })

  it('brings back every tag as it was at a time, also those that a delete took along', async () => {
    let now = Date.now()
    const { app } = await startTestServer({ now: () => now })
    const { digest } = await pushImage(app, APP, 'a')
    await pushImage(app, APP, 'b')
    const at = new Date(now).toISOString()
    now += 1000
    await app.inject({ method: 'DELETE', url: `/v2/${APP}/manifests/${digest}` })
    expect(await digestOf(app, 'a')).toBeUndefined()

    const restored = await answerOf(app, 'POST', restore, { at })

    expect(restored).toEqual({ tags: ['a', 'b'], tagCount: 2, lostCount: 0, keptCount: 0 })
    expect(await digestOf(app, 'b')).toBe(digest)
  })

  it('tells how many tags of a time stay as they are, as they are immutable', async () => {
    let now = Date.now()
    const first = await startTestServer({ now: () => now })
    await pushImage(first.app, APP, 'v1', { config: 'one' })
    const at = new Date(now).toISOString()
    now += 1000
    const { digest } = await pushImage(first.app, APP, 'v1', { config: 'two' })
    await first.server.close()
    const { app } = await startTestServer({
      now: () => now,
      dataDirectory: first.dataDirectory,
      config: { tags: { immutable: [{ repositories: '**', tags: 'v*' }] } },
    })

    const restored = await answerOf(app, 'POST', restore, { at })

    expect(restored).toEqual({ tags: [], tagCount: 0, lostCount: 0, keptCount: 1 })
    expect(await digestOf(app, 'v1')).toBe(digest)
  })

  it('brings back a manifest with the tags that went with it', async () => {
    const { app } = await startTestServer()
    const { digest } = await pushImage(app, APP, 'a')
    await app.inject({ method: 'DELETE', url: `/v2/${APP}/manifests/${digest}` })

    await answerOf(app, 'POST', restore, { digest })

    expect(await digestOf(app, 'a')).toBe(digest)
  })

  it.each([
    [{ as: 'other', tag: 'v1' }, 400],
    [{ digest: `sha256:${'0'.repeat(64)}`, tag: 'v1' }, 400],
    [{ tag: 'never' }, 404],
    [{ tag: 'v1' }, 404],
    [{ tag: '-' }, 400],
    [{ at: 'yesterday' }, 400],
    [{ at: '2026-11-21T18:30:05' }, 400],
    [{ at: '2026-02-30T00:00:00Z' }, 400],
    [{ digest: `sha256:${'0'.repeat(64)}` }, 404],
    [{ as: 'Not A Name' }, 400],
    [{ everything: true }, 400],
  ])('refuses %j with %i, and changes nothing', async (body, status) => {
    const { app } = refusing
    const { digest } = await pushImage(app, APP, 'v1')

    const response = await ask(app, 'POST', restore, { body })

    expect(response.statusCode).toBe(status)
    expect(problemOf(response).status).toBe(status)
    expect(await digestOf(app, 'v1')).toBe(digest)
  })
})
