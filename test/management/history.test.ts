import { describe, expect, it } from 'vitest'
import { pushImage } from '../support/images.js'
import { answerOf, ask, problemOf, walkPages } from '../support/management.js'
import { startTestServer } from '../support/server.js'

const APP = '/repositories/team%2Fapp'

describe('GET /api/v1/repositories/{name}/history', () => {
  it('tells who moved and deleted what, and when', async () => {
    let at = Date.UTC(2026, 0, 2)
    const { app } = await startTestServer({ now: () => at })
    const first = await pushImage(app, 'team/app', 'v1', { config: '1' })
    at += 1000
    const second = await pushImage(app, 'team/app', 'v1', { config: '2' })
    at += 1000
    await answerOf(app, 'DELETE', `${APP}/tags/v1`)
    at += 1000
    await answerOf(app, 'DELETE', `${APP}/manifests/${first.digest}`)
    const by = 'anonymous'
    const expected = [
      { action: 'deleted', from: first.digest, at: '2026-01-02T00:00:03.000Z', by },
      { action: 'deleted', tag: 'v1', from: second.digest, at: '2026-01-02T00:00:02.000Z', by },
      {
        action: 'moved',
        tag: 'v1',
        from: first.digest,
        to: second.digest,
        at: '2026-01-02T00:00:01.000Z',
        by,
      },
      { action: 'moved', tag: 'v1', to: first.digest, at: '2026-01-02T00:00:00.000Z', by },
    ]

    for (const limit of [1, 3, 4, 100]) {
      const { items } = await walkPages<{ id?: number }>(app, `${APP}/history`, limit)
      const ofTag = await walkPages<{ id?: number }>(app, `${APP}/history?tag=v1`, limit)

      expect(items).toMatchObject(expected)
      expect(ofTag.items).toEqual(items.slice(1))
    }
  })

  it('is refused for what cannot have one', async () => {
    const { app } = await startTestServer()

    expect(problemOf(await ask(app, 'GET', `${APP}/history`)).code).toBe('NAME_UNKNOWN')
    expect(problemOf(await ask(app, 'GET', `${APP}/history?tag=-`)).code).toBe('TAG_INVALID')
    expect(problemOf(await ask(app, 'GET', `${APP}/history?tag=a&tag=b`)).status).toBe(400)
  })
})

describe('GET /api/v1/deleted-repositories', () => {
  it('is empty where none was deleted', async () => {
    const { app } = await startTestServer()
    await pushImage(app, 'team/app', 'v1')

    expect(await answerOf(app, 'GET', '/deleted-repositories')).toEqual({ items: [] })
  })
})
