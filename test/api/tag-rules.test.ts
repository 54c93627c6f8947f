import { describe, expect, it } from 'vitest'
import { prepareImage, pushImage, putManifest, sha256 } from '../support/images.js'
import { startTestServer, type TestServer } from '../support/server.js'

const name = 'team/app'

const REFUSAL = 'the tag v1 of team/app is immutable: it cannot be overwritten or deleted'

function startWithRules(): Promise<TestServer> {
  return startTestServer({
    config: {
      tags: {
        immutable: [
          { repositories: 'team/*', tags: 'v*' },
          { repositories: 'team/**', tags: 'release' },
        ],
        protected: [{ repositories: '**', tags: 'latest' }],
      },
    },
  })
}

function refusalIn({ body }: { readonly body: string }) {
  return (JSON.parse(body) as { errors: { code: string; message: string }[] }).errors[0]
}

describe('an immutable tag', () => {
  it('is written once: another manifest is refused with a sentence that clients print', async () => {
    const { app } = await startWithRules()
    const { digest } = await pushImage(app, name, 'v1')
    const other = await prepareImage(app, name, { config: '{"a":1}' })

    const put = await putManifest(app, name, 'v1', other)

    expect(put.statusCode).toBe(403)
    expect(refusalIn(put)).toMatchObject({ code: 'DENIED', message: REFUSAL })
    const { headers } = await app.inject(`/v2/${name}/manifests/v1`)
    expect(headers['docker-content-digest']).toBe(digest)
    expect((await app.inject(`/v2/${name}/manifests/${sha256(other)}`)).statusCode).toBe(404)
  })

  it('cannot be moved by a tag parameter either, and then no tag is', async () => {
    const { app } = await startWithRules()
    await pushImage(app, name, 'v1')
    const other = await prepareImage(app, name, { config: '{"a":1}' })

    const put = await putManifest(app, name, sha256(other), other, { query: '?tag=new&tag=v1' })

    expect(put.statusCode).toBe(403)
    const { tags } = JSON.parse((await app.inject(`/v2/${name}/tags/list`)).body) as {
      tags: string[]
    }
    expect(tags).toEqual(['v1'])
  })

  it.each(['v1', sha256('the digest')])('stays when %s is deleted', async (reference) => {
    const { app } = await startWithRules()
    const { digest } = await pushImage(app, name, 'v1')
    const target = reference === 'v1' ? 'v1' : digest

    const removal = await app.inject({
      method: 'DELETE',
      url: `/v2/${name}/manifests/${target}`,
    })

    expect(removal.statusCode).toBe(403)
    expect(refusalIn(removal)?.message).toContain('the tag v1 of team/app')
    expect((await app.inject(`/v2/${name}/manifests/v1`)).statusCode).toBe(200)
  })

  it('is one only where its repository is in the pattern', async () => {
    const { app } = await startWithRules()

    for (const repository of ['other/app', 'team/app/web']) {
      await pushImage(app, repository, 'v1')
      await pushImage(app, repository, 'v1', { config: '{"a":1}' })
      const { statusCode } = await app.inject({
        method: 'DELETE',
        url: `/v2/${repository}/manifests/v1`,
      })
      expect(statusCode).toBe(202)
    }
  })

  it('is won by exactly one of two pushes at once, again and again', async () => {
    const { app } = await startWithRules()
    const manifests = [
      await prepareImage(app, name),
      await prepareImage(app, name, { config: '{"a":1}' }),
    ]
    for (let round = 0; round < 60; round++) {
      const answers = await Promise.all(
        manifests.map((manifest) => putManifest(app, name, `v${round}`, manifest)),
      )

      expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([201, 403])
      const winner = answers.find(({ statusCode }) => statusCode === 201)
      const { headers } = await app.inject(`/v2/${name}/manifests/v${round}`)
      expect(headers['docker-content-digest']).toBe(winner?.headers['docker-content-digest'])
    }
  })
})

describe('a protected tag', () => {
  it('may move but not be deleted', async () => {
    const { app } = await startWithRules()
    await pushImage(app, name, 'latest')
    const { digest } = await pushImage(app, name, 'latest', { config: '{"a":1}' })

    for (const reference of ['latest', digest]) {
      const removal = await app.inject({
        method: 'DELETE',
        url: `/v2/${name}/manifests/${reference}`,
      })
      expect(removal.statusCode).toBe(403)
      expect(refusalIn(removal)?.message).toMatch(/protected: it cannot be deleted$/)
    }
    const { headers } = await app.inject(`/v2/${name}/manifests/latest`)
    expect(headers['docker-content-digest']).toBe(digest)
  })
})
