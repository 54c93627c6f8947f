import { describe, expect, it } from 'vitest'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { Page } from '../../src/metadata/pages.js'
import type { RepositoryName } from '../../src/oci/reference.js'
import { ABSENT, CONFIG_TYPE, OCI_INDEX, OCI_MANIFEST, sha256 } from '../support/images.js'
import {
  APP,
  AT,
  digestRemoval,
  imageText,
  name,
  OTHER,
  putBlob,
  putImage,
  putIndex,
  subjectOf,
  tag,
  tagRemoval,
} from '../support/records.js'

/** Somebody who describes what is described already. */
const byRoot = { identity: 'root', mayOverwrite: true }

const NAMELESS = { code: 'NAME_UNKNOWN' }
const UNKNOWN = { code: 'MANIFEST_UNKNOWN' }

/** More tags than go with the delete of a manifest at once. */
const MANY_TAGS = Array.from({ length: 150 }, (_, index) => `m-${`${index}`.padStart(3, '0')}`)

/** Everything in a list, page by page; `next` says what the page behind an entry is asked with. */
async function walk<T, Q extends object>(
  ask: (query: Q | object) => Promise<Page<T>>,
  next: (entry: T) => Q,
): Promise<T[]> {
  const walked: T[] = []
  for (let query: Q | object = {}; ;) {
    const { entries, hasMore } = await ask(query)
    walked.push(...entries)
    const last = entries.at(-1)
    if (!hasMore || last === undefined) return walked
    query = next(last)
  }
}

function describeIt(store: MetadataStore, description: string, repository = APP) {
  return store.describeRepository({ ...{ repository, description, at: AT }, ...byRoot })
}

async function catalogOf(store: MetadataStore): Promise<string[]> {
  const { entries } = await store.listRepositories({ limit: 100 })
  const records = await store.listRepositoryRecords({ limit: 100 })
  expect(records.entries.map(({ name }) => name)).toEqual(entries)
  expect(records.entries.every(({ listed }) => listed)).toBe(true)
  return entries
}

/** What every MetadataStore tells people. Each backend's test file calls this once. */
export function inspectionContract(backend: string, open: () => Promise<MetadataStore>): void {
  describe(`what people ask a MetadataStore on ${backend}`, () => {
    describe('repositories', () => {
      it('are told with what they are for, and how much they hold', async () => {
        const store = await open()
        const text = imageText()
        await putBlob(store, 'config of image')
        await putBlob(store, 'layer of image')
        await putImage(store, text, { tags: ['v1'] })
        await describeIt(store, 'For the team.')

        const record = await store.getRepositoryRecord(APP)

        expect(record).toEqual({
          name: APP,
          createdAt: AT,
          description: 'For the team.',
          logicalBytes: text.length + 'config of image'.length + 'layer of image'.length,
          listed: true,
          visibility: 'private',
        })
        const { entries } = await store.listRepositoryRecords({ limit: 10 })
        expect(entries).toEqual([record])
      })

      it('are listed in byte order, those with a prefix alone when one is given', async () => {
        const store = await open()
        const names = ['0', 'a', 'a-b', 'a/b', 'a/b/c', 'a0', 'ab', 'b', 'z'].map(name)
        for (const repository of names) await describeIt(store, 'x', repository)

        const listed = async (prefix: string, limit: number) => {
          const records = await walk(
            (query) => store.listRepositoryRecords({ prefix, limit, ...query }),
            (record) => ({ after: record.name }),
          )
          return records.map((record): string => record.name)
        }

        for (const limit of [1, 2, 100]) {
          expect(await listed('', limit)).toEqual(names)
          expect(await listed('a', limit)).toEqual(names.filter((text) => text.startsWith('a')))
          expect(await listed('a/', limit)).toEqual(['a/b', 'a/b/c'])
          expect(await listed('a/b', limit)).toEqual(['a/b', 'a/b/c'])
          expect(await listed('c', limit)).toEqual([])
          expect(await listed('#', limit)).toEqual([])
        }
      })

      it('begin behind a name that need not exist', async () => {
        const store = await open()
        await describeIt(store, 'x', APP)

        const namesAfter = async (after: string, prefix?: string) => {
          const query = { after, limit: 10, ...(prefix !== undefined && { prefix }) }
          const { entries } = await store.listRepositoryRecords(query)
          return entries.map((record): string => record.name)
        }

        expect(await namesAfter('a')).toEqual([APP])
        expect(await namesAfter(APP)).toEqual([])
        expect(await namesAfter('z')).toEqual([])
        expect(await namesAfter('a', 'team/')).toEqual([APP])
      })

      it('come to be by a description, and are shown for as long as they have one', async () => {
        const store = await open()

        expect(await describeIt(store, 'first')).toEqual({ created: true, before: '' })
        expect(await catalogOf(store)).toEqual([APP])
        expect(await store.searchRepositories('team', 10)).toEqual([APP])
        expect(await describeIt(store, 'second')).toEqual({ created: false, before: 'first' })
        expect(await store.getRepositoryRecord(APP)).toMatchObject({ description: 'second' })
        expect(await describeIt(store, '')).toEqual({ created: false, before: 'second' })
        expect(await catalogOf(store)).toEqual([])
        expect(await store.searchRepositories('team', 10)).toEqual([])
        expect(await store.getRepositoryRecord(APP)).toMatchObject({ listed: false })
        expect(await describeIt(store, 'third')).toMatchObject({ created: false })
        expect(await catalogOf(store)).toEqual([APP])
      })

      it('stay when their last manifest goes, as long as they have a description', async () => {
        const store = await open()
        for (const repository of [APP, OTHER]) {
          const digest = await putImage(store, imageText(), { repository, tags: ['v1'] })
          if (repository === OTHER) await describeIt(store, 'stays', OTHER)
          await store.deleteManifest(digestRemoval(digest, { repository }))
        }

        expect(await catalogOf(store)).toEqual([OTHER])
        await describeIt(store, '', OTHER)
        expect(await catalogOf(store)).toEqual([])
      })

      it('stay without a description as long as they have a manifest', async () => {
        const store = await open()
        await putImage(store, imageText())
        await describeIt(store, 'something')

        await describeIt(store, '')

        expect(await catalogOf(store)).toEqual([APP])
      })

      it('do not come to be by an empty description, nor by a question', async () => {
        const store = await open()

        await expect(describeIt(store, '')).rejects.toMatchObject(NAMELESS)
        await expect(store.getRepositoryRecord(APP)).rejects.toMatchObject(NAMELESS)
        expect(await catalogOf(store)).toEqual([])
      })
    })

    describe('tags', () => {
      it('are told with what they point to, and since when', async () => {
        const store = await open()
        const text = imageText()
        const digest = await putImage(store, text, { tags: ['v1'], at: AT + 5, identity: 'me' })

        const record = await store.getTagRecord(APP, tag('v1'))

        expect(record).toEqual({
          name: 'v1',
          digest,
          mediaType: OCI_MANIFEST,
          sizeBytes: text.length,
          updatedAt: AT + 5,
          updatedBy: 'me',
        })
        expect(await store.listTagRecords(APP, { limit: 1 })).toEqual({
          entries: [record],
          hasMore: false,
        })
      })

      it('are all listed once, in the order of the other list', async () => {
        const store = await open()
        await putImage(store, imageText(), { tags: ['b', 'A', '_', 'a-', 'a', 'a.', '0'] })
        const { entries: expected } = await store.listTags(APP, { limit: 100 })

        for (const limit of [1, 3, 7, 8]) {
          const records = await walk(
            (query) => store.listTagRecords(APP, { limit, ...query }),
            (record) => ({ after: record.name }),
          )
          expect(records.map(({ name }) => name)).toEqual(expected)
        }
      })

      it('that went with their manifest are not there, tidied up or not', async () => {
        const store = await open()
        const gone = await putImage(store, imageText('gone'), { tags: MANY_TAGS })
        await putImage(store, imageText('stays'), { tags: ['a', 'm-050x', 'z'] })

        const deleted = await store.deleteManifest(digestRemoval(gone))

        expect(deleted).toEqual({
          tagsAreLeft: true,
          tags: MANY_TAGS.slice(0, 100),
          hasMoreTags: true,
        })
        const records = await walk(
          (query) => store.listTagRecords(APP, { limit: 2, ...query }),
          (record) => ({ after: record.name }),
        )
        expect(records.map(({ name }) => name)).toEqual(['a', 'm-050x', 'z'])
        await expect(store.getTagRecord(APP, tag('m-000'))).rejects.toMatchObject(UNKNOWN)
      })

      it('are unknown where they are not, and so are repositories', async () => {
        const store = await open()
        await putImage(store, imageText(), { tags: ['v1'] })

        await expect(store.getTagRecord(APP, tag('v2'))).rejects.toMatchObject(UNKNOWN)
        await expect(store.getTagRecord(OTHER, tag('v1'))).rejects.toMatchObject(NAMELESS)
        await expect(store.listTagRecords(OTHER, { limit: 1 })).rejects.toMatchObject(NAMELESS)
      })
    })

    describe('manifests', () => {
      it('are listed by digest, those that are not deleted', async () => {
        const store = await open()
        const digests = []
        for (const seed of ['a', 'b', 'c', 'd'])
          digests.push(await putImage(store, imageText(seed)))
        const tagged = await putImage(store, imageText('t', { artifactType: 'a/b' }), {
          tags: ['t'],
        })
        const gone = await putImage(store, imageText('gone'))
        await store.deleteManifest(digestRemoval(gone))

        for (const limit of [1, 2, 5, 6]) {
          const records = await walk(
            (query) => store.listManifestRecords(APP, { limit, ...query }),
            (record) => ({ after: record.digest }),
          )
          expect(records.map(({ digest }) => digest)).toEqual([...digests, tagged].toSorted())
          const found = records.find(({ digest }) => digest === tagged)
          expect(found).toMatchObject({ tagged: true, artifactType: 'a/b', pushedAt: AT })
          expect(records.filter((record) => record.tagged)).toHaveLength(1)
        }
        await expect(store.listManifestRecords(OTHER, { limit: 1 })).rejects.toMatchObject(NAMELESS)
      })

      it('that were deleted are listed by time, as far back as is asked for', async () => {
        const store = await open()
        const digests = []
        for (let index = 0; index < 5; index++) {
          const digest = await putImage(store, imageText(`${index}`), { tags: [`v${index}`] })
          // Two at the same time each.
          const at = AT + Math.floor(index / 2)
          await store.deleteManifest(digestRemoval(digest, { at, identity: 'remover' }))
          digests.push(digest)
        }
        const listed = async (since: number, limit: number) => {
          const entries = await walk(
            (query) => store.listDeletedManifests({ repository: APP, since, limit, ...query }),
            ({ deletedAt, id }) => ({ before: { at: deletedAt, id } }),
          )
          expect(entries.every(({ deletedBy }) => deletedBy === 'remover')).toBe(true)
          return entries.map(({ digest }) => digest)
        }

        for (const limit of [1, 2, 3, 10]) {
          expect(await listed(0, limit)).toEqual(digests.toReversed())
          expect(await listed(AT, limit)).toEqual(digests.slice(2).toReversed())
          expect(await listed(AT + 2, limit)).toEqual([])
        }
      })

      it('that came back are not among the deleted ones', async () => {
        const store = await open()
        const digest = await putImage(store, imageText())
        await store.deleteManifest(digestRemoval(digest))

        await putImage(store, imageText())

        const query = { repository: APP, since: 0, limit: 10 }
        expect((await store.listDeletedManifests(query)).entries).toEqual([])
      })

      it('are told with what they hold, and what holds them', async () => {
        const store = await open()
        const text = imageText('image', subjectOf(ABSENT))
        const digest = await putImage(store, text, { tags: ['b', 'a'] })
        const index = await putIndex(store, [digest])
        const deletedIndex = await putIndex(store, [digest, sha256('x')])
        await store.deleteManifest(digestRemoval(deletedIndex))
        await putImage(store, imageText('signature', subjectOf(digest)))
        await putImage(store, imageText('elsewhere', subjectOf(digest)), { repository: OTHER })
        await putIndex(store, [digest], { repository: OTHER })

        expect(await store.getManifestDetails(APP, digest)).toEqual({
          digest,
          mediaType: OCI_MANIFEST,
          artifactType: CONFIG_TYPE,
          subject: ABSENT,
          sizeBytes: text.length,
          pushedAt: AT,
          pushedBy: 'tester',
          tagged: true,
          references: [
            { digest: sha256('config of image'), kind: 'config', sizeBytes: 15 },
            { digest: sha256('layer of image'), kind: 'layer', sizeBytes: 14 },
          ].toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
          hasMoreReferences: false,
          tags: ['a', 'b'],
          hasMoreTags: false,
          heldBy: [index],
          hasMoreHolders: false,
          referrerCount: 1,
        })
        expect(await store.getManifestDetails(APP, index)).toMatchObject({
          mediaType: OCI_INDEX,
          tagged: false,
          references: [{ digest, kind: 'child' }],
          tags: [],
          heldBy: [],
          referrerCount: 0,
        })
      })

      it('tell no more of their tags than fits, and the rest by pages', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: MANY_TAGS })
        await putImage(store, imageText('other'), { tags: ['a', 'z'] })

        const { tags, hasMoreTags } = await store.getManifestDetails(APP, digest)
        const walked = await walk(
          (query) => store.listTagsOfManifest(APP, digest, { limit: 40, ...query }),
          (after) => ({ after }),
        )

        expect([tags, hasMoreTags]).toEqual([MANY_TAGS.slice(0, 100), true])
        expect(walked).toEqual(MANY_TAGS)
      })

      it('that come back have none of the tags that went with them', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: MANY_TAGS })
        await store.deleteManifest(digestRemoval(digest))

        await putImage(store, imageText(), { tags: ['new'] })

        expect(await store.getManifestDetails(APP, digest)).toMatchObject({ tags: ['new'] })
        const { entries } = await store.listTagsOfManifest(APP, digest, { limit: 10 })
        expect(entries).toEqual(['new'])
      })

      it('are unknown where they are not, or not any more', async () => {
        const store = await open()
        const digest = await putImage(store, imageText())
        await store.deleteManifest(digestRemoval(digest))

        for (const unknown of [digest, ABSENT]) {
          await expect(store.getManifestDetails(APP, unknown)).rejects.toMatchObject(UNKNOWN)
          const tags = store.listTagsOfManifest(APP, unknown, { limit: 1 })
          await expect(tags).rejects.toMatchObject(UNKNOWN)
        }
        await expect(store.getManifestDetails(OTHER, digest)).rejects.toMatchObject(NAMELESS)
      })
    })

    describe('deleting a manifest', () => {
      it('tells which tags went along', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: ['b', 'a'] })
        await putImage(store, imageText('other'), { tags: ['c'] })

        const deleted = await store.deleteManifest(digestRemoval(digest))

        expect(deleted).toEqual({ tagsAreLeft: false, tags: ['a', 'b'], hasMoreTags: false })
      })
    })

    describe('history', () => {
      it('has every move and delete, the last first, by pages', async () => {
        const store = await open()
        const first = await putImage(store, imageText('a'), { tags: ['v1'], identity: 'me' })
        const second = await putImage(store, imageText('b'), { tags: ['v1'], at: AT + 1 })
        await putImage(store, imageText('b'), { tags: ['v2'], at: AT + 2 })
        await store.deleteTag(tagRemoval('v2', { at: AT + 3 }))
        await store.deleteManifest(digestRemoval(first, { at: AT + 4 }))
        await putImage(store, imageText('c'), { repository: OTHER, tags: ['v1'] })
        const happened = [
          { action: 'deleted', from: first, at: AT + 4, identity: 'remover' },
          { action: 'deleted', tag: 'v2', from: second, at: AT + 3, identity: 'remover' },
          { action: 'moved', tag: 'v2', to: second, at: AT + 2, identity: 'tester' },
          { action: 'moved', tag: 'v1', from: first, to: second, at: AT + 1, identity: 'tester' },
          { action: 'moved', tag: 'v1', to: first, at: AT, identity: 'me' },
        ]
        const listed = async (limit: number, ofTag?: string) => {
          const entries = await walk(
            (query) =>
              store.listHistory({
                repository: APP,
                limit,
                ...(ofTag !== undefined && { tag: tag(ofTag) }),
                ...query,
              }),
            ({ id }) => ({ before: id }),
          )
          return entries.map(({ action, tag, from, to, at, identity }) => ({
            ...{ action, tag, from, to, at, identity },
          }))
        }

        for (const limit of [1, 2, 5, 6]) {
          expect(await listed(limit)).toEqual(happened)
          expect(await listed(limit, 'v1')).toEqual(happened.slice(3))
          expect(await listed(limit, 'v2')).toEqual(happened.slice(1, 3))
          expect(await listed(limit, 'v3')).toEqual([])
        }
      })

      it('tells which tags have changed after a time, each once, by name', async () => {
        const store = await open()
        const texts = Array.from({ length: 600 }, (_, index) => `t${`${index}`.padStart(3, '0')}`)
        await putImage(store, imageText('a'), {
          tags: [...texts, 'again', 'moved', 'same', 'went'],
        })
        for (const round of [1, 2, 3]) {
          const change = { tags: ['moved', 't599'], at: AT + round }
          await putImage(store, imageText(`round ${round}`), change)
        }
        await putImage(store, imageText('a'), { tags: ['same'], at: AT + 3 })
        await store.deleteTag(tagRemoval('went', { at: AT + 2 }))
        await store.deleteTag(tagRemoval('again', { at: AT + 2 }))
        await putImage(store, imageText('a'), { tags: ['again', 'new'], at: AT + 3 })
        await putImage(store, imageText('b'), { repository: OTHER, tags: ['other'], at: AT + 3 })
        const changed = async (since: number, limit: number) => {
          const tags: string[] = []
          for (let after: string | undefined = ''; after !== undefined;) {
            const page = await store.listChangedTags({ repository: APP, since, after, limit })
            expect(page.tags.length).toBeLessThanOrEqual(limit)
            tags.push(...page.tags)
            after = page.next
          }
          return tags
        }

        for (const limit of [1, 2, 100]) {
          expect(await changed(AT + 3, limit)).toEqual([])
          expect(await changed(AT + 2, limit)).toEqual(['again', 'moved', 'new', 't599'])
          expect(await changed(AT + 1, limit)).toEqual(['again', 'moved', 'new', 't599', 'went'])
        }
        expect(await changed(AT - 1, 100)).toHaveLength(texts.length + 5)
        const asked = store.listChangedTags({
          ...{ repository: name('never'), since: AT, after: '', limit: 1 },
        })
        await expect(asked).rejects.toMatchObject(NAMELESS)
      })

      it('is unknown of a repository that never was', async () => {
        const store = await open()

        const asked = store.listHistory({ repository: 'never' as RepositoryName, limit: 1 })

        await expect(asked).rejects.toMatchObject(NAMELESS)
      })
    })
  })
}
