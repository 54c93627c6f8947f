import type { FastifyInstance } from 'fastify'
import { beforeEach, describe, expect, it } from 'vitest'
import { codesOf, indexOf, OCI_INDEX, pushBlob, pushImage, putManifest } from '../support/images.js'
import { ownName, sharedTestServer, startTestServer } from '../support/server.js'

/** One that the catalog shows. */
const makeRepository = (app: FastifyInstance, name: string) =>
  putManifest(app, name, 'v1', indexOf([]), { contentType: OCI_INDEX })

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Names that only a comparison of bytes puts in one order: prefixes, cases, every separator. */
const TAGS = [
  'a',
  'A',
  'a.',
  'a-',
  'a_',
  'a0',
  'aa',
  'a.b',
  'B',
  'b',
  '_',
  '0',
  '10',
  '9',
  'Z',
  'z-9',
]
const REPOSITORIES = [
  'a',
  'a/a',
  'a-a',
  'a.a',
  'a_a',
  'a__a',
  'a0',
  'aa',
  'a/b',
  'a--a',
  '0',
  'z',
  'b/a/c',
]

async function tag(app: FastifyInstance, name: string, tags: readonly string[]): Promise<void> {
  const { manifest } = await pushImage(app, name, tags[0])
  for (const other of tags.slice(1)) await putManifest(app, name, other, manifest)
}

/** Follows the links of a list, and gives all its entries and how many pages they were on. */
async function walk(app: FastifyInstance, start: string, member: 'tags' | 'repositories') {
  const entries: string[] = []
  let pages = 0
  let next: string | undefined = start
  while (next !== undefined) {
    const response = await app.inject(next)
    expect(response.statusCode).toBe(200)
    entries.push(...response.json<Record<string, string[]>>()[member]!)
    pages++
    const link = response.headers.link as string | undefined
    next = link === undefined ? undefined : /^<(\/[^>]*)>; rel="next"$/.exec(link)?.[1]
    if (link !== undefined) expect(next).toBeDefined()
  }
  return { entries, pages }
}

describe('the tag list', () => {
  const registry = sharedTestServer()

  /** The repository of a test. */
  let name = ''
  beforeEach(() => {
    name = ownName()
  })

  it('is in byte order, and exactly JSON', async () => {
    const { app } = registry
    await tag(app, name, TAGS)

    const response = await app.inject(`/v2/${name}/tags/list`)

    expect(response.headers['content-type']).toBe('application/json')
    expect(response.json()).toEqual({ name, tags: [...TAGS].sort(byBytes) })
    expect(response.headers.link).toBeUndefined()
  })

  it.each([1, 2, 3, TAGS.length - 1, TAGS.length, TAGS.length + 1])(
    'has every tag once in pages of %i, and no link on the last',
    async (n) => {
      const { app } = registry
      await tag(app, name, TAGS)

      const { entries, pages } = await walk(app, `/v2/${name}/tags/list?n=${n}&ns=x`, 'tags')

      expect(entries).toEqual([...TAGS].sort(byBytes))
      expect(pages).toBe(Math.ceil(TAGS.length / n))
    },
  )

  it('begins behind last, which need not exist, also without n', async () => {
    const { app } = registry
    await tag(app, name, ['a', 'b', 'c'])

    const after = async (last: string) =>
      (await app.inject(`/v2/${name}/tags/list?last=${last}`)).json<{ tags: string[] }>().tags

    expect(await after('a')).toEqual(['b', 'c'])
    expect(await after('aa')).toEqual(['b', 'c'])
    expect(await after('c')).toEqual([])
    expect(await after('%00')).toEqual(['a', 'b', 'c'])
    expect(await after('')).toEqual(['a', 'b', 'c'])
  })

  it('is empty without a link for n=0', async () => {
    const { app } = registry
    await tag(app, name, ['a', 'b'])

    const response = await app.inject(`/v2/${name}/tags/list?n=0`)

    expect(response.json()).toEqual({ name, tags: [] })
    expect(response.headers.link).toBeUndefined()
  })

  it('keeps other parameters in its link, and encodes what needs it', async () => {
    const { app } = registry
    await tag(app, name, ['a', 'b'])

    const response = await app.inject(`/v2/${name}/tags/list?n=1&ns=docker.io%2Fx`)

    expect(response.headers.link).toBe(
      `</v2/${name}/tags/list?n=1&ns=docker.io%2Fx&last=a>; rel="next"`,
    )
  })

  it.each(['-1', 'x', '', '1.5', '0x10', '1e3', '%20', '1&n=2', '1&last=a&last=b'])(
    'refuses n=%s',
    async (n) => {
      const { app } = registry
      await tag(app, name, ['a'])

      for (const url of [`/v2/${name}/tags/list`, '/v2/_catalog']) {
        const response = await app.inject(`${url}?n=${n}`)
        expect([response.statusCode, ...codesOf(response)]).toEqual([
          400,
          'PAGINATION_NUMBER_INVALID',
        ])
      }
    },
  )

  it.each(['1000000', '99999999999999999999999'])('takes n=%s for the most it gives', async (n) => {
    const { app } = registry
    await tag(app, name, ['a'])

    expect((await app.inject(`/v2/${name}/tags/list?n=${n}`)).statusCode).toBe(200)
    expect((await app.inject(`/v2/_catalog?n=${n}`)).statusCode).toBe(200)
  })

  it('is 404 for a repository that does not exist, and empty for one without tags', async () => {
    const { app } = registry
    await pushBlob(app, 'only/blobs', 'x')
    await pushImage(app, 'only/digests')

    const none = await app.inject(`/v2/${ownName()}/tags/list`)

    expect([none.statusCode, ...codesOf(none)]).toEqual([404, 'NAME_UNKNOWN'])
    for (const without of ['only/blobs', 'only/digests']) {
      const response = await app.inject(`/v2/${without}/tags/list`)
      expect(response.json()).toEqual({ name: without, tags: [] })
    }
  })
})

describe('the catalog', () => {
  it('is empty at first', async () => {
    const { app } = await startTestServer()

    const response = await app.inject('/v2/_catalog')

    expect(response.headers['content-type']).toBe('application/json')
    expect(response.body).toBe('{"repositories":[]}')
  })

  /** Has these repositories alone. */
  const registry = sharedTestServer()

  it.each([1, 2, 5, REPOSITORIES.length, 1000])(
    'has every repository once in pages of %i, in byte order',
    async (n) => {
      const { app } = registry
      for (const name of REPOSITORIES) await makeRepository(app, name)

      const { entries, pages } = await walk(app, `/v2/_catalog?n=${n}`, 'repositories')

      expect(entries).toEqual([...REPOSITORIES].sort(byBytes))
      expect(pages).toBe(Math.ceil(REPOSITORIES.length / n))
    },
  )

  it('gives a hundred when nobody says how many', async () => {
    const { app } = await startTestServer()
    for (let index = 0; index < 101; index++) await makeRepository(app, `r${index}`)

    const response = await app.inject('/v2/_catalog')

    expect(response.json<{ repositories: string[] }>().repositories).toHaveLength(100)
    expect(response.headers.link).toContain('n=100')
  })
})
