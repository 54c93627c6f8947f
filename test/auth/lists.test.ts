import { describe, expect, it } from 'vitest'
import type { Action } from '../../src/metadata/accounts.js'
import { basic, challengeOf, startWithAccounts, type AccountsWorld } from '../support/accounts.js'
import {
  codesOf,
  prepareImage,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'
import { operatorTokenOf } from '../support/server.js'

const NAMES = [
  'alpha',
  'apple',
  'bravo/a',
  'bravo/b',
  'bravo/b/c',
  'hidden/x',
  'open/x',
  'open/y',
  'zulu',
]

/** Many repositories, of which everybody sees others. */
async function world() {
  let at = 1_700_000_000_000
  const started = await startWithAccounts({ now: () => at++ })
  const admin = started.as(started.admin)
  for (const name of NAMES) await pushImage(admin, name, 'v1')
  for (const name of ['open/x', 'open/y']) await started.show(name, 'public')
  await started.user('alice')
  await started.grant('user alice', 'bravo/**', 'pull')
  await started.grant('user alice', 'a*', 'delete')
  await started.user('bob')
  await started.grant('user bob', 'bravo/*', 'create')
  await started.user('nothing')
  await started.grant('signed-in', 'zulu', 'pull')
  const limited = await started.token('admin', {
    scope: [{ pattern: 'bravo/**', actions: ['pull'] }],
  })
  const narrow = await started.token('alice', {
    scope: [{ pattern: '*', actions: ['pull'] }],
  })
  const wide = await started.token('bob', {
    scope: [{ pattern: '**', actions: ['pull'] }],
  })
  const everybody: Readonly<Record<string, [string | undefined, readonly string[]]>> = {
    admin: [started.admin, NAMES],
    alice: [
      basic('alice'),
      ['alpha', 'apple', 'bravo/a', 'bravo/b', 'bravo/b/c', 'open/x', 'open/y', 'zulu'],
    ],
    bob: [basic('bob'), ['bravo/a', 'bravo/b', 'open/x', 'open/y', 'zulu']],
    nothing: [basic('nothing'), ['open/x', 'open/y', 'zulu']],
    'a limited token of an admin': [
      limited.authorization,
      ['bravo/a', 'bravo/b', 'bravo/b/c', 'open/x', 'open/y'],
    ],
    'a limited token of alice': [
      narrow.authorization,
      ['alpha', 'apple', 'open/x', 'open/y', 'zulu'],
    ],
    'a token of bob that could have more than he has': [
      wide.authorization,
      ['bravo/a', 'bravo/b', 'open/x', 'open/y', 'zulu'],
    ],
    nobody: [undefined, ['open/x', 'open/y']],
  }
  return { world: started, everybody }
}

interface Catalog {
  readonly repositories: readonly string[]
}

/** Follows `Link` to the end. */
async function walkCatalog(started: AccountsWorld, authorization: string | undefined, n: number) {
  const pages: (readonly string[])[] = []
  let url: string | undefined = `/v2/_catalog?n=${n}`
  while (url !== undefined) {
    const response = await started.get(url, authorization)
    expect(response.statusCode).toBe(200)
    pages.push(response.json<Catalog>().repositories)
    const link: unknown = response.headers['link']
    url = /^<([^>]+)>/.exec(typeof link === 'string' ? link : '')?.[1]
    expect(pages.length).toBeLessThan(100)
  }
  return pages
}

interface Items {
  readonly items: readonly { readonly name: string }[]
  readonly nextCursor?: string
}

async function walkItems(
  started: AccountsWorld,
  authorization: string | undefined,
  path: string,
  limit: number,
) {
  const pages: string[][] = []
  let cursor = ''
  for (;;) {
    const response = await started.get(`${path}?limit=${limit}${cursor}`, authorization)
    expect(response.statusCode).toBe(200)
    const { items, nextCursor } = response.json<Items>()
    pages.push(items.map(({ name }) => name))
    if (nextCursor === undefined) return pages
    cursor = `&cursor=${nextCursor}`
    expect(pages.length).toBeLessThan(100)
  }
}

/** All pages but the last are full, and only what is empty has an empty one. */
function expectPages(pages: readonly (readonly string[])[], all: readonly string[], limit: number) {
  expect(pages.flat()).toEqual(all)
  expect(pages).toHaveLength(Math.max(1, Math.ceil(all.length / limit)))
}

describe('a list of repositories', () => {
  it('has what its reader may pull from, page by page to the end', async () => {
    const { world: started, everybody } = await world()
    for (const [who, [authorization, seen]] of Object.entries(everybody)) {
      // The catalog asks for a token, whoever asks.
      const shown = authorization ?? (await started.bearer(undefined, 'registry:catalog:*'))
      for (const limit of [1, 2, 3, 100]) {
        expectPages(await walkCatalog(started, shown, limit), seen, limit)
        const path = '/api/v1/repositories'
        expectPages(await walkItems(started, authorization, path, limit), seen, limit)
      }
      const search = await started.get('/v1/search?q=&n=100', authorization)
      const { results } = search.json<{ results: { name: string }[] }>()
      expect([who, results.map(({ name }) => name)]).toEqual([who, seen])
    }
  })

  it('begins where it is asked to, also behind what its reader may not see', async () => {
    const { world: started } = await world()

    const response = await started.get('/v2/_catalog?last=hidden/x&n=1', basic('bob'))

    expect(response.json()).toEqual({ repositories: ['open/x'] })
    const prefix = await started.get('/api/v1/repositories?prefix=h', basic('bob'))
    expect(prefix.json()).toEqual({ items: [] })
  })

  it('finds nothing by its name that its reader may not see', async () => {
    const { world: started, everybody } = await world()
    for (const term of ['hidden', 'hidden/x', 'x', 'idde', 'bravo', 'b', 'a', 'zulu', 'nowhere']) {
      for (const [who, [authorization, seen]] of Object.entries(everybody)) {
        const response = await started.get(`/v1/search?q=${term}&n=100`, authorization)
        const { results } = response.json<{ results: { name: string }[] }>()
        const found = results.map(({ name }) => name).sort()
        expect([who, term, found]).toEqual([who, term, seen.filter((n) => n.includes(term)).sort()])
      }
    }
  })

  it('is the whole of it for the operator, in the management API', async () => {
    const { world: started } = await world()
    const operator = `Bearer ${operatorTokenOf(started.app) ?? ''}`

    expectPages(await walkItems(started, operator, '/api/v1/repositories', 4), NAMES, 4)
  })

  it('asks nobody in particular to log in, where there is nothing for them', async () => {
    const started = await startWithAccounts()
    await pushImage(started.as(started.admin), 'team/app', 'v1')

    const response = await started.get('/v1/search?q=app')

    expect(response.statusCode).toBe(401)
    expect(challengeOf(response)['scope']).toBe('registry:catalog:*')
    const bearer = await started.bearer(undefined, 'registry:catalog:search')
    const search = await started.get('/v1/search?q=app', bearer)
    expect(search.json()).toMatchObject({ num_results: 0, results: [] })
    expect((await started.get('/v2/_catalog', bearer)).json()).toEqual({ repositories: [] })
  })

  it('changes with the rights, at once', async () => {
    const { world: started } = await world()
    const names = async () =>
      (await started.get('/v2/_catalog', basic('nothing'))).json<Catalog>().repositories

    await started.show('open/x', 'private')
    expect(await names()).toEqual(['open/y', 'zulu'])
    await started.namespace('hidden', { owner: 'user nothing' })
    expect(await names()).toEqual(['hidden/x', 'open/y', 'zulu'])
    await started.accounts.removeNamespace('hidden')
    expect(await names()).toEqual(['open/y', 'zulu'])
  })

  it('has full pages for who sees little among much', async () => {
    const { world: started } = await world()
    const admin = started.as(started.admin)
    // More than are read in one go for so small a page.
    for (let count = 100; count < 160; count++) await pushImage(admin, `bravo/b/n${count}`, 'v1')
    await started.grant('user nothing', 'bravo/**/n159', 'pull')
    const all = ['bravo/b/n159', 'open/x', 'open/y', 'zulu']

    for (const limit of [1, 2, 4]) {
      expectPages(await walkCatalog(started, basic('nothing'), limit), all, limit)
    }
  })
})

describe('the list of deleted repositories', () => {
  it('has what its reader could pull from if it were there, page by page to the end', async () => {
    const { world: started, everybody } = await world()
    for (const name of NAMES) {
      const url = `/api/v1/repositories/${encodeURIComponent(name)}?confirm=${name}`
      const response = await started.ask({ method: 'DELETE', url }, started.admin)
      expect(response.statusCode).toBe(200)
    }
    for (const [authorization, seen] of Object.values(everybody)) {
      for (const limit of [1, 2, 100]) {
        // What is gone is public no more.
        const all = seen.filter((name) => !name.startsWith('open/')).reverse()
        const isAll = seen.length === NAMES.length
        expectPages(
          await walkItems(started, authorization, '/api/v1/deleted-repositories', limit),
          isAll ? [...NAMES].reverse() : all,
          limit,
        )
      }
    }
  })
})

describe('a mount', () => {
  const layer = sha256('a layer')

  /** alice may push to `mine`, and pull from `seen`; `secret` is no business of hers. */
  async function mounting() {
    const started = await startWithAccounts()
    const admin = started.as(started.admin)
    await started.user('alice')
    await started.grant('user alice', 'mine/**', 'create')
    await started.grant('user alice', 'seen/**', 'pull')
    const mount = async (from: string | undefined, authorization = basic('alice')) => {
      const query = from === undefined ? '' : `&from=${encodeURIComponent(from)}`
      const url = `/v2/mine/app/blobs/uploads/?mount=${layer}${query}`
      const response = await started.ask({ method: 'POST', url }, authorization)
      const { statusCode, headers, body } = response
      const unlike = ['location', 'docker-upload-uuid', 'x-request-id', 'date']
      const rest = Object.entries(headers).filter(([name]) => !unlike.includes(name))
      return { statusCode, text: JSON.stringify([statusCode, rest, body]) }
    }
    return { world: started, admin, mount }
  }

  it('takes a blob from where one may pull it, said or not', async () => {
    const { admin, mount } = await mounting()
    await pushBlob(admin, 'seen/app', 'a layer')

    expect((await mount('seen/app')).statusCode).toBe(201)
    expect((await mount(undefined)).statusCode).toBe(201)
  })

  it('takes it from nowhere else, and does not tell that it is there', async () => {
    const { admin, mount } = await mounting()
    const before = [await mount('secret/app'), await mount(undefined), await mount('seen/app')]

    await pushBlob(admin, 'secret/app', 'a layer')
    await pushBlob(admin, 'seen/app', 'another')

    const after = [await mount('secret/app'), await mount(undefined), await mount('seen/app')]
    expect(after).toEqual(before)
    for (const { statusCode } of after) expect(statusCode).toBe(202)
    for (const from of ['nowhere/app', 'Not A Name', '../secret/app', '']) {
      expect((await mount(from)).text).toBe(before[0]?.text)
    }
  })

  it('needs the right to push where it shall be', async () => {
    const { world: started, admin } = await mounting()
    await pushBlob(admin, 'seen/app', 'a layer')
    for (const [repository, status] of [
      ['seen/other', 403],
      ['secret/app', 403],
    ] as const) {
      const url = `/v2/${repository}/blobs/uploads/?mount=${layer}&from=seen/app`
      const response = await started.ask({ method: 'POST', url }, basic('alice'))
      expect(response.statusCode).toBe(status)
    }
  })

  it('by a bearer token needs one that is for both, as clients ask for', async () => {
    const { world: started, admin, mount } = await mounting()
    await pushBlob(admin, 'seen/app', 'a layer')
    const push = 'repository:mine/app:pull,push'
    const one = await started.bearer(basic('alice'), push)
    const both = await started.bearer(basic('alice'), push, 'repository:seen/app:pull')

    expect((await mount('seen/app', one)).statusCode).toBe(202)
    expect((await mount(undefined, one)).statusCode).toBe(202)
    expect((await mount('seen/app', both)).statusCode).toBe(201)
    expect((await mount(undefined, both)).statusCode).toBe(201)
  })

  it('by a limited token needs one that is for both', async () => {
    const { world: started, admin, mount } = await mounting()
    await pushBlob(admin, 'seen/app', 'a layer')
    const token = async (...patterns: readonly string[]) => {
      const scope = patterns.map((pattern) => ({ pattern, actions: ['create'] as const }))
      return (await started.token('alice', { scope })).authorization
    }

    expect((await mount('seen/app', await token('mine/**'))).statusCode).toBe(202)
    expect((await mount(undefined, await token('mine/**'))).statusCode).toBe(202)
    expect((await mount('seen/app', await token('mine/**', 'seen/app'))).statusCode).toBe(201)
  })

  it('takes what is public from anywhere', async () => {
    const { world: started, admin, mount } = await mounting()
    await pushBlob(admin, 'open/app', 'a layer')
    await pushImage(admin, 'open/app', 'v1')
    expect((await mount('open/app')).statusCode).toBe(202)

    await started.show('open/app', 'public')

    expect((await mount('open/app')).statusCode).toBe(201)
  })
})

describe('a tag that is there already', () => {
  const sentence = 'the tag v1 of team/app is there already, and alice may not overwrite it'

  async function pushing() {
    const started = await startWithAccounts()
    const { digest, manifest } = await pushImage(started.as(started.admin), 'team/app', 'v1')
    const alice = started.as(await started.user('alice'))
    await started.grant('user alice', 'team/**', 'create')
    const other = await prepareImage(alice, 'team/app', { config: '{"other":1}' })
    const tags = async () => {
      const { headers } = await started.get('/v2/team/app/manifests/v1', started.admin)
      const list = await started.get('/v2/team/app/tags/list', started.admin)
      return [headers['docker-content-digest'], list.json<{ tags: string[] }>().tags]
    }
    return { world: started, alice, digest, manifest, other, tags }
  }

  it('stays where it is for who may only make new ones, and they are told why', async () => {
    const { alice, other, tags, digest, world: started } = await pushing()
    const before = await tags()

    for (const response of [
      await putManifest(alice, 'team/app', 'v1', other),
      await putManifest(alice, 'team/app', sha256(other), other, { query: '?tag=v1' }),
      await putManifest(alice, 'team/app', sha256(other), other, { query: '?tag=new&tag=v1' }),
    ]) {
      expect(response.statusCode).toBe(403)
      expect(response.json()).toEqual({
        errors: [{ code: 'DENIED', message: sentence, detail: { tag: 'v1' } }],
      })
    }

    expect(await tags()).toEqual(before)
    expect(before).toEqual([digest, ['v1']])
    // Not even the manifest was stored.
    const manifest = await started.get(`/v2/team/app/manifests/${sha256(other)}`, started.admin)
    expect(codesOf(manifest)).toEqual(['MANIFEST_UNKNOWN'])
  })

  it('may be pushed again as it is', async () => {
    const { alice, manifest, digest } = await pushing()
    for (const [reference, query] of [
      ['v1', ''],
      [digest, '?tag=v1'],
      [digest, ''],
    ] as const) {
      const response = await putManifest(alice, 'team/app', reference, manifest, { query })
      expect(response.statusCode).toBe(201)
    }
  })

  it('is no obstacle for new ones', async () => {
    const { alice, other } = await pushing()

    expect((await putManifest(alice, 'team/app', 'v2', other)).statusCode).toBe(201)
    const query = '?tag=v3&tag=v4'
    const response = await putManifest(alice, 'team/app', sha256(other), other, { query })
    expect(response.headers['oci-tag']).toBe('v3, v4')
  })

  it('moves for who may overwrite, by a bearer token too, which has no word of its own for it', async () => {
    const { world: started, other, tags } = await pushing()
    await started.grant('user alice', 'team/app', 'overwrite')
    const bearer = await started.bearer(basic('alice'), 'repository:team/app:pull,push')

    const response = await putManifest(started.as(bearer), 'team/app', 'v1', other)

    expect(response.statusCode).toBe(201)
    expect(await tags()).toEqual([sha256(other), ['v1']])
  })

  it('does not move by a token that is limited to new ones', async () => {
    const { world: started, other, tags, digest } = await pushing()
    await started.grant('user alice', 'team/app', 'admin')
    const scope = [{ pattern: '**', actions: ['create'] as const }]
    const { authorization } = await started.token('alice', { scope })
    const bearer = await started.bearer(authorization, 'repository:team/app:pull,push')
    for (const shown of [authorization, bearer]) {
      const response = await putManifest(started.as(shown), 'team/app', 'v1', other)
      expect(response.json()).toMatchObject({ errors: [{ code: 'DENIED', message: sentence }] })
    }
    expect(await tags()).toEqual([digest, ['v1']])
  })

  it('does not come back by a restore for who may only make new ones', async () => {
    const { world: started, other, tags } = await pushing()
    await putManifest(started.as(started.admin), 'team/app', 'v1', other)

    const request = {
      ...{ method: 'POST', url: '/api/v1/repositories/team%2Fapp/restore' },
      headers: { 'content-type': 'application/json' },
      payload: { tag: 'v1' },
    } as const
    const response = await started.ask(request, basic('alice'))

    expect(response.statusCode).toBe(403)
    expect(await tags()).toEqual([sha256(other), ['v1']])
  })
})

describe('a description', () => {
  const sentence = 'team/app has a description already, and alice may not overwrite it'

  async function describing(...actions: readonly Action[]) {
    const started = await startWithAccounts()
    const alice = await started.user('alice')
    await started.grant('user alice', 'team/**', ...actions)
    const put = (authorization: string, description: string) =>
      started.ask(
        {
          ...{ method: 'PUT', url: '/api/v1/repositories/team%2Fapp' },
          headers: { 'content-type': 'application/json' },
          payload: { description },
        },
        authorization,
      )
    const read = async () => {
      const response = await started.get('/api/v1/repositories/team%2Fapp', started.admin)
      return response.json<{ description: string }>().description
    }
    return { world: started, alice, put, read }
  }

  it('that others wrote is neither replaced nor taken away by who may only make what is new', async () => {
    const { world: started, alice, put, read } = await describing('create')
    await put(started.admin, 'Theirs.')

    for (const description of ['Mine.', '']) {
      const response = await put(alice, description)
      expect(response.statusCode).toBe(403)
      expect(response.json()).toMatchObject({ code: 'DENIED', detail: sentence })
    }

    expect(await read()).toBe('Theirs.')
    expect((await put(alice, 'Theirs.')).statusCode).toBe(200)
  })

  it('comes from who may make what is new where there is none', async () => {
    const { world: started, alice, put, read } = await describing('create')
    expect((await put(alice, 'Mine.')).statusCode).toBe(201)
    await put(started.admin, '')
    await pushImage(started.as(started.admin), 'team/app', 'v1')

    expect((await put(alice, 'Mine again.')).statusCode).toBe(200)
    expect(await read()).toBe('Mine again.')
  })

  it('is replaced and taken away by who may overwrite', async () => {
    const { world: started, alice, put, read } = await describing('overwrite')
    await put(started.admin, 'Theirs.')

    expect((await put(alice, 'Mine.')).statusCode).toBe(200)
    expect(await read()).toBe('Mine.')
    expect((await put(alice, '')).statusCode).toBe(200)
  })
})

describe('a deleted repository', () => {
  it('comes back under another name only for who may overwrite both', async () => {
    const started = await startWithAccounts()
    await pushImage(started.as(started.admin), 'team/app', 'v1')
    await started.user('alice')
    await started.grant('user alice', 'team/**', 'admin')
    await started.grant('user alice', 'other/**', 'create')
    const ask = (method: 'DELETE' | 'POST', url: string, payload?: object) =>
      started.ask(
        {
          ...{ method, url },
          ...(payload && { headers: { 'content-type': 'application/json' }, payload }),
        },
        basic('alice'),
      )
    const restore = (as?: string, name = 'team%2Fapp') =>
      ask('POST', `/api/v1/repositories/${name}/restore`, as === undefined ? {} : { as })
    await ask('DELETE', '/api/v1/repositories/team%2Fapp?confirm=team/app')

    for (const as of ['other/app', 'secret/app', 'admin']) {
      const response = await restore(as)
      expect(response.statusCode).toBe(403)
      expect(response.json()).toMatchObject({
        code: 'DENIED',
        detail: `alice may not restore anything as ${as}`,
      })
    }
    expect((await restore('team/second', 'secret%2Fapp')).statusCode).toBe(403)
    expect((await restore('team/second')).statusCode).toBe(200)
    const catalog = await started.get('/v2/_catalog', started.admin)
    expect(catalog.json()).toEqual({ repositories: ['team/second'] })
  })

  it('that was public is not, as long as it is gone', async () => {
    const started = await startWithAccounts()
    await pushImage(started.as(started.admin), 'open/app', 'v1')
    await started.show('open/app', 'public')
    expect((await started.get('/v2/open/app/tags/list')).statusCode).toBe(200)

    const url = '/api/v1/repositories/open%2Fapp'
    await started.ask({ method: 'DELETE', url: `${url}?confirm=open/app` }, started.admin)

    for (const path of ['/v2/open/app/tags/list', `${url}/history`, url]) {
      expect((await started.get(path)).statusCode).toBe(401)
    }
    await pushImage(started.as(started.admin), 'open/app', 'v2')
    expect((await started.get('/v2/open/app/tags/list')).statusCode).toBe(401)
  })
})

describe('a new repository', () => {
  it('is as public as its namespace says, and else private', async () => {
    const started = await startWithAccounts()
    const admin = started.as(started.admin)
    await started.namespace('open', { visibility: 'public' })
    await started.namespace('closed')
    for (const name of ['open/app', 'open', 'closed/app', 'else/app', 'opener/app']) {
      await pushImage(admin, name, 'v1')
    }
    const bearer = await started.bearer(undefined, 'registry:catalog:*')

    const catalog = await started.get('/v2/_catalog', bearer)

    expect(catalog.json()).toEqual({ repositories: ['open', 'open/app'] })
  })
})
