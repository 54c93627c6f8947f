import type { FastifyInstance } from 'fastify'
import { describe, expect, it } from 'vitest'
import { indexOf, OCI_INDEX, pushImage, putManifest, type ImageOptions } from '../support/images.js'
import { sharedTestServer, startTestServer } from '../support/server.js'

interface SearchAnswer {
  query: string
  num_results: number
  results: { name: string; description: string; star_count: number }[]
}

async function search(app: FastifyInstance, query: string): Promise<SearchAnswer> {
  const response = await app.inject(`/v1/search${query}`)
  expect(response.statusCode).toBe(200)
  return response.json<SearchAnswer>()
}

const makeRepository = (app: FastifyInstance, name: string) =>
  putManifest(app, name, 'v1', indexOf([]), { contentType: OCI_INDEX })

const namesOf = ({ results }: SearchAnswer) => results.map(({ name }) => name)

describe('GET /v1/_ping', () => {
  it('says that this registry stands alone', async () => {
    const { app } = await startTestServer()

    const response = await app.inject('/v1/_ping')

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ standalone: true })
    expect(response.headers['x-docker-registry-standalone']).toBe('true')
  })
})

describe('GET /v1/search', () => {
  it('answers in the form docker and podman decode', async () => {
    const { app } = await startTestServer()
    await pushImage(app, 'team/app', 'v1')

    expect(await search(app, '?q=app&n=25')).toEqual({
      query: 'app',
      num_results: 1,
      results: [
        {
          name: 'team/app',
          description: '',
          star_count: 0,
          is_official: false,
          is_automated: false,
        },
      ],
    })
  })

  it('finds parts of names: the exact one first, then those that begin so, then others', async () => {
    const { app } = await startTestServer()
    for (const name of ['my/app', 'app/x', 'wrapper', 'app', 'appliance', 'other']) {
      await makeRepository(app, name)
    }

    const names = namesOf(await search(app, '?q=app'))

    expect(names.slice(0, 3)).toEqual(['app', 'app/x', 'appliance'])
    expect(names.slice(3).sort()).toEqual(['my/app', 'wrapper'])
    expect(namesOf(await search(app, '?q=APP'))).toEqual(names)
    expect(namesOf(await search(app, '?q=library/app'))).toEqual(names)
    expect(namesOf(await search(app, '?q=p'))).toHaveLength(5)
    expect(namesOf(await search(app, ''))).toHaveLength(6)
  })

  const registry = sharedTestServer()
  it.each(['%25', 'a*', '"app"', 'app%20OR%20other', '-app', '%00', 'NEAR(app)', "app'--"])(
    'finds nothing for %s, which no name can contain',
    async (term) => {
      const { app } = registry
      await makeRepository(app, 'app')

      expect(namesOf(await search(app, `?q=${term}`))).toEqual([])
    },
  )

  it('gives as many as asked for, 25 otherwise and 100 at most', async () => {
    const { app } = await startTestServer()
    for (let index = 0; index < 110; index++) await makeRepository(app, `app${index}`)

    for (const [n, count] of [
      ['', 25],
      ['&n=1', 1],
      ['&n=40', 40],
      ['&n=1000', 100],
      ['&n=0', 25],
      ['&n=x', 25],
    ] as const) {
      expect(namesOf(await search(app, `?q=app${n}`))).toHaveLength(count)
    }
  })

  const label = { 'org.opencontainers.image.description': 'By label' }
  it.each<[string, ImageOptions, string]>([
    [
      'annotation',
      { members: { annotations: { 'org.opencontainers.image.description': 'By\n annotation ' } } },
      'By annotation',
    ],
    ['label', { config: JSON.stringify({ config: { Labels: label } }) }, 'By label'],
    ['nothing', { config: '[1]' }, ''],
    ['something that is no image config', { config: 'no JSON' }, ''],
    ['labels that are no texts', { config: '{"config":{"Labels":{"description":5}}}' }, ''],
  ])('describes a repository by the %s of its newest tag', async (_what, image, expected) => {
    const { app } = await startTestServer()
    await pushImage(app, 'app', 'v1', { layers: ['older'] })
    await pushImage(app, 'app', 'v2', image)

    expect((await search(app, '?q=app')).results[0]?.description).toBe(expected)
  })

  it('describes an index by its first child', async () => {
    const { app } = await startTestServer()
    const { digest, manifest } = await pushImage(app, 'app', undefined, {
      config: JSON.stringify({ config: { Labels: label } }),
    })
    await putManifest(app, 'app', 'v1', indexOf([{ digest, size: manifest.length }]), {
      contentType: OCI_INDEX,
    })

    expect((await search(app, '?q=app')).results[0]?.description).toBe('By label')
  })
})
