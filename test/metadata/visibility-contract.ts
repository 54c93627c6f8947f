import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { Page, PageRequest } from '../../src/metadata/pages.js'
import type { Viewer } from '../../src/metadata/viewers.js'
import { parsePattern } from '../../src/oci/patterns.js'
import type { RepositoryName } from '../../src/oci/reference.js'
import {
  APP,
  AT,
  LEASE_UNTIL,
  imageText,
  manifestRecord,
  name,
  NO_TAG_RULES,
  OTHER,
  putBlob,
  putImage,
  tag,
} from '../support/records.js'

/** Somebody who describes what is described already. */
const byRoot = { identity: 'root', mayOverwrite: true }

/** More than any store reads in one go. */
const MANY = 2_600

const UNKNOWN_NAME = { code: 'NAME_UNKNOWN' }

/** Repositories of the catalog, private but for those of the namespace `open`. */
async function openWith(
  open: () => Promise<MetadataStore>,
  names: readonly string[],
): Promise<MetadataStore> {
  const store = await open()
  await store.accounts.putNamespace({
    ...{ name: 'open', defaultVisibility: 'public' },
    ...{ identity: 'root', at: AT },
  })
  await Promise.all(
    names.map((text) =>
      store.describeRepository({
        ...{ repository: name(text), description: 'x', at: AT },
        ...byRoot,
      }),
    ),
  )
  return store
}

/** Follows a list to its end, by the names on its pages. */
async function walk(
  list: (page: PageRequest) => Promise<Page<string>>,
  limit: number,
): Promise<string[]> {
  const found: string[] = []
  for (;;) {
    const after = found.at(-1)
    const { entries, hasMore } = await list({ limit, ...(after !== undefined && { after }) })
    found.push(...entries)
    if (!hasMore) return found
    expect(entries).toHaveLength(limit)
  }
}

const catalogOf = (store: MetadataStore, viewer: Viewer, limit: number) =>
  walk((page) => store.listRepositories(page, viewer), limit)

const recordsOf = (store: MetadataStore, viewer: Viewer, limit: number, prefix?: string) =>
  walk(async (page) => {
    const query = { ...page, viewer, ...(prefix !== undefined && { prefix }) }
    const { entries, hasMore } = await store.listRepositoryRecords(query)
    return { entries: entries.map((record) => record.name), hasMore }
  }, limit)

/** What every MetadataStore promises of who sees which repository. Each backend's test file calls this once. */
export function visibilityContract(backend: string, open: () => Promise<MetadataStore>): void {
  describe(`visibility of repositories of MetadataStore on ${backend}`, () => {
    describe('a repository', () => {
      const comings: readonly [
        string,
        (store: MetadataStore, repository: RepositoryName) => Promise<unknown>,
      ][] = [
        [
          'a description',
          (store, repository) =>
            store.describeRepository({ ...{ repository, description: 'x', at: AT }, ...byRoot }),
        ],
        ['a push', (store, repository) => putImage(store, imageText(), { repository })],
        ['a blob', (store, repository) => putBlob(store, 'bytes', { repository })],
        [
          'a mount',
          async (store, repository) => {
            const digest = await putBlob(store, 'bytes', { repository: name('from/here') })
            const from = name('from/here')
            return store.mountBlob({ repository, digest, from, at: AT, leaseUntil: LEASE_UNTIL })
          },
        ],
      ]

      it.each(comings)('that comes to be by %s is as its namespace says', async (_, come) => {
        const store = await openWith(open, [])
        const { accounts } = store

        for (const text of ['open', 'open/app', 'opened/app', 'team/open']) {
          await come(store, name(text))
        }

        const found = ['open', 'open/app', 'opened/app', 'team/open', 'none'].map((text) =>
          accounts.findVisibility(name(text)),
        )
        expect(await Promise.all(found)).toEqual([
          'public',
          'public',
          'private',
          'private',
          undefined,
        ])
      })

      it('stays as it is when its namespace changes, and when it is pushed to', async () => {
        const store = await openWith(open, ['open/app'])

        await store.accounts.removeNamespace('open')
        await putImage(store, imageText(), { repository: name('open/app') })
        await putImage(store, imageText(), { repository: name('open/new') })

        expect(await store.accounts.findVisibility(name('open/app'))).toBe('public')
        expect(await store.accounts.findVisibility(name('open/new'))).toBe('private')
      })

      it('can be made public and private, and tells which it is', async () => {
        const store = await openWith(open, ['team/app'])

        await store.accounts.setVisibility(APP, 'public')
        const asPublic = await store.getRepositoryRecord(APP)
        await store.accounts.setVisibility(APP, 'private')

        expect(asPublic).toMatchObject({ visibility: 'public' })
        expect(await store.getRepositoryRecord(APP)).toMatchObject({ visibility: 'private' })
        const unknown = store.accounts.setVisibility(OTHER, 'public')
        await expect(unknown).rejects.toMatchObject(UNKNOWN_NAME)
      })

      it('is as it was when it is brought back, whoever has had its name meanwhile', async () => {
        const store = await openWith(open, ['team/app'])
        await store.accounts.setVisibility(APP, 'public')
        const at = { identity: 'root', at: AT }

        await store.deleteRepository({ repository: APP, tagRules: NO_TAG_RULES, ...at })
        const deleted = await store.accounts.findVisibility(APP)
        await putImage(store, imageText(), { repository: APP })
        const another = await store.accounts.findVisibility(APP)
        await store.restoreRepository({ repository: APP, as: OTHER, deletedSince: 0, ...at })

        expect([deleted, another]).toEqual([undefined, 'private'])
        expect(await store.accounts.findVisibility(OTHER)).toBe('public')
        expect(await store.listRepositories({ limit: 9 }, { patterns: [] })).toMatchObject({
          entries: [OTHER],
        })
      })
    })

    describe('lists', () => {
      it('have what is public, and what the patterns have', async () => {
        const store = await openWith(open, ['a', 'a/b', 'a/b/c', 'ab', 'b/x', 'c/d/x', 'open/o'])
        await putBlob(store, 'unlisted', { repository: name('a/unlisted') })
        const seenBy = (...patterns: string[]) => catalogOf(store, { patterns }, 2)

        expect(await seenBy()).toEqual(['open/o'])
        expect(await seenBy('a')).toEqual(['a', 'open/o'])
        expect(await seenBy('a/*')).toEqual(['a/b', 'open/o'])
        expect(await seenBy('a/**')).toEqual(['a/b', 'a/b/c', 'open/o'])
        expect(await seenBy('**/x')).toEqual(['b/x', 'c/d/x', 'open/o'])
        expect(await seenBy('c/**', 'a', 'c/d/x', 'a*')).toEqual(['a', 'ab', 'c/d/x', 'open/o'])
        expect(await seenBy('nothing/**', 'open/**')).toEqual(['open/o'])
        expect(await seenBy('**')).toEqual(['a', 'a/b', 'a/b/c', 'ab', 'b/x', 'c/d/x', 'open/o'])
      })

      it('find what is behind thousands of others that are not to be seen', async () => {
        const hidden = Array.from({ length: MANY }, (_, index) => `hidden/n${10_000 + index}`)
        const store = await openWith(open, [...hidden, 'hidden/x', 'a/x', 'z', 'open/o', 'z/x'])
        const viewers: [string[], string[]][] = [
          [[], ['open/o']],
          [['**/x'], ['a/x', 'hidden/x', 'open/o', 'z/x']],
          [
            ['**/x', 'hidden/*1', 'h*', '*', 'hidden/n1000*', 'z'],
            hidden.filter((text) => text.startsWith('hidden/n1000') || text.endsWith('1')),
          ],
        ]
        viewers[2]?.[1].push('a/x', 'hidden/x', 'open/o', 'z', 'z/x')

        for (const [patterns, expected] of viewers) {
          for (const limit of [1, 1000]) {
            // One by one, hundreds of times through the same thousands, is for a benchmark.
            if (limit === 1 && expected.length > 10) continue
            const found = await catalogOf(store, { patterns }, limit)
            expect(found).toEqual(expected.toSorted())
          }
        }
        const searched = await store.searchRepositories('hidden', 3, { patterns: ['**/x'] })
        expect(searched).toEqual(['hidden/x'])
        expect(await store.searchRepositories('n1', 3, { patterns: ['**/x'] })).toEqual([])
        expect(await store.searchRepositories('x', 9, { patterns: ['a/x', 'z'] })).toEqual(['a/x'])
      })

      it('go through any number of exact patterns', async () => {
        const names = Array.from({ length: 600 }, (_, index) => `team/n${1000 + index}`)
        const store = await openWith(open, names)
        const some = names.filter((_, index) => index % 2 === 0)

        for (const limit of [7, 1000]) {
          expect(await catalogOf(store, { patterns: some.toReversed() }, limit)).toEqual(some)
        }
      })

      it('are, whatever the patterns, those that a look at each would find', async () => {
        const components = ['a', 'b', 'x', 'ab']
        const names = components.flatMap((one) => [
          one,
          ...components.flatMap((two) => [
            `${one}/${two}`,
            ...components.map((three) => `${one}/${two}/${three}`),
          ]),
        ])
        const isPublic = (_: string, index: number) => index % 5 === 0
        const all = names.toSorted()
        const store = await openWith(open, all)
        const publicOnes = new Set(all.filter(isPublic))
        for (const text of publicOnes) await store.accounts.setVisibility(name(text), 'public')
        const part = fc.constantFrom('a', 'b', 'x', 'ab', '*', '**', 'a*', '*b', '*a*')
        const pattern = fc
          .array(part, { minLength: 1, maxLength: 3 })
          .map((parts) => parts.join('/'))
        const patterns = fc.array(pattern, { maxLength: 6 })
        const terms = fc.constantFrom('', 'a', 'b/', 'x', 'ab/', '/a', 'b/x', 'none')

        await fc.assert(
          fc.asyncProperty(
            patterns,
            fc.option(patterns, { nil: undefined }),
            fc.constantFrom(1, 2, 3, 7, 100),
            terms,
            async (texts, within, limit, term) => {
              const viewer = { patterns: texts, ...(within && { within }) }
              const isOf = (ones: readonly string[], text: string) =>
                ones.some((one) => parsePattern(one).matches(text))
              const expected = all.filter(
                (text) =>
                  publicOnes.has(text) || (isOf(texts, text) && (!within || isOf(within, text))),
              )
              expect(await catalogOf(store, viewer, limit)).toEqual(expected)
              expect(await recordsOf(store, viewer, limit)).toEqual(expected)
              expect(await recordsOf(store, viewer, limit, term)).toEqual(
                expected.filter((text) => text.startsWith(term)),
              )
              const found = await store.searchRepositories(term, 200, viewer)
              // Of no term at all the first ones are given.
              const having = expected.filter((text) => text.includes(term))
              expect(found.toSorted()).toEqual(having)
              const few = await store.searchRepositories(term, limit, viewer)
              expect(few).toHaveLength(Math.min(limit, having.length))
              expect(having).toEqual(expect.arrayContaining(few))
            },
          ),
          { numRuns: 60 },
        )
      })
    })

    describe('somebody who may not overwrite', () => {
      const put = (store: MetadataStore, seed: string, tags: string[]) =>
        putImage(store, imageText(seed), { tags, mayOverwrite: false })

      it('makes tags, and pushes the same again', async () => {
        const store = await open()

        const digest = await put(store, 'one', ['v1', 'latest'])
        await put(store, 'one', ['v1', 'v2'])

        for (const text of ['v1', 'v2', 'latest']) {
          expect(await store.getManifest(APP, { tag: tag(text) })).toMatchObject({ digest })
        }
      })

      it('moves no tag that is there, and then changes nothing', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('one'), { tags: ['v1'] })

        const moved = put(store, 'two', ['new', 'v1'])

        await expect(moved).rejects.toMatchObject({
          code: 'DENIED',
          message: 'the tag v1 of team/app is there already, and tester may not overwrite it',
        })
        expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
        const tags = await store.listTags(APP, { limit: 10 })
        expect(tags.entries).toEqual(['v1'])
        const other = manifestRecord(imageText('two')).digest
        await expect(store.getManifest(APP, { digest: other })).rejects.toMatchObject({
          code: 'MANIFEST_UNKNOWN',
        })
      })

      it('makes a tag again that was deleted', async () => {
        const store = await open()
        await putImage(store, imageText('one'), { tags: ['v1'] })
        await store.deleteTag({
          ...{ repository: APP, tag: tag('v1'), tagRules: NO_TAG_RULES },
          ...{ identity: 'root', at: AT, reviewAt: AT },
        })

        const digest = await put(store, 'two', ['v1'])

        expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
      })

      it('has one of two that make the same tag at once', async () => {
        const store = await open()

        const outcomes = await Promise.allSettled([
          put(store, 'one', ['v1']),
          put(store, 'two', ['v1']),
        ])

        expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      })
    })
  })
}
