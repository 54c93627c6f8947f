import { describe, expect, it } from 'vitest'
import type { ReferrersQuery } from '../../src/metadata/manifests.js'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { Page, PageRequest } from '../../src/metadata/pages.js'
import type { Digest } from '../../src/oci/digest.js'
import type { RepositoryName } from '../../src/oci/reference.js'
import {
  ABSENT,
  ABSENT_SHA512,
  CONFIG_TYPE,
  OCI_INDEX,
  OCI_MANIFEST,
  sha256,
  sha512,
} from '../support/images.js'
import {
  APP,
  AT,
  blobRecord,
  blobRemoval,
  digestRemoval,
  imageText,
  LEASE_UNTIL,
  manifestRecord,
  name,
  openUpload,
  OTHER,
  putBlob,
  putImage,
  putIndex,
  REVIEW_AT,
  subjectOf,
  tag,
  tagRemoval,
} from '../support/records.js'

const SOME_TAG_CHARACTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz'

/** More than any store deletes in one transaction, or walks in one go. */
const MANY = 2_500
const MANY_TAGS = Array.from({ length: MANY }, (_, index) => `many-${`${index}`.padStart(5, '0')}`)

const UNKNOWN = { code: 'MANIFEST_UNKNOWN' }

/** What every MetadataStore promises. Each backend's test file calls this once. */
export function metadataStoreContract(backend: string, open: () => Promise<MetadataStore>): void {
  describe(`MetadataStore on ${backend}`, () => {
    describe('manifests', () => {
      it('are there by tag and by digest, byte for byte', async () => {
        const store = await open()
        const text = `${imageText()} \n\n`

        const digest = await putImage(store, text, { tags: ['v1'] })
        const byTag = await store.getManifest(APP, { tag: tag('v1') })
        const byDigest = await store.getManifest(APP, { digest })

        expect(byTag).toEqual({
          digest,
          mediaType: OCI_MANIFEST,
          bytes: Buffer.from(text),
          leasedUntil: 0,
        })
        expect(byDigest).toEqual(byTag)
      })

      it('may be as large as any manifest', async () => {
        const store = await open()
        const text = imageText('large', { annotations: { a: 'x'.repeat(4 * 1024 * 1024) } })

        const digest = await putImage(store, text)

        const { bytes } = await store.getManifest(APP, { digest })
        expect(bytes.equals(Buffer.from(text))).toBe(true)
      })

      it('may be addressed by sha512', async () => {
        const store = await open()
        const text = imageText()

        await store.putManifest(manifestRecord(text, { digest: sha512(text), tags: ['v1'] }))

        const { digest } = await store.getManifest(APP, { tag: tag('v1') })
        expect(digest).toBe(sha512(text))
        await expect(store.getManifest(APP, { digest: sha256(text) })).rejects.toMatchObject({
          code: 'MANIFEST_UNKNOWN',
        })
      })

      it('get a lease when no tag holds them', async () => {
        const store = await open()

        const digest = await putImage(store, imageText(), { tags: [] })

        const { leasedUntil } = await store.getManifest(APP, { digest })
        expect(leasedUntil).toBe(LEASE_UNTIL)
      })

      it('may be pushed again and again', async () => {
        const store = await open()

        const first = await putImage(store, imageText(), { tags: ['v1'] })
        const second = await putImage(store, imageText(), { tags: ['v1'] })
        const third = await putImage(store, imageText())

        expect([second, third]).toEqual([first, first])
        expect(await tagsOf(store)).toEqual(['v1'])
      })

      it('may get many tags at once', async () => {
        const store = await open()
        const tags = Array.from({ length: 100 }, (_, index) => `v${index}`)

        const digest = await putImage(store, imageText(), { tags })

        for (const text of tags) {
          expect(await store.getManifest(APP, { tag: tag(text) })).toMatchObject({ digest })
        }
      })

      it('keep the type that they were pushed with last', async () => {
        const store = await open()
        const text = imageText('typeless', { mediaType: undefined })
        const docker = 'application/vnd.docker.distribution.manifest.v2+json'
        const record = manifestRecord(text, { tags: ['v1'] })
        await store.putManifest(record)

        await store.putManifest({ ...record, manifest: { ...record.manifest, mediaType: docker } })

        const { mediaType } = await store.getManifest(APP, { tag: tag('v1') })
        expect(mediaType).toBe(docker)
      })

      it('belong to one repository: the same bytes elsewhere are another manifest', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: ['v1'] })
        await putImage(store, imageText(), { repository: OTHER })

        await store.deleteManifest(digestRemoval(digest))

        await expect(store.getManifest(APP, { digest })).rejects.toMatchObject({
          code: 'MANIFEST_UNKNOWN',
        })
        expect(await store.getManifest(OTHER, { digest })).toMatchObject({ digest })
        await expect(store.getManifest(OTHER, { tag: tag('v1') })).rejects.toMatchObject({
          code: 'MANIFEST_UNKNOWN',
        })
      })

      it('are unknown where they are not, and so are repositories', async () => {
        const store = await open()
        await putImage(store, imageText(), { tags: ['v1'] })

        const unknown = { code: 'MANIFEST_UNKNOWN' }
        await expect(store.getManifest(APP, { tag: tag('v2') })).rejects.toMatchObject(unknown)
        await expect(store.getManifest(APP, { tag: tag('V1') })).rejects.toMatchObject(unknown)
        await expect(store.getManifest(APP, { digest: ABSENT })).rejects.toMatchObject(unknown)
        const nameless = { code: 'NAME_UNKNOWN' }
        await expect(store.getManifest(OTHER, { tag: tag('v1') })).rejects.toMatchObject(nameless)
        await expect(store.getManifest(OTHER, { digest: ABSENT })).rejects.toMatchObject(nameless)
      })
    })

    describe('a tag', () => {
      it('moves to what was pushed to it last; the manifest before stays', async () => {
        const store = await open()
        const before = await putImage(store, imageText('before'), { tags: ['v1', 'v2'] })

        const after = await putImage(store, imageText('after'), { tags: ['v1'] })

        expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest: after })
        expect(await store.getManifest(APP, { tag: tag('v2') })).toMatchObject({ digest: before })
        expect(await store.getManifest(APP, { digest: before })).toMatchObject({ digest: before })
      })

      it('goes alone when it is deleted', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: ['v1', 'v2'] })

        await store.deleteTag(tagRemoval('v1'))

        expect(await tagsOf(store)).toEqual(['v2'])
        expect(await store.getManifest(APP, { digest })).toMatchObject({ digest })
      })

      it('leaves its repository and manifest behind when it was the last', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: ['v1'] })

        await store.deleteTag(tagRemoval('v1'))

        expect(await tagsOf(store)).toEqual([])
        expect(await store.getManifest(APP, { digest })).toMatchObject({ digest })
      })

      it('can be made again after it was deleted', async () => {
        const store = await open()
        await putImage(store, imageText('before'), { tags: ['v1'] })
        await store.deleteTag(tagRemoval('v1'))

        const digest = await putImage(store, imageText('after'), { tags: ['v1'] })

        expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
      })

      it('is unknown to delete where it is not, and so is its repository', async () => {
        const store = await open()
        await putImage(store, imageText(), { tags: ['v1'] })

        await expect(store.deleteTag(tagRemoval('v2'))).rejects.toMatchObject({
          code: 'MANIFEST_UNKNOWN',
        })
        const elsewhere = store.deleteTag(tagRemoval('v1', { repository: OTHER }))
        await expect(elsewhere).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
      })
    })

    describe('deleting a manifest', () => {
      it('takes every tag that points to it along, and no other', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('one'), { tags: ['a', 'b', 'c'] })
        const other = await putImage(store, imageText('two'), { tags: ['b', 'd'] })

        await store.deleteManifest(digestRemoval(digest))

        expect(await tagsOf(store)).toEqual(['b', 'd'])
        expect(await store.getManifest(APP, { tag: tag('b') })).toMatchObject({ digest: other })
        await expect(store.getManifest(APP, { digest })).rejects.toMatchObject({
          code: 'MANIFEST_UNKNOWN',
        })
      })

      it('leaves its blobs, children and referrers', async () => {
        const store = await open()
        const blob = await putBlob(store, 'layer')
        const child = await putImage(store, imageText('child'))
        const index = await putIndex(store, [child, blob], { tags: ['v1'] })
        const referrer = await putImage(store, imageText('referrer', subjectOf(index)))

        await store.deleteManifest(digestRemoval(index))

        expect(await store.getBlob(APP, blob)).toMatchObject({ digest: blob })
        expect(await store.getManifest(APP, { digest: child })).toMatchObject({ digest: child })
        expect(await referrersOf(store, index)).toEqual([referrer])
      })

      it('is undone by pushing it again', async () => {
        const store = await open()
        const text = imageText('again', subjectOf(ABSENT))
        const digest = await putImage(store, text, { tags: ['v1'] })
        await store.deleteManifest(digestRemoval(digest))

        await putImage(store, text, { tags: ['v2'] })

        expect(await store.getManifest(APP, { digest })).toMatchObject({ digest })
        expect(await tagsOf(store)).toEqual(['v2'])
        expect(await referrersOf(store, ABSENT)).toEqual([digest])
      })

      it('is refused where it is not, or not any more', async () => {
        const store = await open()
        const digest = await putImage(store, imageText())
        const unknown = { code: 'MANIFEST_UNKNOWN' }

        await expect(store.deleteManifest(digestRemoval(ABSENT))).rejects.toMatchObject(unknown)
        await store.deleteManifest(digestRemoval(digest))
        await expect(store.deleteManifest(digestRemoval(digest))).rejects.toMatchObject(unknown)
        const elsewhere = store.deleteManifest(digestRemoval(digest, { repository: OTHER }))
        await expect(elsewhere).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
      })
    })

    describe('deleting a manifest with many tags', () => {
      /** Before anything is tidied up, after some of it, after all. */
      async function* stagesOfTidying(store: MetadataStore): AsyncGenerator<string> {
        yield 'at once'
        await store.removeDeletedTags(MANY - 500)
        yield 'with some tidied up'
        await tidyUp(store)
        yield 'with all tidied up'
      }

      it('leaves nothing to see of them, and all others, at once', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('one'), { tags: MANY_TAGS })
        const others = ['a', 'many-00999x', 'many-01000x', 'many-02499x', 'z']
        const other = await putImage(store, imageText('two'), { tags: others })

        await store.deleteManifest(digestRemoval(digest))

        for await (const stage of stagesOfTidying(store)) {
          await expect(store.getManifest(APP, { digest }), stage).rejects.toMatchObject(UNKNOWN)
          for (const gone of ['many-00000', 'many-01234', 'many-02499']) {
            const byTag = store.getManifest(APP, { tag: tag(gone) })
            await expect(byTag, `${gone} ${stage}`).rejects.toMatchObject(UNKNOWN)
          }
          for (const present of others) {
            const manifest = await store.getManifest(APP, { tag: tag(present) })
            expect(manifest.digest, stage).toBe(other)
          }
          for (const limit of [1, 2, 5, 10_000]) {
            const walked = await walk(limit, (page) => store.listTags(APP, page))
            expect(walked, `${limit} a page ${stage}`).toEqual(others)
          }
        }
      })

      it('leaves pages that say rightly whether there is more', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('one'), { tags: MANY_TAGS })
        await putImage(store, imageText('two'), { tags: ['a', 'z'] })
        await putImage(store, imageText('one'), { tags: ['zz'], repository: OTHER })

        await store.deleteManifest(digestRemoval(digest))

        for await (const stage of stagesOfTidying(store)) {
          const list = (page: PageRequest) => store.listTags(APP, page)
          expect(await list({ limit: 1 }), stage).toEqual({ entries: ['a'], hasMore: true })
          expect(await list({ limit: 2 }), stage).toEqual({ entries: ['a', 'z'], hasMore: false })
          const behind = { entries: ['z'], hasMore: false }
          expect(await list({ after: 'a', limit: 1 }), stage).toEqual(behind)
          expect(await list({ after: 'many-01234', limit: 1 }), stage).toEqual(behind)
          const none = { entries: [], hasMore: false }
          expect(await list({ after: 'z', limit: 1 }), stage).toEqual(none)
          expect(await tagsOf(store, OTHER), stage).toEqual(['zz'])
        }
      })

      it('leaves an empty list when there are no others', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: MANY_TAGS })

        await store.deleteManifest(digestRemoval(digest))

        for await (const stage of stagesOfTidying(store)) {
          const page = await store.listTags(APP, { limit: 10 })
          expect(page, stage).toEqual({ entries: [], hasMore: false })
          expect(await store.findNewestManifest(APP), stage).toBeUndefined()
        }
      })

      it('makes the newest of the others the newest of all', async () => {
        const store = await open()
        await putImage(store, imageText('oldest'), { tags: ['a'], at: AT - 2 })
        const newest = await putImage(store, imageText('newest'), { tags: ['b'], at: AT - 1 })
        const digest = await putImage(store, imageText('deleted'), { tags: MANY_TAGS })

        await store.deleteManifest(digestRemoval(digest))

        for await (const stage of stagesOfTidying(store)) {
          expect(await store.findNewestManifest(APP), stage).toMatchObject({ digest: newest })
        }
      })

      it('takes the fallback tag along, and with it what its index lists', async () => {
        const store = await open()
        const listed = await putImage(store, imageText('listed'))
        const index = await putIndex(store, [listed], {
          tags: [...MANY_TAGS, fallbackTag(ABSENT)],
        })

        await store.deleteManifest(digestRemoval(index))

        for await (const stage of stagesOfTidying(store)) {
          expect(await referrersOf(store, ABSENT), stage).toEqual([])
          const ofType = await referrersOf(store, ABSENT, { artifactTypes: [CONFIG_TYPE] })
          expect(ofType, stage).toEqual([])
        }
      })

      it('leaves no tag to delete', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: MANY_TAGS })

        await store.deleteManifest(digestRemoval(digest))

        for await (const stage of stagesOfTidying(store)) {
          const again = store.deleteTag(tagRemoval('many-02400'))
          await expect(again, stage).rejects.toMatchObject(UNKNOWN)
          const twice = store.deleteManifest(digestRemoval(digest))
          await expect(twice, stage).rejects.toMatchObject(UNKNOWN)
        }
      })

      it('leaves its tags free to be used for something else', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('one'), { tags: MANY_TAGS })
        await store.deleteManifest(digestRemoval(digest))
        const used = ['many-00000', 'many-01500', 'many-02499']

        const other = await putImage(store, imageText('two'), { tags: used, at: AT + 1 })

        for await (const stage of stagesOfTidying(store)) {
          expect(await tagsOf(store), stage).toEqual(used)
          const byTag = await store.getManifest(APP, { tag: tag('many-01500') })
          expect(byTag.digest, stage).toBe(other)
          expect(await store.findNewestManifest(APP), stage).toMatchObject({ digest: other })
        }
        await store.deleteTag(tagRemoval('many-00000'))
        expect(await tagsOf(store)).toEqual(used.slice(1))
      })

      it('brings none of them back when it is pushed again', async () => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: MANY_TAGS })
        await store.deleteManifest(digestRemoval(digest))
        const again = ['many-01500', 'new']

        await putImage(store, imageText(), { tags: again })

        for await (const stage of stagesOfTidying(store)) {
          expect(await tagsOf(store), stage).toEqual(again)
          for (const present of again) {
            const manifest = await store.getManifest(APP, { tag: tag(present) })
            expect(manifest.digest, stage).toBe(digest)
          }
          const gone = store.getManifest(APP, { tag: tag('many-00001') })
          await expect(gone, stage).rejects.toMatchObject(UNKNOWN)
        }
      })

      it('may be repeated before the last time is tidied up', async () => {
        const store = await open()
        const push = (tags: readonly string[]) => putImage(store, imageText(), { tags })
        const digest = await push(MANY_TAGS)
        await store.deleteManifest(digestRemoval(digest))
        await push(MANY_TAGS.slice(0, 1_500))
        await store.deleteManifest(digestRemoval(digest))
        await push(['few'])
        await store.deleteManifest(digestRemoval(digest))
        await push([...MANY_TAGS.slice(0, 3), 'last'])

        for await (const stage of stagesOfTidying(store)) {
          expect(await tagsOf(store), stage).toEqual(['last', ...MANY_TAGS.slice(0, 3)])
        }
      })

      it('may happen to several at the same time', async () => {
        const store = await open()
        const seeds = ['one', 'two', 'three']
        const digests = await Promise.all(
          seeds.map((seed) =>
            putImage(store, imageText(seed), { tags: MANY_TAGS.map((text) => `${text}-${seed}`) }),
          ),
        )
        await putImage(store, imageText('other'), { tags: ['other'] })

        const outcomes = await Promise.allSettled(
          [...digests, ...digests].map((digest) => store.deleteManifest(digestRemoval(digest))),
        )

        const statuses = outcomes.map(({ status }) => status)
        expect(statuses).toEqual([...seeds.map(() => 'fulfilled'), ...seeds.map(() => 'rejected')])
        for await (const stage of stagesOfTidying(store)) {
          expect(await tagsOf(store), stage).toEqual(['other'])
        }
      })

      it('says whether anything is left to tidy up', async () => {
        const store = await open()
        const few = await putImage(store, imageText('few'), { tags: ['a', 'b'] })
        const many = await putImage(store, imageText('many'), { tags: MANY_TAGS })

        const afterFew = await store.deleteManifest(digestRemoval(few))
        const nothing = await store.removeDeletedTags(1_000)
        const afterMany = await store.deleteManifest(digestRemoval(many))
        const some = await store.removeDeletedTags(1_000)
        const rest = await store.removeDeletedTags(MANY)

        expect([afterFew.tagsAreLeft, nothing]).toEqual([false, false])
        expect([afterMany.tagsAreLeft, some, rest]).toEqual([true, true, false])
      })

      it('goes on while others push and delete', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('one'), { tags: MANY_TAGS })
        await store.deleteManifest(digestRemoval(digest))

        const moved = MANY_TAGS.filter((_, index) => index % 50 === 0)
        const tidied = tidyUp(store, 10)
        for (const text of moved) await putImage(store, imageText('two'), { tags: [text] })
        await tidied

        expect(await tagsOf(store)).toEqual(moved)
      })
    })

    describe('what a manifest requires', () => {
      it('must be in its repository: everything that is missing is told at once', async () => {
        const store = await open()
        const there = await putBlob(store, 'there')
        const elsewhere = await putBlob(store, 'elsewhere', { repository: OTHER })
        const record = manifestRecord(imageText(), {
          requiredBlobs: [there, elsewhere, ABSENT],
          requiredChildren: [ABSENT_SHA512, ABSENT],
          tags: ['v1'],
        })

        const put = store.putManifest(record)

        await expect(put).rejects.toMatchObject({
          code: 'MANIFEST_BLOB_UNKNOWN',
          details: [{ digest: elsewhere }, { digest: ABSENT }, { digest: ABSENT_SHA512 }],
        })
      })

      it('leaves nothing behind when it is missing: no manifest, tag or repository', async () => {
        const store = await open()
        const record = manifestRecord(imageText('refused', subjectOf(ABSENT)), {
          requiredBlobs: [ABSENT],
          tags: ['v1'],
        })

        await expect(store.putManifest(record)).rejects.toMatchObject({
          code: 'MANIFEST_BLOB_UNKNOWN',
        })

        expect(await store.listRepositories({ limit: 10 })).toEqual({ entries: [], hasMore: false })
        expect(await referrersOf(store, ABSENT)).toEqual([])
        await expect(store.getManifest(APP, { tag: tag('v1') })).rejects.toMatchObject({
          code: 'NAME_UNKNOWN',
        })
      })

      it('leaves the tag where it was when it is missing', async () => {
        const store = await open()
        const digest = await putImage(store, imageText('before'), { tags: ['v1'] })

        const put = putImage(store, imageText('after'), { tags: ['v1'], requiredBlobs: [ABSENT] })

        await expect(put).rejects.toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN' })
        expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
      })

      it('may be children that are manifests or blobs, but no blobs that are manifests', async () => {
        const store = await open()
        const blob = await putBlob(store, 'layer')
        const child = await putImage(store, imageText('child'))

        await putIndex(store, [child, blob], { requiredChildren: [child, blob], tags: ['v1'] })
        const wrong = putImage(store, imageText('x'), { requiredBlobs: [child] })

        expect(await tagsOf(store)).toEqual(['v1'])
        await expect(wrong).rejects.toMatchObject({
          code: 'MANIFEST_BLOB_UNKNOWN',
          details: [{ digest: child }],
        })
      })

      it('is missing again after it was deleted', async () => {
        const store = await open()
        const blob = await putBlob(store, 'layer')
        const child = await putImage(store, imageText('child'))
        await store.deleteBlob(blobRemoval(blob))
        await store.deleteManifest(digestRemoval(child))

        const put = putIndex(store, [], { requiredBlobs: [blob], requiredChildren: [child] })

        await expect(put).rejects.toMatchObject({ details: [{ digest: blob }, { digest: child }] })
      })

      it('never is its subject', async () => {
        const store = await open()

        const digest = await putImage(store, imageText('referrer', subjectOf(ABSENT)))

        expect(await referrersOf(store, ABSENT)).toEqual([digest])
      })

      it('may be of any size that can be counted, and stand many times in it', async () => {
        const store = await open()
        const layer = { mediaType: 'x/y', digest: ABSENT, size: Number.MAX_SAFE_INTEGER }
        const text = imageText('strange', { layers: [layer, layer, { ...layer, size: -0 }] })

        const digest = await putImage(store, text)

        expect(await store.getManifest(APP, { digest })).toMatchObject({ digest })
      })
    })

    describe('listing tags', () => {
      it.each([1, 2, 3, 7, 1_000])(
        'walks all of them once, in the order of their bytes, %i a page',
        async (limit) => {
          const store = await open()
          const tags = [
            ...SOME_TAG_CHARACTERS,
            ...[...`${SOME_TAG_CHARACTERS}.-`].map((character) => `a${character}`),
            ...['v1', 'v1.0', 'v1.0.0', 'v1.0.0-rc', 'v10', 'V1', 'v-', 'v_', 'x'.repeat(128)],
          ]
          await putImage(store, imageText(), { tags: shuffled(tags) })
          await putImage(store, imageText(), { repository: OTHER, tags: ['v1', 'other'] })

          const walked = await walk(limit, (page) => store.listTags(APP, page))

          expect(walked).toEqual(inByteOrder(tags))
        },
      )

      it('goes on behind a tag that does not exist', async () => {
        const store = await open()
        await putImage(store, imageText(), { tags: ['a', 'c', 'e'] })

        const list = async (after: string) =>
          (await store.listTags(APP, { after, limit: 1 })).entries

        expect(await list('')).toEqual(['a'])
        expect(await list('b')).toEqual(['c'])
        expect(await list('cc')).toEqual(['e'])
        expect(await list('e')).toEqual([])
        expect(await list('ä not a tag')).toEqual([])
      })

      it('says whether there is more', async () => {
        const store = await open()
        await putImage(store, imageText(), { tags: ['a', 'b'] })

        const pages = await Promise.all([0, 1, 2, 3].map((limit) => store.listTags(APP, { limit })))

        expect(pages).toEqual([
          { entries: [], hasMore: true },
          { entries: ['a'], hasMore: true },
          { entries: ['a', 'b'], hasMore: false },
          { entries: ['a', 'b'], hasMore: false },
        ])
      })

      it('of a repository without tags is empty, and of no repository is refused', async () => {
        const store = await open()
        await putBlob(store, 'layer')

        expect(await store.listTags(APP, { limit: 10 })).toEqual({ entries: [], hasMore: false })
        await expect(store.listTags(OTHER, { limit: 10 })).rejects.toMatchObject({
          code: 'NAME_UNKNOWN',
        })
      })
    })

    describe('listing repositories', () => {
      it.each([1, 2, 3, 1_000])(
        'walks all of them once, in the order of their bytes, %i a page',
        async (limit) => {
          const store = await open()
          const names = [
            'a',
            'a/b',
            'a-b',
            'a.b',
            'a_b',
            'a0',
            'ab',
            'a/b/c',
            'b',
            '0',
            'a--b',
            'a__b',
          ]
          await Promise.all(
            shuffled(names).map((text) => putImage(store, imageText(), { repository: name(text) })),
          )

          const walked = await walk(limit, (page) => store.listRepositories(page))

          expect(walked).toEqual(inByteOrder(names))
        },
      )

      it('has those with a manifest once each, and none that has blobs alone', async () => {
        const store = await open()
        await putImage(store, imageText(), { repository: name('by-manifest') })
        await putBlob(store, 'layer', { repository: name('by-both') })
        await putImage(store, imageText(), { repository: name('by-both') })
        await putImage(store, imageText('other'), { repository: name('by-both') })
        const digest = await putBlob(store, 'layer', { repository: name('by-blob') })
        await putBlob(store, 'layer', { repository: name('by-blob') })
        await store.mountBlob(mountOf(digest, { repository: name('by-mount') }))

        const { entries } = await store.listRepositories({ limit: 10 })

        expect(entries).toEqual(['by-both', 'by-manifest'])
        for (const made of ['by-blob', 'by-mount']) {
          expect(await store.listTags(name(made), { limit: 1 })).toMatchObject({ entries: [] })
        }
      })

      it('has none where only an upload was opened, a mount failed or a put was refused', async () => {
        const store = await open()
        await openUpload(store)
        await store.mountBlob(mountOf(ABSENT))

        const { entries } = await store.listRepositories({ limit: 10 })

        expect(entries).toEqual([])
      })
    })

    describe('referrers', () => {
      it('are the manifests of a subject, with what a list shows of them', async () => {
        const store = await open()
        const annotations = { 'org.example.a': '1', b: '', __proto__x: 'ä' }
        const image = imageText('image', { ...subjectOf(ABSENT), annotations })
        const index = JSON.stringify({
          schemaVersion: 2,
          mediaType: OCI_INDEX,
          manifests: [],
          ...subjectOf(ABSENT),
        })
        const typed = imageText('typed', { ...subjectOf(ABSENT), artifactType: 'application/x.y' })
        for (const text of [image, index, typed]) await putImage(store, text)
        await putImage(store, imageText('unrelated'))

        const { entries, hasMore } = await store.listReferrers(referrersQuery(ABSENT))

        const shown = (text: string, members: object) => ({
          digest: sha256(text),
          sizeBytes: Buffer.byteLength(text),
          ...members,
        })
        expect(hasMore).toBe(false)
        expect(entries).toEqual(
          [
            shown(image, { mediaType: OCI_MANIFEST, artifactType: CONFIG_TYPE, annotations }),
            shown(index, { mediaType: OCI_INDEX }),
            shown(typed, { mediaType: OCI_MANIFEST, artifactType: 'application/x.y' }),
          ].sort((a, b) => Buffer.compare(Buffer.from(a.digest), Buffer.from(b.digest))),
        )
      })

      it('are none for a subject or repository that is not there', async () => {
        const store = await open()
        await putImage(store, imageText('referrer', subjectOf(ABSENT)))

        const none = { entries: [], hasMore: false }
        expect(await store.listReferrers(referrersQuery(sha256('x')))).toEqual(none)
        const elsewhere = referrersQuery(ABSENT, { repository: OTHER })
        expect(await store.listReferrers(elsewhere)).toEqual(none)
      })

      it('are only those of the same repository', async () => {
        const store = await open()
        const here = await putImage(store, imageText('here', subjectOf(ABSENT)))
        const text = imageText('there', subjectOf(ABSENT))
        const there = await putImage(store, text, { repository: OTHER })

        expect(await referrersOf(store, ABSENT)).toEqual([here])
        expect(await referrersOf(store, ABSENT, { repository: OTHER })).toEqual([there])
      })

      it('vanish when they are deleted, and their subject may', async () => {
        const store = await open()
        const subject = await putImage(store, imageText('subject'))
        const [gone, stays] = [
          await putImage(store, imageText('gone', subjectOf(subject))),
          await putImage(store, imageText('stays', subjectOf(subject))),
        ]

        await store.deleteManifest(digestRemoval(gone))
        await store.deleteManifest(digestRemoval(subject))

        expect(await referrersOf(store, subject)).toEqual([stays])
      })

      it('are told apart by the algorithm of their subject', async () => {
        const store = await open()
        const subject = imageText('subject')
        const by256 = await putImage(store, imageText('256', subjectOf(sha256(subject))))
        const by512 = await putImage(store, imageText('512', subjectOf(sha512(subject))))

        expect(await referrersOf(store, sha256(subject))).toEqual([by256])
        expect(await referrersOf(store, sha512(subject))).toEqual([by512])
      })

      it('are those of any of the types asked for', async () => {
        const store = await open()
        const put = (artifactType: string) =>
          putImage(store, imageText(artifactType, { ...subjectOf(ABSENT), artifactType }))
        const [a, b, c] = [await put('x/a'), await put('x/b'), await put("x/'c%_")]
        const untyped = await putImage(store, imageText('untyped', subjectOf(ABSENT)))

        const ofTypes = (...artifactTypes: string[]) =>
          referrersOf(store, ABSENT, { artifactTypes })

        expect(await ofTypes('x/a')).toEqual([a])
        expect(await ofTypes('x/b', 'x/a', 'x/a')).toEqual(inByteOrder([a, b]))
        expect(await ofTypes("x/'c%_")).toEqual([c])
        expect(await ofTypes(CONFIG_TYPE)).toEqual([untyped])
        expect(await ofTypes('x')).toEqual([])
        expect(await ofTypes('X/A')).toEqual([])
        expect(await ofTypes()).toEqual(inByteOrder([a, b, c, untyped]))
      })

      it.each([1, 2, 3, 100])('come once each over pages of %i, filtered or not', async (limit) => {
        const store = await open()
        const digests = await Promise.all(
          Array.from({ length: 12 }, (_, index) =>
            putImage(
              store,
              imageText(`${index}`, { ...subjectOf(ABSENT), artifactType: `x/${index % 2}` }),
            ),
          ),
        )
        // Of all halves: by subject, by the fallback tag, by both.
        const loose = await putImage(store, imageText('loose'))
        await putIndex(store, [loose, ...digests.slice(0, 5)], { tags: [fallbackTag(ABSENT)] })

        const all = await walkReferrers(store, { limit })
        const even = await walkReferrers(store, { limit, artifactTypes: ['x/0'] })

        expect(all).toEqual(inByteOrder([...digests, loose]))
        expect(even).toEqual(inByteOrder(digests.filter((_, index) => index % 2 === 0)))
      })

      it('end a page before it has too many bytes, but never before its first entry', async () => {
        const store = await open()
        const digests = await Promise.all(
          Array.from({ length: 6 }, (_, index) =>
            putImage(
              store,
              imageText(`${index}`, {
                ...subjectOf(ABSENT),
                annotations: { text: 'ä'.repeat(50_000) },
              }),
            ),
          ),
        )

        const tiny = await store.listReferrers(referrersQuery(ABSENT, { bytesMax: 1 }))
        const page = await store.listReferrers(referrersQuery(ABSENT, { bytesMax: 250_000 }))
        const all = await walkReferrers(store, { bytesMax: 250_000 })

        expect([tiny.entries.length, tiny.hasMore]).toEqual([1, true])
        expect([page.entries.length, page.hasMore]).toEqual([2, true])
        expect(Buffer.byteLength(JSON.stringify(page.entries))).toBeLessThanOrEqual(250_000)
        expect(all).toEqual(inByteOrder(digests))
      })

      it('are also those that an index under the fallback tag lists, without doubles', async () => {
        const store = await open()
        const both = await putImage(store, imageText('both', subjectOf(ABSENT)))
        const listed = await putImage(store, imageText('listed'))
        const blob = await putBlob(store, 'not a manifest')
        const gone = await putImage(store, imageText('gone', subjectOf(ABSENT)))
        await putIndex(store, [both, listed, blob, gone, sha256('never there')], {
          tags: [fallbackTag(ABSENT)],
        })
        await store.deleteManifest(digestRemoval(gone))

        expect(await referrersOf(store, ABSENT)).toEqual(inByteOrder([both, listed]))
      })

      it('follow the fallback tag when it moves or goes', async () => {
        const store = await open()
        const [first, second] = [
          await putImage(store, imageText('first')),
          await putImage(store, imageText('second')),
        ]
        await putIndex(store, [first], { tags: [fallbackTag(ABSENT_SHA512)] })
        const before = await referrersOf(store, ABSENT_SHA512)

        await putIndex(store, [second], { tags: [fallbackTag(ABSENT_SHA512)] })
        const after = await referrersOf(store, ABSENT_SHA512)
        await store.deleteTag(tagRemoval(fallbackTag(ABSENT_SHA512)))

        expect([before, after]).toEqual([[first], [second]])
        expect(await referrersOf(store, ABSENT_SHA512)).toEqual([])
      })

      it('are not the config and layers of an image under the fallback tag', async () => {
        const store = await open()
        const image = await putImage(store, imageText('listed'))
        const layers = [{ mediaType: OCI_MANIFEST, digest: image, size: 1 }]
        await putImage(store, imageText('x', { layers }), { tags: [fallbackTag(ABSENT)] })

        expect(await referrersOf(store, ABSENT)).toEqual([])
      })
    })

    describe('blobs', () => {
      it('are known by their size, and that they lie with the blob store', async () => {
        const store = await open()

        const digest = await putBlob(store, 'hello')

        expect(await store.getBlob(APP, digest)).toEqual({
          digest,
          sizeBytes: 5,
          inline: false,
          storedAt: AT,
          leasedUntil: LEASE_UNTIL,
        })
        expect(await store.readInlineBlob(digest)).toBeUndefined()
      })

      it('may have their bytes here', async () => {
        const store = await open()
        const bytes = Buffer.from([0, 255, 1, 0])

        const digest = await putBlob(store, '', { digest: sha256(bytes), sizeBytes: 4, bytes })

        expect(await store.getBlob(APP, digest)).toMatchObject({ inline: true, sizeBytes: 4 })
        expect(await store.readInlineBlob(digest)).toEqual(bytes)
      })

      it('may have no bytes at all', async () => {
        const store = await open()

        const digest = await putBlob(store, '', { bytes: new Uint8Array(0) })

        expect(await store.getBlob(APP, digest)).toMatchObject({ inline: true, sizeBytes: 0 })
        expect(await store.readInlineBlob(digest)).toHaveLength(0)
      })

      it('may be larger than a number of 32 bits', async () => {
        const store = await open()
        const sizeBytes = 5 * 2 ** 40 + 1

        const digest = await putBlob(store, 'huge', { sizeBytes })

        expect(await store.getBlob(APP, digest)).toMatchObject({ sizeBytes })
      })

      it('keep nothing of a larger buffer that their bytes are a part of', async () => {
        const store = await open()
        const bytes = Buffer.from('secret hello secret').subarray(7, 12)

        const digest = await putBlob(store, 'hello', { bytes })

        expect(await store.readInlineBlob(digest)).toEqual(Buffer.from('hello'))
      })

      it('lie where the last push has put them', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello', { bytes: Buffer.from('hello') })

        await putBlob(store, 'hello', { at: AT + 1 })
        const asFile = await store.getBlob(APP, digest)
        const bytesThen = await store.readInlineBlob(digest)
        await putBlob(store, 'hello', { bytes: Buffer.from('hello'), at: AT + 2 })

        expect(asFile).toMatchObject({ inline: false, storedAt: AT + 1 })
        expect(bytesThen).toBeUndefined()
        expect(await store.getBlob(APP, digest)).toMatchObject({ inline: true, storedAt: AT + 2 })
        expect(await store.readInlineBlob(digest)).toEqual(Buffer.from('hello'))
      })

      it('are seen only in repositories that have a right to them', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        const nowhere = store.getBlob(OTHER, digest)
        await expect(nowhere).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
        await putBlob(store, 'other', { repository: OTHER })

        const other = store.getBlob(OTHER, digest)

        await expect(other).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
        await expect(store.getBlob(APP, ABSENT)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
        expect(await store.readInlineBlob(ABSENT)).toBeUndefined()
      })

      it('end the upload that brought them', async () => {
        const store = await open()
        const uploadId = await openUpload(store)

        const digest = await putBlob(store, 'hello', { uploadId })

        expect(await store.getBlob(APP, digest)).toMatchObject({ digest })
        await expect(store.getUpload(APP, uploadId)).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_UNKNOWN',
        })
      })

      it('are refused, whole, from an upload that is over', async () => {
        const store = await open()
        const uploadId = await openUpload(store)
        await store.abortUpload(APP, uploadId, AT)

        const put = store.putBlob(blobRecord('hello', { uploadId, bytes: Buffer.from('hello') }))

        await expect(put).rejects.toMatchObject({ code: 'BLOB_UPLOAD_UNKNOWN' })
        await expect(store.getBlob(APP, sha256('hello'))).rejects.toMatchObject({
          code: 'NAME_UNKNOWN',
        })
        expect(await store.readInlineBlob(sha256('hello'))).toBeUndefined()
      })

      it('cannot end an upload of another repository', async () => {
        const store = await open()
        const uploadId = await openUpload(store)

        const put = store.putBlob(blobRecord('hello', { repository: OTHER, uploadId }))

        await expect(put).rejects.toMatchObject({ code: 'BLOB_UPLOAD_UNKNOWN' })
        expect(await store.getUpload(APP, uploadId)).toMatchObject({ id: uploadId })
      })
    })

    describe('mounting a blob', () => {
      it('gives a repository what another one has', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')

        const isMounted = await store.mountBlob(mountOf(digest, { from: APP }))

        expect(isMounted).toBe(true)
        expect(await store.getBlob(OTHER, digest)).toMatchObject({
          sizeBytes: 5,
          leasedUntil: LEASE_UNTIL,
        })
      })

      it('takes it from anywhere when nobody says from where', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')

        expect(await store.mountBlob(mountOf(digest))).toBe(true)
        expect(await store.getBlob(OTHER, digest)).toMatchObject({ digest })
      })

      it('may be repeated, and may be from the repository itself', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')

        expect(await store.mountBlob(mountOf(digest, { from: APP }))).toBe(true)
        expect(await store.mountBlob(mountOf(digest, { from: APP }))).toBe(true)
        expect(await store.mountBlob(mountOf(digest, { from: OTHER }))).toBe(true)
      })

      it.each([
        ['a repository that is not there', name('nowhere')],
        ['a repository without it', name('team/empty')],
        ['anywhere, when nobody has it', undefined],
      ])('is not possible from %s', async (_, from) => {
        const store = await open()
        await putBlob(store, 'something else', { repository: name('team/empty') })
        const digest = from ? await putBlob(store, 'hello') : sha256('hello')

        const isMounted = await store.mountBlob(mountOf(digest, from && { from }))

        expect(isMounted).toBe(false)
        await expect(store.getBlob(OTHER, digest)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
      })

      it('is not possible any more when the last right to it is gone', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        await store.deleteBlob(blobRemoval(digest))

        expect(await store.mountBlob(mountOf(digest))).toBe(false)
      })
    })

    describe('deleting a blob', () => {
      it('takes it from one repository', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        await store.mountBlob(mountOf(digest))

        await store.deleteBlob(blobRemoval(digest))

        await expect(store.getBlob(APP, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
        expect(await store.getBlob(OTHER, digest)).toMatchObject({ digest })
      })

      it('is refused while a manifest of the repository needs it', async () => {
        const store = await open()
        const digest = await putBlob(store, 'layer of image')
        const manifest = await putImage(store, imageText('image'), { tags: ['v1'] })

        const deleted = store.deleteBlob(blobRemoval(digest))

        await expect(deleted).rejects.toMatchObject({
          code: 'UNSUPPORTED',
          details: [{ digest, manifest }],
        })
        expect(await store.getBlob(APP, digest)).toMatchObject({ digest })
      })

      it('is possible all the same for whoever says so', async () => {
        const store = await open()
        const digest = await putBlob(store, 'layer of image')
        await putImage(store, imageText('image'))

        await store.deleteBlob(blobRemoval(digest, { evenIfReferenced: true }))

        await expect(store.getBlob(APP, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
      })

      it('is possible once the manifest is deleted, or when it is in another repository', async () => {
        const store = await open()
        const [layer, config] = [
          await putBlob(store, 'layer of image'),
          await putBlob(store, 'config of other', {}),
        ]
        const manifest = await putImage(store, imageText('image'))
        await putImage(store, imageText('other'), { repository: OTHER })

        await store.deleteManifest(digestRemoval(manifest))
        await store.deleteBlob(blobRemoval(layer))
        await store.deleteBlob(blobRemoval(config))

        await expect(store.getBlob(APP, layer)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
        await expect(store.getBlob(APP, config)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
      })

      it('is undone by pushing it again', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        await store.deleteBlob(blobRemoval(digest))

        await putBlob(store, 'hello')

        expect(await store.getBlob(APP, digest)).toMatchObject({ digest })
      })

      it('is refused where it is not', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')

        const elsewhere = store.deleteBlob(blobRemoval(digest, { repository: OTHER }))
        await expect(elsewhere).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
        const absent = store.deleteBlob(blobRemoval(ABSENT, { evenIfReferenced: true }))
        await expect(absent).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
        await store.deleteBlob(blobRemoval(digest))
        const again = store.deleteBlob(blobRemoval(digest))
        await expect(again).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
      })
    })

    describe('a damaged blob', () => {
      it('counts as absent everywhere', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        await store.mountBlob(mountOf(digest))

        await store.markBlobDamaged(await store.getBlob(APP, digest), AT + 1)

        const unknown = { code: 'BLOB_UNKNOWN' }
        await expect(store.getBlob(APP, digest)).rejects.toMatchObject(unknown)
        await expect(store.getBlob(OTHER, digest)).rejects.toMatchObject(unknown)
        await expect(store.deleteBlob(blobRemoval(digest))).rejects.toMatchObject(unknown)
        await expect(store.takeLease(leaseOf(digest))).rejects.toMatchObject(unknown)
        const elsewhere = name('elsewhere')
        expect(await store.mountBlob(mountOf(digest, { repository: elsewhere }))).toBe(false)
        expect(await store.mountBlob(mountOf(digest, { repository: elsewhere, from: APP }))).toBe(
          false,
        )
        const missing = { code: 'MANIFEST_BLOB_UNKNOWN', details: [{ digest }] }
        await expect(
          putImage(store, imageText(), { requiredBlobs: [digest] }),
        ).rejects.toMatchObject(missing)
        await expect(putIndex(store, [], { requiredChildren: [digest] })).rejects.toMatchObject(
          missing,
        )
      })

      it('is healed everywhere by the next push of its digest', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        await store.mountBlob(mountOf(digest))
        await store.markBlobDamaged(await store.getBlob(APP, digest), AT + 1)

        await putBlob(store, 'hello', { repository: OTHER, at: AT + 2 })

        expect(await store.getBlob(APP, digest)).toMatchObject({ storedAt: AT + 2 })
        expect(await store.getBlob(OTHER, digest)).toMatchObject({ storedAt: AT + 2 })
        expect(await store.mountBlob(mountOf(digest, { from: APP }))).toBe(true)
      })

      it('may be one whose bytes were here', async () => {
        const store = await open()
        const bytes = Buffer.from('hello')
        const digest = await putBlob(store, 'hello', { bytes })
        await store.markBlobDamaged(await store.getBlob(APP, digest), AT + 1)
        const damaged = store.getBlob(APP, digest)
        await expect(damaged).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })

        await putBlob(store, 'hello', { bytes, at: AT + 2 })

        expect(await store.readInlineBlob(digest)).toEqual(bytes)
      })

      it('stays whole when the report is of bytes that a push has replaced meanwhile', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        const asRead = await store.getBlob(APP, digest)
        await putBlob(store, 'hello', { at: AT + 1 })

        await store.markBlobDamaged(asRead, AT + 2)

        expect(await store.getBlob(APP, digest)).toMatchObject({ digest })
      })

      it('stays whole also when that push came at the same time by the clock, or an earlier one', async () => {
        for (const at of [AT, AT - 1000]) {
          const store = await open()
          const digest = await putBlob(store, 'hello')
          const asRead = await store.getBlob(APP, digest)
          await putBlob(store, 'hello', { at })

          await store.markBlobDamaged(asRead, AT)

          expect(await store.getBlob(APP, digest)).toMatchObject({ digest })
        }
      })

      it('may be reported twice, and when it is gone', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello')
        const blob = await store.getBlob(APP, digest)

        await store.markBlobDamaged(blob, AT + 1)
        await store.markBlobDamaged(blob, AT + 2)
        await store.markBlobDamaged({ ...blob, digest: ABSENT }, AT + 3)

        await expect(store.getBlob(APP, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
      })
    })

    describe('a lease', () => {
      it('of a blob or a manifest is told with it', async () => {
        const store = await open()
        const blob = await putBlob(store, 'hello', { leaseUntil: 0 })
        const manifest = await putImage(store, imageText(), { tags: ['v1'] })

        await store.takeLease(leaseOf(blob, AT + 10))
        await store.takeLease(leaseOf(manifest, AT + 20))

        expect(await store.getBlob(APP, blob)).toMatchObject({ leasedUntil: AT + 10 })
        expect(await store.getManifest(APP, { digest: manifest })).toMatchObject({
          leasedUntil: AT + 20,
        })
        expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({
          leasedUntil: AT + 20,
        })
      })

      it('is only ever made longer', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello', { leaseUntil: AT + 10 })

        await store.takeLease(leaseOf(digest, AT + 30))
        await store.takeLease(leaseOf(digest, AT + 20))
        await putBlob(store, 'hello', { leaseUntil: AT + 5 })

        expect(await store.getBlob(APP, digest)).toMatchObject({ leasedUntil: AT + 30 })
      })

      it('is of one repository', async () => {
        const store = await open()
        const digest = await putBlob(store, 'hello', { leaseUntil: AT + 10 })
        await putBlob(store, 'hello', { repository: OTHER, leaseUntil: AT + 20 })

        await store.takeLease(leaseOf(digest, AT + 30))

        expect(await store.getBlob(APP, digest)).toMatchObject({ leasedUntil: AT + 30 })
        expect(await store.getBlob(OTHER, digest)).toMatchObject({ leasedUntil: AT + 20 })
      })

      it('cannot be taken on what is not there, or not any more', async () => {
        const store = await open()
        const blob = await putBlob(store, 'hello')
        const manifest = await putImage(store, imageText())
        await store.deleteBlob(blobRemoval(blob))
        await store.deleteManifest(digestRemoval(manifest))

        for (const digest of [blob, manifest, ABSENT]) {
          await expect(store.takeLease(leaseOf(digest))).rejects.toMatchObject({
            code: 'BLOB_UNKNOWN',
          })
        }
      })
    })

    describe('an upload', () => {
      it('begins with nothing', async () => {
        const store = await open()

        const id = await openUpload(store, { algorithm: 'sha512' })

        expect(await store.getUpload(APP, id)).toEqual({
          id,
          repository: APP,
          algorithm: 'sha512',
          offsetBytes: 0,
        })
      })

      it('is known in its own repository only', async () => {
        const store = await open()
        const id = await openUpload(store)

        const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
        await expect(store.getUpload(OTHER, id)).rejects.toMatchObject(unknown)
        await expect(store.getUpload(APP, 'no-such-upload')).rejects.toMatchObject(unknown)
        await expect(store.abortUpload(OTHER, id, AT)).rejects.toMatchObject(unknown)
        expect(await store.getUpload(APP, id)).toMatchObject({ id })
      })

      it('counts the bytes received, with their digest while it is known', async () => {
        const store = await open()
        const id = await openUpload(store)

        await store.advanceUpload(advanceOf(id, 0, 5, sha256('hello')))
        const first = await store.getUpload(APP, id)
        await store.advanceUpload(advanceOf(id, 5, 6 * 2 ** 33))
        const second = await store.getUpload(APP, id)

        expect(first).toMatchObject({ offsetBytes: 5, receivedDigest: sha256('hello') })
        expect(second).toMatchObject({ offsetBytes: 6 * 2 ** 33 })
        expect(second).not.toHaveProperty('receivedDigest')
      })

      it('keeps its offset and digest over a mere sign of life', async () => {
        const store = await open()
        const id = await openUpload(store)
        await store.advanceUpload(advanceOf(id, 0, 5, sha256('hello')))

        await store.advanceUpload(advanceOf(id, 5, 5))

        expect(await store.getUpload(APP, id)).toMatchObject({
          offsetBytes: 5,
          receivedDigest: sha256('hello'),
        })
      })

      it('moves on for one of those who would all move it from the same place', async () => {
        const store = await open()
        const id = await openUpload(store)

        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) =>
            store.advanceUpload(advanceOf(id, 0, index + 1)),
          ),
        )

        const winners = outcomes.flatMap(({ status }, index) =>
          status === 'fulfilled' ? [index + 1] : [],
        )
        expect(winners).toHaveLength(1)
        expect(await store.getUpload(APP, id)).toMatchObject({ offsetBytes: winners[0] })
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') {
            expect(outcome.reason).toMatchObject({ code: 'RANGE_INVALID' })
          }
        }
      })

      it('does not move, nor live on, from a place where it is not', async () => {
        const store = await open()
        const id = await openUpload(store)
        await store.advanceUpload(advanceOf(id, 0, 5))

        for (const [from, to] of [
          [0, 5],
          [4, 9],
          [6, 9],
          [4, 4],
        ] as const) {
          await expect(store.advanceUpload(advanceOf(id, from, to))).rejects.toMatchObject({
            code: 'RANGE_INVALID',
          })
        }
        expect(await store.getUpload(APP, id)).toMatchObject({ offsetBytes: 5 })
      })

      it('is over after an abort', async () => {
        const store = await open()
        const id = await openUpload(store)

        await store.abortUpload(APP, id, AT)

        const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
        await expect(store.getUpload(APP, id)).rejects.toMatchObject(unknown)
        await expect(store.abortUpload(APP, id, AT)).rejects.toMatchObject(unknown)
        await expect(store.advanceUpload(advanceOf(id, 0, 1))).rejects.toMatchObject(unknown)
        await expect(store.advanceUpload(advanceOf(id, 0, 0))).rejects.toMatchObject(unknown)
      })

      it('ends for one of a commit, an abort and an expiry that come together', async () => {
        const store = await open()
        const id = await openUpload(store)
        await store.storeUpload({ id, fromByte: 0, at: AT })

        const [put, abort, expired] = await Promise.allSettled([
          store.putBlob(blobRecord('hello', { uploadId: id })),
          store.abortUpload(APP, id, AT),
          store.expireUploads(AT + 1, AT + 1, 10),
        ])

        const ended = [
          put.status === 'fulfilled',
          abort.status === 'fulfilled',
          expired.status === 'fulfilled' && expired.value.length === 1,
        ]
        expect(ended.filter(Boolean)).toHaveLength(1)
        expect(await store.listUploadRemains(10)).toEqual([id])
      })

      it('is refused above the limit, and allowed again when one is over', async () => {
        const store = await open()
        const first = await openUpload(store, { sessionsMax: 2 })
        await openUpload(store, { sessionsMax: 2, repository: OTHER })

        await expect(openUpload(store, { sessionsMax: 2 })).rejects.toMatchObject({
          code: 'TOOMANYREQUESTS',
        })
        await store.abortUpload(APP, first, AT)

        await expect(openUpload(store, { sessionsMax: 2 })).resolves.toBeTypeOf('string')
      })

      it('is refused above the limit also when all come at once', async () => {
        const store = await open()

        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, () => openUpload(store, { sessionsMax: 7 })),
        )

        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(7)
      })

      it('leaves bytes to be removed when it expires in the middle of its commit', async () => {
        const store = await open()
        const digest = sha256('in place, and in no row')
        const [first, second] = [await openUpload(store), await openUpload(store, { at: AT + 5 })]
        await store.beginCommit({ id: first, digest, at: AT })
        await store.beginCommit({ id: second, digest, at: AT + 5 })

        await store.expireUploads(AT + 1, AT + 9, 10)
        const whileAnotherCommits = await store.listFileRemovals(10)
        await store.expireUploads(AT + 6, AT + 9, 10)

        expect(whileAnotherCommits).toEqual([])
        expect(await store.listFileRemovals(10)).toEqual([
          { digest, destination: 'nowhere', hasRow: false },
        ])
      })

      it('leaves bytes to be removed when its commit is abandoned, over or not', async () => {
        const store = await open()
        const digests = [sha256('in place, and in no row'), sha256('and cancelled meanwhile')]
        for (const [index, digest] of digests.entries()) {
          const id = await openUpload(store)
          await store.beginCommit({ id, digest, at: AT })
          if (index === 1) await store.abortUpload(APP, id, AT)

          await store.abandonCommit({ id, digest, at: AT })

          await expect(store.getUpload(APP, id)).rejects.toMatchObject({
            code: 'BLOB_UPLOAD_UNKNOWN',
          })
        }

        const removals = digests.map((digest) => ({
          digest,
          destination: 'nowhere',
          hasRow: false,
        }))
        expect(await store.listFileRemovals(10)).toEqual(expect.arrayContaining(removals))
      })

      it('leaves the bytes of a blob alone when its commit is abandoned', async () => {
        const store = await open()
        const digest = await putBlob(store, 'stored')
        const id = await openUpload(store)
        await store.beginCommit({ id, digest, at: AT })

        await store.abandonCommit({ id, digest, at: AT })

        expect(await store.listFileRemovals(10)).toEqual([])
      })

      it('does not expire when its commit has just begun', async () => {
        const store = await open()
        const id = await openUpload(store)
        await store.beginCommit({ id, digest: sha256('in flight'), at: AT + 5 })

        expect(await store.expireUploads(AT + 1, AT + 9, 10)).toEqual([])
        expect(await store.listFileRemovals(10)).toEqual([])
      })

      it('leaves the bytes of a blob alone when it expires in the middle of its commit', async () => {
        const store = await open()
        const digest = await putBlob(store, 'stored')
        const id = await openUpload(store)
        await store.beginCommit({ id, digest, at: AT })

        await store.expireUploads(AT + 1, AT + 9, 10)

        expect(await store.listFileRemovals(10)).toEqual([])
      })

      it('expires when it made no progress, the stalest first', async () => {
        const store = await open()
        const idle = await openUpload(store, { at: AT })
        const stalest = await openUpload(store, { at: AT - 10 })
        const alive = await openUpload(store, { at: AT - 20 })
        await store.advanceUpload({ id: alive, fromByte: 0, toByte: 0, at: AT + 5 })
        const busy = await openUpload(store, { at: AT - 20 })
        await store.advanceUpload({ id: busy, fromByte: 0, toByte: 1, at: AT + 5 })

        const none = await store.expireUploads(AT - 10, AT + 9, 10)
        const first = await store.expireUploads(AT + 1, AT + 9, 1)
        const second = await store.expireUploads(AT + 1, AT + 9, 10)
        const third = await store.expireUploads(AT + 1, AT + 9, 10)

        expect([none, first, second, third]).toEqual([[], [stalest], [idle], []])
        await expect(store.getUpload(APP, idle)).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_UNKNOWN',
        })
        expect(await store.getUpload(APP, alive)).toMatchObject({ id: alive })
        expect(await store.getUpload(APP, busy)).toMatchObject({ id: busy })
      })

      it('keeps bytes that it is given, until it goes on without them', async () => {
        const store = await open()
        const id = await openUpload(store)

        await store.advanceUpload({ ...advanceOf(id, 0, 2), bytes: Buffer.from('he') })
        const first = await store.getUpload(APP, id)
        await store.advanceUpload({ ...advanceOf(id, 2, 5), bytes: Buffer.from('hello') })
        await store.advanceUpload(advanceOf(id, 5, 5))
        await store.storeUpload({ id, fromByte: 5, at: AT })
        const second = await store.getUpload(APP, id)
        await store.advanceUpload(advanceOf(id, 5, 12))
        const third = await store.getUpload(APP, id)

        expect(first).toMatchObject({ offsetBytes: 2, bytes: Buffer.from('he') })
        expect(second).toMatchObject({ offsetBytes: 5, bytes: Buffer.from('hello') })
        expect(third).toMatchObject({ offsetBytes: 12 })
        expect(third).not.toHaveProperty('bytes')
      })

      it('is given to the blob store only from where it is, and while it lasts', async () => {
        const store = await open()
        const id = await openUpload(store)
        await store.advanceUpload(advanceOf(id, 0, 5))

        await expect(store.storeUpload({ id, fromByte: 4, at: AT })).rejects.toMatchObject({
          code: 'RANGE_INVALID',
        })
        await store.abortUpload(APP, id, AT)
        await expect(store.storeUpload({ id, fromByte: 5, at: AT })).rejects.toMatchObject({
          code: 'BLOB_UPLOAD_UNKNOWN',
        })

        expect(await store.listUploadRemains(10)).toEqual([])
      })

      it('leaves no remains when the blob store never had any of it', async () => {
        const store = await open()
        const [aborted, committed] = [await openUpload(store), await openUpload(store)]
        await openUpload(store, { at: AT - 100 })
        await store.advanceUpload({ ...advanceOf(aborted, 0, 2), bytes: Buffer.from('he') })

        await store.abortUpload(APP, aborted, AT)
        await store.expireUploads(AT - 50, AT, 10)
        await putBlob(store, 'hello', { uploadId: committed })

        expect(await store.listUploadRemains(10)).toEqual([])
      })

      it('leaves remains however it ends, until they are forgotten', async () => {
        const store = await open()
        const [aborted, expired, committed, running] = [
          await openUpload(store),
          await openUpload(store, { at: AT - 100 }),
          await openUpload(store),
          await openUpload(store),
        ]
        for (const id of [aborted, committed, running]) {
          await store.storeUpload({ id, fromByte: 0, at: AT })
        }
        await store.storeUpload({ id: expired, fromByte: 0, at: AT - 100 })
        await store.abortUpload(APP, aborted, AT)
        await store.expireUploads(AT - 50, AT, 10)
        await putBlob(store, 'hello', { uploadId: committed })

        const remains = await store.listUploadRemains(10)
        const some = await store.listUploadRemains(2)
        await store.forgetUploadRemains([aborted, committed, 'never-known'])
        const rest = await store.listUploadRemains(10)
        await store.forgetUploadRemains([])

        expect(remains.toSorted()).toEqual([aborted, expired, committed].toSorted())
        expect(some).toHaveLength(2)
        expect(rest).toEqual([expired])
        expect(await store.getUpload(APP, running)).toMatchObject({ id: running })
      })
    })

    describe('searching repositories', () => {
      const NAMES = [
        'app',
        'app-server',
        'team/app',
        'team/apple',
        'my-app/a.b_c',
        'other/a.b',
        'a',
        'ab',
        'z0',
        'tools/a-b',
      ]

      async function openWithNames(names: readonly string[] = NAMES): Promise<MetadataStore> {
        const store = await open()
        await Promise.all(
          names.map((text) => putImage(store, imageText(), { repository: name(text) })),
        )
        return store
      }

      it('finds the exact name, then what begins with the term, then the rest', async () => {
        const store = await openWithNames()

        const found = await store.searchRepositories('app', 10)

        expect(found.slice(0, 2)).toEqual(['app', 'app-server'])
        expect(found.slice(2).toSorted()).toEqual(['my-app/a.b_c', 'team/app', 'team/apple'])
      })

      it.each([
        ['one character', 'z', ['z0']],
        ['two characters', 'b_', ['my-app/a.b_c']],
        ['a dot, which stands for itself', 'a.b', ['my-app/a.b_c', 'other/a.b']],
        ['an underscore, which stands for itself', 'a_b', []],
        ['a dash', 'a-b', ['tools/a-b']],
        ['a slash', 'm/a', ['team/app', 'team/apple']],
        ['upper-case letters', 'TEAM', ['team/app', 'team/apple']],
        ['a whole name', 'team/apple', ['team/apple']],
        ['more than a whole name', 'team/apple/x', []],
        ['something in no name', 'nothing', []],
      ])('finds by %s', async (_, term, expected) => {
        const store = await openWithNames()

        const found = await store.searchRepositories(term, 10)

        expect(found.toSorted()).toEqual(expected.toSorted())
      })

      it.each([
        '%',
        '_%',
        '%app%',
        '*',
        'app*',
        '"',
        '"app"',
        "'",
        "' or 1=1 --",
        'app OR team',
        'name:app',
        'app^',
        '(app)',
        'NEAR(app team)',
        '\\',
        'ä',
        'app\0',
        'app\n',
        '\u{10ffff}',
        '\ud800',
        'x'.repeat(10_000),
        '-'.repeat(3),
        '...',
      ])('finds nothing for %j, and is not broken by it', async (term) => {
        const store = await openWithNames()

        expect(await store.searchRepositories(term, 10)).toEqual([])
      })

      it('gives no more than asked for, the best first', async () => {
        const names = Array.from({ length: 30 }, (_, index) => `team/app${index}`)
        const store = await openWithNames([...names, 'app', 'app-1', 'app-2'])

        expect(await store.searchRepositories('app', 1)).toEqual(['app'])
        expect(await store.searchRepositories('app', 3)).toEqual(['app', 'app-1', 'app-2'])
        expect(await store.searchRepositories('app', 10)).toHaveLength(10)
        expect(await store.searchRepositories('ap', 10)).toHaveLength(10)
        expect(new Set(await store.searchRepositories('app', 100)).size).toBe(33)
      })

      it('gives the first names for no term at all', async () => {
        const store = await openWithNames()

        expect(await store.searchRepositories('', 3)).toEqual(['a', 'ab', 'app'])
      })
    })

    describe('the newest manifest', () => {
      it('is that of the tag that moved last', async () => {
        const store = await open()
        await putImage(store, imageText('old'), { tags: ['v1', 'v2'], at: AT })
        const moved = await putImage(store, imageText('new'), { tags: ['v1'], at: AT + 2 })
        await putImage(store, imageText('untagged'), { at: AT + 3 })
        await putImage(store, imageText('between'), { tags: ['v3'], at: AT + 1 })

        expect(await store.findNewestManifest(APP)).toMatchObject({
          digest: moved,
          bytes: Buffer.from(imageText('new')),
        })
      })

      it('is none of a repository that has no tag, or is not there', async () => {
        const store = await open()
        await putImage(store, imageText())

        expect(await store.findNewestManifest(APP)).toBeUndefined()
        expect(await store.findNewestManifest(OTHER)).toBeUndefined()
      })
    })

    describe('many at once', () => {
      it('leave a tag at one of the manifests pushed to it, and all manifests there', async () => {
        const store = await open()
        const texts = Array.from({ length: 32 }, (_, index) => imageText(`${index}`))

        const digests = await Promise.all(
          texts.map((text) => putImage(store, text, { tags: ['latest'] })),
        )

        const { digest, bytes } = await store.getManifest(APP, { tag: tag('latest') })
        expect(digests).toContain(digest)
        expect(sha256(bytes)).toBe(digest)
        expect(await tagsOf(store)).toEqual(['latest'])
        for (const each of digests) {
          expect(await store.getManifest(APP, { digest: each })).toMatchObject({ digest: each })
        }
      })

      it('that push and delete one manifest leave it with its tag, or neither', async () => {
        const store = await open()
        const text = imageText()
        const digest = await putImage(store, text, { tags: ['v1'] })

        for (let round = 0; round < 20; round++) {
          await Promise.allSettled([
            store.deleteManifest(digestRemoval(digest)),
            putImage(store, text, { tags: ['v1'] }),
            store.deleteManifest(digestRemoval(digest)),
            ...(round % 2 ? [putImage(store, text, { tags: ['v1'] })] : []),
          ])
          const byTag = await store.getManifest(APP, { tag: tag('v1') }).catch(() => undefined)
          const byDigest = await store.getManifest(APP, { digest }).catch(() => undefined)

          expect(byTag).toEqual(byDigest)
          expect(await tagsOf(store)).toEqual(byTag ? ['v1'] : [])
        }
      })

      it('that delete a blob and push what needs it never leave a manifest without it', async () => {
        const store = await open()

        for (let round = 0; round < 20; round++) {
          const text = imageText(`${round}`)
          const [layer] = [await putBlob(store, `layer of ${round}`)]
          const push = () => putImage(store, text, { requiredBlobs: [layer], tags: ['v1'] })
          const remove = () => store.deleteBlob(blobRemoval(layer))
          const [pushed, removed] = await Promise.allSettled(
            round % 2 ? [push(), remove()] : [remove(), push()].toReversed(),
          )

          const statuses = [pushed?.status, removed?.status].toSorted()
          expect(statuses).toEqual(['fulfilled', 'rejected'])
        }
      })

      it('do not disturb each other when some of them fail', async () => {
        const store = await open()
        const good = Array.from({ length: 300 }, (_, index) => imageText(`good ${index}`))

        const outcomes = await Promise.allSettled(
          good.flatMap((text, index) => [
            putImage(store, text, { tags: [`v${index}`] }),
            putImage(store, imageText(`bad ${index}`), {
              requiredBlobs: [ABSENT],
              tags: [`v${index}`, 'bad'],
              repository: index % 2 ? APP : name(`bad/${index}`),
            }),
            store.deleteTag(tagRemoval('never-there')),
          ]),
        )

        const statuses = outcomes.map(({ status }) => status)
        expect(statuses).toEqual(good.flatMap(() => ['fulfilled', 'rejected', 'rejected']))
        expect(await tagsOf(store)).toEqual(inByteOrder(good.map((_, index) => `v${index}`)))
        expect(await store.listRepositories({ limit: 10 })).toMatchObject({ entries: [APP] })
        for (const [index, text] of good.entries()) {
          const { digest } = await store.getManifest(APP, { tag: tag(`v${index}`) })
          expect(digest).toBe(sha256(text))
        }
      })

      it('happen in the order in which they were asked for', async () => {
        const store = await open()
        const texts = Array.from({ length: 50 }, (_, index) => imageText(`${index}`))

        await Promise.all(texts.map((text) => putImage(store, text, { tags: ['latest'] })))

        const { digest } = await store.getManifest(APP, { tag: tag('latest') })
        expect(digest).toBe(sha256(texts.at(-1) ?? ''))
      })
    })

    it('is ready, again and again', async () => {
      const store = await open()

      await store.checkReady(AT)
      await store.checkReady(AT + 1)
    })

    it('ends what was begun before it closes, and refuses what comes after', async () => {
      const store = await open()
      const underWay = [1, 2, 3].map((index) => putImage(store, imageText(`${index}`)))

      await store.close()

      await expect(Promise.all(underWay)).resolves.toHaveLength(3)
      await expect(putImage(store, imageText('late'))).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      })
      await expect(store.listRepositories({ limit: 1 })).rejects.toThrow()
    })
  })
}

function tagsOf(store: MetadataStore, repository: RepositoryName = APP): Promise<string[]> {
  return store.listTags(repository, { limit: 10_000 }).then(({ entries }) => entries)
}

/** Removes what counts as gone, so many tags at a time. */
async function tidyUp(store: MetadataStore, limit = 1_000): Promise<void> {
  while (await store.removeDeletedTags(limit));
}

function referrersQuery(subject: Digest, changes: Partial<ReferrersQuery> = {}): ReferrersQuery {
  return {
    repository: APP,
    subject,
    artifactTypes: [],
    limit: 1_000,
    bytesMax: 1_000_000,
    ...changes,
  }
}

async function referrersOf(
  store: MetadataStore,
  subject: Digest,
  changes: Partial<ReferrersQuery> = {},
): Promise<Digest[]> {
  const { entries } = await store.listReferrers(referrersQuery(subject, changes))
  return entries.map(({ digest }) => digest)
}

function walkReferrers(
  store: MetadataStore,
  { limit = 1_000, ...changes }: Partial<ReferrersQuery>,
): Promise<string[]> {
  return walk(limit, async (page) => {
    const { entries, hasMore } = await store.listReferrers(
      referrersQuery(ABSENT, { ...changes, ...page }),
    )
    return { entries: entries.map(({ digest }) => digest), hasMore }
  })
}

/** All pages of a list, each after the last entry of the one before. */
async function walk(
  limit: number,
  list: (page: PageRequest) => Promise<Page<string>>,
): Promise<string[]> {
  const walked: string[] = []
  for (let isMore = true; isMore;) {
    const after = walked.at(-1)
    const { entries, hasMore } = await list({ limit, ...(after !== undefined && { after }) })
    expect(entries.length).toBeLessThanOrEqual(limit)
    if (hasMore) expect(entries.length).toBeGreaterThan(0)
    walked.push(...entries)
    isMore = hasMore
  }
  return walked
}

function inByteOrder<T extends string>(texts: readonly T[]): T[] {
  return texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

/** In another order, the same one each time. */
function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item, index) => ({ item, key: ((index * 7_919) % 104_729) % 97 }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item)
}

function fallbackTag(subject: Digest): string {
  const [algorithm, hex = ''] = subject.split(':')
  return `${algorithm}-${hex.slice(0, 64)}`
}

function mountOf(
  digest: Digest,
  changes: { readonly repository?: RepositoryName; readonly from?: RepositoryName } = {},
) {
  return { repository: OTHER, digest, at: AT, leaseUntil: LEASE_UNTIL, ...changes }
}

function leaseOf(digest: Digest, until = REVIEW_AT) {
  return { repository: APP, digest, until }
}

function advanceOf(id: string, fromByte: number, toByte: number, receivedDigest?: Digest) {
  return { id, fromByte, toByte, at: AT, ...(receivedDigest && { receivedDigest }) }
}
