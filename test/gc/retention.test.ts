import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.js'
import type { RetentionOutlook, RetentionReport } from '../../src/gc/retention.js'
import type { Ending } from '../../src/gc/runs.js'
import type { RepositoryName, Tag } from '../../src/oci/reference.js'
import { eventually } from '../support/eventually.js'
import {
  descriptor,
  indexOf,
  OCI_INDEX,
  prepareImage,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'
import { answerOf, ask, problemOf, walkPages } from '../support/management.js'
import { startTestServer, type testConfig } from '../support/server.js'
import { tamper } from '../support/verify.js'

const name = 'team/app'
const AT = 1_700_000_000_000
const DAY = 24 * 60 * 60 * 1000

type Rule = Partial<Config['retention']['rules'][number]>

interface Run {
  readonly status: string
  readonly report: RetentionReport
}

interface Candidate {
  readonly repository: string
  readonly tag: string
  readonly digest: string
}

interface Preview {
  readonly items: readonly Candidate[]
  readonly nextCursor?: string
  readonly outlook?: RetentionOutlook
}

/** A registry with rules for all repositories unless they say others, no brake, and a clock. */
async function startWithRules(
  rules: readonly Rule[],
  config: Parameters<typeof testConfig>[1] = {},
) {
  const clock = { at: AT }
  const store = await startTestServer({
    now: () => clock.at,
    config: {
      gc: { enabled: false, brakePercent: 100 },
      ...config,
      retention: {
        everyHours: 0,
        rules: rules.map((rule) => ({ repositories: '**', tags: ['**'], keepTags: [], ...rule })),
        ...config.retention,
      },
    },
  })
  const { app, server } = store
  const { retention } = server.maintenance
  const push = async (tag: string, { repository = name, config: content = tag } = {}) => {
    clock.at += 1000
    return pushImage(app, repository, tag, { config: JSON.stringify(content) })
  }
  const preview = () => answerOf<Preview>(app, 'POST', '/retention/preview', {})
  const goes = async () => (await preview()).items.map(({ tag }) => tag)
  const outlook = async () => (await preview()).outlook as RetentionOutlook
  const run = async (confirm = false): Promise<Ending<RetentionReport>> =>
    (await retention.begin({ confirm }, 'tester')).ended
  const tags = async (repository = name) =>
    (await app.inject(`/v2/${repository}/tags/list`)).json<{ tags: string[] }>().tags
  return { ...store, clock, retention, push, preview, goes, outlook, run, tags }
}

describe('a retention rule', () => {
  it('keeps the newest tags of those it is about, by when they were pushed last', async () => {
    const { push, goes } = await startWithRules([{ tags: ['b*'], keepNewest: 2 }])
    for (const tag of ['b1', 'x1', 'b2', 'b3', 'x2', 'b4']) await push(tag)
    await push('b1')

    expect(await goes()).toEqual(['b3', 'b2'])
  })

  it('takes of tags that moved together those for newer that are later by name', async () => {
    const { app, clock, goes } = await startWithRules([{ keepNewest: 2 }])
    const manifest = await prepareImage(app, name)
    clock.at++
    await putManifest(app, name, sha256(manifest), manifest, { query: '?tag=c&tag=a&tag=b' })

    expect(await goes()).toEqual(['a'])
  })

  it('keeps tags that are younger than so many days', async () => {
    const { clock, push, goes } = await startWithRules([{ keepYoungerThanDays: 3 }])
    await push('old')
    clock.at += DAY
    await push('young')
    clock.at += 2 * DAY - 1000

    expect(await goes()).toEqual(['old'])
  })

  it('keeps tags whose manifest was pulled or pushed in so many days', async () => {
    const { app, clock, server, push, goes } = await startWithRules([{ keepPulledWithinDays: 3 }])
    for (const tag of ['unused', 'used', 'by-digest']) await push(tag)
    const { digest } = await push('same-manifest', { config: 'used' })
    expect(digest).toBe((await push('used')).digest)
    clock.at += 3 * DAY
    await push('new')
    const byDigest = await push('by-digest')
    clock.at += 3 * DAY - 1500
    await app.inject(`/v2/${name}/manifests/used`)
    clock.at -= DAY
    await app.inject({ method: 'HEAD', url: `/v2/${name}/manifests/${byDigest.digest}` })
    clock.at += DAY
    await server.registry.pulls.flush()

    expect(await goes()).toEqual(['unused'])
    clock.at += DAY
    expect((await goes()).sort()).toEqual(['new', 'unused'])
  })

  it('keeps what was pulled this very moment', async () => {
    const { app, clock, push, goes, run, tags } = await startWithRules([
      { keepPulledWithinDays: 1 },
    ])
    await push('unused')
    await push('used')
    clock.at += 3 * DAY

    await app.inject(`/v2/${name}/manifests/used`)

    expect(await goes()).toEqual(['unused'])
    expect(await run()).toMatchObject({ report: { planned: { tags: 1 }, deletedTags: 1 } })
    expect(await tags()).toEqual(['used'])
  })

  it('keeps tags by pattern', async () => {
    const { push, goes } = await startWithRules([{ keepTags: ['v*', '*-keep'] }])
    for (const tag of ['v1', 'a-keep', 'keep-a', 'b']) await push(tag)

    expect(await goes()).toEqual(['b', 'keep-a'])
  })

  it('deletes nothing that another rule about it keeps, and minds no rule that is about others', async () => {
    const { push, goes } = await startWithRules([
      { tags: ['a*', 'b*'], keepNewest: 1 },
      { tags: ['a*'], keepTags: ['a1'] },
      { tags: ['c*'], keepTags: ['b*'] },
      { repositories: 'other/*', keepTags: ['**'] },
    ])
    for (const tag of ['a1', 'a2', 'b1', 'b2', 'c1', 'd1']) await push(tag)

    expect(await goes()).toEqual(['c1', 'b1', 'a2'])
  })

  it('looks at each repository by itself, and at none that no rule is about', async () => {
    const { push, preview } = await startWithRules([
      { repositories: 'team/*', keepNewest: 1 },
      { repositories: 'solo', keepNewest: 1 },
    ])
    const digests = new Map<string, string>()
    for (const repository of ['team/b', 'solo', 'team/a', 'team/a/deep', 'zoo', 'alone']) {
      for (const tag of ['1', '2']) {
        digests.set(`${repository}:${tag}`, (await push(tag, { repository })).digest)
      }
    }

    const { items, outlook } = await preview()

    expect(items).toEqual(
      ['solo', 'team/a', 'team/b'].map((repository) => ({
        repository,
        tag: '1',
        digest: digests.get(`${repository}:1`),
        movedAt: expect.stringMatching(/^2023-11-14T22:13:\d\d\.000Z$/) as string,
      })),
    )
    expect(outlook?.repositories).toEqual(
      ['solo', 'team/a', 'team/b'].map((repository) => ({ repository, tags: 1, tagsOfAll: 2 })),
    )
  })

  it('never deletes immutable and protected tags, which count as the newest all the same', async () => {
    const { push, goes } = await startWithRules([{ keepNewest: 1 }], {
      tags: {
        immutable: [{ repositories: 'team/*', tags: 'v*' }],
        protected: [{ repositories: '**', tags: 'latest' }],
      },
    })
    for (const tag of ['v1', 'latest', 'a', 'v2']) await push(tag)

    expect(await goes()).toEqual(['a'])
  })
})

describe('a preview', () => {
  it('has each tag once on its pages, in whatever steps it is read', async () => {
    const { app, push } = await startWithRules([
      { keepNewest: 1 },
      { tags: ['1*'], keepTags: ['nothing'] },
    ])
    for (const repository of ['a', 'b', 'c']) {
      for (const tag of ['10', '11', '12', '13']) await push(tag, { repository })
    }
    const all = (await answerOf<Preview>(app, 'POST', '/retention/preview', {})).items

    for (const limit of [1, 2, 3, 5]) {
      const items: Candidate[] = []
      let cursor: string | undefined
      do {
        const body = { limit, ...(cursor && { cursor }) }
        const page: Preview = await answerOf<Preview>(app, 'POST', '/retention/preview', body)
        expect(page.outlook === undefined).toBe(cursor !== undefined)
        expect(page.items.length).toBeLessThanOrEqual(limit)
        items.push(...page.items)
        cursor = page.nextCursor
      } while (cursor)
      expect(items).toEqual(all)
    }
    expect(all).toHaveLength(9)
  })

  it('goes on from page to page with as many rules as there may be', async () => {
    const rules = Array.from({ length: 1_000 }, () => ({ keepNewest: 0 }))
    const { app, push } = await startWithRules(rules)
    for (const tag of ['1', '2']) await push(tag)

    const first = await answerOf<Preview>(app, 'POST', '/retention/preview', { limit: 1 })
    const second = await answerOf<Preview>(app, 'POST', '/retention/preview', {
      cursor: first.nextCursor,
    })

    expect([...first.items, ...second.items].map(({ tag }) => tag)).toEqual(['2', '1'])
  })

  it('is of one moment on all its pages', async () => {
    const { app, clock, push } = await startWithRules([{ keepYoungerThanDays: 1 }])
    for (const tag of ['1', '2', '3']) await push(tag)
    clock.at += DAY - 500
    const first = await answerOf<Preview>(app, 'POST', '/retention/preview', { limit: 1 })
    clock.at += DAY

    const second = await answerOf<Preview>(app, 'POST', '/retention/preview', {
      cursor: first.nextCursor,
    })

    expect([...first.items, ...second.items].map(({ tag }) => tag)).toEqual(['2', '1'])
  })

  it.each(['x', 'e30', 'bnVsbA', 'WzFd', Buffer.from('{"at":1}').toString('base64url')])(
    'refuses %s for a cursor',
    async (cursor) => {
      const { app } = await startWithRules([{ keepNewest: 1 }])

      const response = await ask(app, 'POST', '/retention/preview', { body: { cursor } })

      expect(response.statusCode).toBe(400)
      expect(problemOf(response).detail).toContain('cursor')
    },
  )

  it('changes nothing', async () => {
    const { push, preview, tags } = await startWithRules([{ keepNewest: 0 }])
    await push('a')

    await preview()

    expect(await tags()).toEqual(['a'])
  })

  describe('of freed bytes', () => {
    it('counts manifests and blobs that nothing else needs, each once', async () => {
      const { app, clock, outlook } = await startWithRules([{ keepNewest: 1 }])
      const image = (own: string) => ({ config: '{}', layers: ['shared by all', own] })
      const gone = [
        await pushImage(app, name, 'a', image('own of a')),
        await pushImage(app, name, 'b', image('own of b')),
      ]
      clock.at += 5
      await pushImage(app, name, 'c', image('own of c'))

      const expected = gone.reduce((sum, { manifest }) => sum + manifest.length, 0)
      expect(await outlook()).toMatchObject({
        tags: 2,
        manifests: 2,
        bytes: expected + 'own of a'.length + 'own of b'.length,
      })
    })

    it('counts nothing of what another tag, repository or index holds', async () => {
      const { app, clock, outlook } = await startWithRules([
        { repositories: name, tags: ['old*'], keepNewest: 0 },
      ])
      await pushImage(app, name, 'old-twice', { config: '1' })
      await pushImage(app, name, 'stays', { config: '1' })
      const child = await pushImage(app, name, 'old-child', { config: '2' })
      const index = indexOf([{ digest: child.digest, size: child.manifest.length }])
      await putManifest(app, name, 'multi', index, { contentType: OCI_INDEX })
      clock.at += 5
      const third = await pushImage(app, name, 'old-elsewhere', { config: '3' })
      await pushImage(app, 'other', 'v1', { config: '3' })

      expect(await outlook()).toMatchObject({ tags: 3, manifests: 1, bytes: 0 })
      expect(third.digest).toBeDefined()
    })

    it('counts what goes along: children of an index, and referrers', async () => {
      const { app, outlook } = await startWithRules([{ tags: ['multi'], keepNewest: 0 }])
      const child = await pushImage(app, name, undefined, { config: '1', layers: ['layer 1'] })
      const held = await pushImage(app, name, 'held', { config: '2', layers: ['layer 2'] })
      const index = indexOf(
        [child, held].map(({ digest, manifest }) => ({ digest, size: manifest.length })),
      )
      await putManifest(app, name, 'multi', index, { contentType: OCI_INDEX })
      const subject = { ...descriptor(index, OCI_INDEX) }
      const signature = await pushImage(app, name, undefined, {
        config: '3',
        layers: ['signature'],
        members: { subject },
      })

      expect(await outlook()).toMatchObject({
        tags: 1,
        manifests: 3,
        bytes:
          [index, child.manifest, signature.manifest].join('').length +
          ['1', 'layer 1', '3', 'signature'].join('').length,
      })
    })

    it('counts what an index has as long as that stays, deleted or not', async () => {
      const rules = [
        { tags: ['solo'], keepNewest: 0 },
        { repositories: 'team/*', tags: ['multi'], keepNewest: 0 },
      ]
      const { app, clock, outlook } = await startWithRules(rules)
      const pushBoth = async (repository: string, own: string) => {
        const layers = [`shared in ${repository}`]
        const child = await pushImage(app, repository, undefined, { config: own, layers })
        const index = indexOf([{ digest: child.digest, size: child.manifest.length }])
        await putManifest(app, repository, 'multi', index, { contentType: OCI_INDEX })
        const url = `/v2/${repository}/manifests/${child.digest}`
        expect((await app.inject({ method: 'DELETE', url })).statusCode).toBe(202)
        const solo = await pushImage(app, repository, 'solo', { config: own + own, layers })
        return { child, index, solo }
      }
      const kept = await pushBoth('other/app', '1')
      const gone = await pushBoth(name, '2')
      clock.at += 5

      expect(await outlook()).toMatchObject({
        tags: 3,
        manifests: 4,
        bytes: [
          ...[kept.solo.manifest, '11'],
          ...[gone.solo.manifest, '22', gone.index, gone.child.manifest, '2', `shared in ${name}`],
        ].join('').length,
      })
    })

    it('counts nothing where manifests without a tag are kept', async () => {
      const { push, outlook } = await startWithRules([{ keepNewest: 0 }], {
        gc: {
          enabled: false,
          brakePercent: 100,
          untagged: [{ repositories: 'team/*' }, { repositories: '**', collectAfterDays: 1 }],
        },
      })
      await push('kept')
      await push('goes', { repository: 'other' })

      expect(await outlook()).toMatchObject({ tags: 2, manifests: 1 })
    })

    it('is what the disk gets back when all windows are over', async () => {
      const { push, outlook, run, clock, server } = await startWithRules([{ keepNewest: 1 }])
      for (const tag of ['a', 'b', 'c']) await push(tag)
      const { bytes, bytesOfAll } = await outlook()
      await run()
      clock.at += 60 * DAY

      await (
        await server.maintenance.collector.begin({ now: true }, 'tester')
      ).ended

      expect((await outlook()).bytesOfAll).toBe(bytesOfAll - bytes)
      expect(bytes).toBeGreaterThan(0)
    })
  })
})

describe('a run', () => {
  it('deletes what the preview has shown, with a history, so that it can be restored', async () => {
    const { app, server, push, run, tags } = await startWithRules([{ keepNewest: 1 }])
    const { digest } = await push('a')
    await push('b')

    expect(await run()).toMatchObject({ status: 'done', report: { deletedTags: 1, stayedTags: 0 } })

    expect(await tags()).toEqual(['b'])
    const path = `/repositories/${encodeURIComponent(name)}/history`
    const { items } = await answerOf<{ items: object[] }>(app, 'GET', path)
    expect(items[0]).toMatchObject({ tag: 'a', action: 'deleted', from: digest, by: 'retention' })
    await server.registry.undo.restoreTag(name as RepositoryName, 'a' as Tag, 'tester')
    const { headers } = await app.inject(`/v2/${name}/manifests/a`)
    expect(headers['docker-content-digest']).toBe(digest)
  })

  it('is told by its row: what was planned, and what it did', async () => {
    const { app, push } = await startWithRules([{ keepNewest: 1 }])
    for (const tag of ['a', 'b', 'c']) await push(tag)

    const response = await ask(app, 'POST', '/retention/runs', { body: {} })

    expect(response.statusCode).toBe(202)
    const { id } = response.json<{ id: number }>()
    const ended = await eventually(
      () => answerOf<{ status: string; report: unknown }>(app, 'GET', `/runs/${id}`),
      ({ status }) => status !== 'running',
    )
    expect(ended).toMatchObject({
      kind: 'retention',
      status: 'done',
      report: { deletedTags: 2, stayedTags: 0, planned: { tags: 2 } },
    })
    const stands = await answerOf<object>(app, 'GET', '/retention')
    expect(stands).toMatchObject({ everyHours: 0, rules: [{ keepNewest: 1 }], lastRun: { id } })
  })

  it('deletes many tags of many repositories, and nothing else', async () => {
    const { app, clock, run, tags } = await startWithRules([{ tags: ['n*'], keepNewest: 3 }])
    const names = Array.from({ length: 1_300 }, (_, index) => `n${10_000 + index}`)
    for (const repository of ['a', 'b']) {
      const manifest = await prepareImage(app, repository)
      for (let from = 0; from < names.length; from += 100) {
        clock.at += 10
        const query = `?tag=${[...names.slice(from, from + 100), 'x'].slice(0, 100).join('&tag=')}`
        await putManifest(app, repository, sha256(manifest), manifest, { query })
      }
      await putManifest(app, repository, 'x', manifest)
    }

    expect(await run()).toMatchObject({ status: 'done', report: { deletedTags: 2 * 1_297 } })

    for (const repository of ['a', 'b']) {
      expect(await tags(repository)).toEqual([...names.slice(-3), 'x'])
    }
  })

  it('leaves a tag alone that has moved or was pulled since it was looked at, or was deleted', async () => {
    const { push, retention, server, clock, tags, app } = await startWithRules([{ keepNewest: 0 }])
    for (const tag of ['a', 'b', 'c', 'd']) await push(tag)
    const { entries } = await retention.list(clock.at, 10)
    await app.inject(`/v2/${name}/manifests/d`)
    await server.registry.pulls.flush()
    const moved = await push('a', { config: 'moved' })
    await push('b')
    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/c` })

    const { manifests } = server.registry
    const went = entries.map(({ repository, tag, ...seen }) =>
      manifests.deleteSeen(repository, tag, seen, 'retention'),
    )

    expect(await Promise.all(went)).toEqual([false, false, false, false])
    expect(await tags()).toEqual(['a', 'b', 'd'])
    const { headers } = await app.inject(`/v2/${name}/manifests/a`)
    expect(headers['docker-content-digest']).toBe(moved.digest)
  })

  it('stops before it begins where it would take too much of a repository, until confirmed', async () => {
    const { push, run, tags, outlook } = await startWithRules([{ keepNewest: 2 }], {
      gc: { enabled: false, brakePercent: 25 },
    })
    for (const tag of ['a', 'b', 'c']) await push(tag)
    for (const tag of ['1', '2', '3', '4', '5']) await push(tag, { repository: 'other' })

    const braked = await run()

    expect(braked.status).toBe('braked')
    expect(braked.report.message).toBe(
      'this would delete 3 of 5 tags of other, more than gc.brakePercent (25 %) allows, and so in other repositories; look at berth retention preview, then let it go on with berth retention run --confirm',
    )
    expect((await outlook()).brake).toContain('3 of 5 tags of other')
    expect(await tags()).toEqual(['a', 'b', 'c'])
    expect(await run(true)).toMatchObject({ status: 'done', report: { deletedTags: 4 } })
    expect(await tags()).toEqual(['b', 'c'])
    expect(await run()).toMatchObject({ status: 'done', report: { deletedTags: 0 } })
  })

  it('stops where it would free too many bytes, though few tags', async () => {
    const { app, clock, push, run } = await startWithRules([{ tags: ['big'], keepNewest: 0 }], {
      gc: { enabled: false, brakePercent: 25 },
    })
    await pushImage(app, name, 'big', { layers: ['x'.repeat(10_000)] })
    clock.at += 5
    for (const tag of ['a', 'b', 'c', 'd']) await push(tag)

    const { status, report } = await run()

    expect(status).toBe('braked')
    expect(report.message).toMatch(/^this would free 10(\.\d)? kB of 1\d(\.\d)? kB, more than /)
  })

  it('says what it has deleted when it fails', async () => {
    const { app, clock, dataDirectory, run } = await startWithRules([{ keepNewest: 0 }])
    const manifest = await prepareImage(app, name)
    clock.at += 10
    const names = Array.from({ length: 60 }, (_, index) => `n${10 + index}`)
    const query = `?tag=${names.join('&tag=')}`
    await putManifest(app, name, sha256(manifest), manifest, { query })
    tamper(
      dataDirectory,
      `create trigger broken before delete on tags when old.name = 'n10'
       begin select raise(abort, 'the disk is broken'); end`,
    )

    await expect(run()).rejects.toThrow()

    const failed = await answerOf<Run>(app, 'GET', '/runs/1')
    expect(failed.status).toBe('failed')
    expect(failed.report.planned?.tags).toBe(60)
    // Those that share a transaction with it stay as well.
    expect(failed.report.deletedTags).toBe(50)
  })

  it('is the only one', async () => {
    const { app, push, retention } = await startWithRules([{ keepNewest: 1 }])
    await push('a')
    const { ended } = await retention.begin({}, 'tester')

    const second = await ask(app, 'POST', '/retention/runs', { body: {} })

    expect(second.statusCode).toBe(409)
    await ended
    expect((await walkPages(app, '/runs?kind=retention', 10)).items).toHaveLength(1)
  })
})

describe('the schedule', () => {
  it('runs when the last run is long enough ago, whoever began it', async () => {
    const { app, clock, push, retention, run, tags } = await startWithRules([{ keepNewest: 1 }], {
      retention: {
        everyHours: 24,
        rules: [{ repositories: name, tags: ['*'], keepNewest: 1, keepTags: [] }],
      },
    })
    await eventually(
      async () => (await walkPages<{ status: string }>(app, '/runs?kind=retention', 10)).items,
      ([first]) => first?.status === 'done',
    )
    for (const tag of ['a', 'b']) await push(tag)
    await retention.runIfDue()
    expect(await tags()).toEqual(['a', 'b'])

    clock.at = AT + DAY - 1
    await retention.runIfDue()
    expect(await tags()).toEqual(['a', 'b'])
    clock.at = AT + DAY
    await retention.runIfDue()
    expect(await tags()).toEqual(['b'])

    await push('c')
    clock.at += DAY - 5000
    await run()
    await push('d')
    clock.at += 5000
    await retention.runIfDue()
    expect(await tags()).toEqual(['c', 'd'])
  })

  it('does nothing without rules, and nothing when it is off', async () => {
    const none = await startWithRules([], { retention: { everyHours: 24, rules: [] } })
    const off = await startWithRules([{ keepNewest: 0 }])
    for (const { push, retention } of [none, off]) {
      await push('a')
      await retention.runIfDue()
    }

    for (const { app, tags } of [none, off]) {
      expect(await tags()).toEqual(['a'])
      expect((await walkPages(app, '/runs', 10)).items).toEqual([])
    }
  })
})
