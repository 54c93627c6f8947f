import { describe, expect, it } from 'vitest'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { TagRules } from '../../src/metadata/tags.js'
import {
  APP,
  AT,
  digestRemoval,
  imageText,
  manifestRecord,
  OTHER,
  putImage,
  tag,
  tagRemoval,
} from '../support/records.js'

const IMMUTABLE: TagRules = { immutable: ['v*'], protected: [] }
const PROTECTED: TagRules = { immutable: [], protected: ['v*'] }

/** More tags than anybody looks at in one go. */
const MANY = Array.from({ length: 2_500 }, (_, index) => `many-${`${index}`.padStart(5, '0')}`)

const DENIED = { code: 'DENIED' }

/** What every MetadataStore promises of tags that may not change. */
export function tagRulesContract(backend: string, open: () => Promise<MetadataStore>): void {
  const digestOfTag = async (store: MetadataStore, text: string) =>
    (await store.getManifest(APP, { tag: tag(text) })).digest

  describe(`tag rules of MetadataStore on ${backend}`, () => {
    it('keep an immutable tag where it is, and say so', async () => {
      const store = await open()
      const before = await putImage(store, imageText('before'), { tags: ['v1'] })

      const put = putImage(store, imageText('after'), { tags: ['v1'], tagRules: IMMUTABLE })

      await expect(put).rejects.toMatchObject({
        ...DENIED,
        message: 'the tag v1 of team/app is immutable: it cannot be overwritten or deleted',
        details: [{ tag: 'v1' }],
      })
      expect(await digestOfTag(store, 'v1')).toBe(before)
    })

    it('change nothing when one of several tags may not move', async () => {
      const store = await open()
      await putImage(store, imageText('before'), { tags: ['v1'] })
      const { digest, ...after } = manifestRecord(imageText('after'), {
        tags: ['a', 'v1', 'z'],
        tagRules: IMMUTABLE,
      })

      await expect(store.putManifest({ digest, ...after })).rejects.toMatchObject(DENIED)

      expect((await store.listTags(APP, { limit: 10 })).entries).toEqual(['v1'])
      await expect(store.getManifest(APP, { digest })).rejects.toMatchObject({
        code: 'MANIFEST_UNKNOWN',
      })
    })

    it('let the same manifest be pushed to an immutable tag again, and new tags be made', async () => {
      const store = await open()
      const changes = { tags: ['v1'], tagRules: IMMUTABLE }
      const digest = await putImage(store, imageText(), changes)

      await putImage(store, imageText(), changes)
      await putImage(store, imageText('other'), { tags: ['v2'], tagRules: IMMUTABLE })

      expect(await digestOfTag(store, 'v1')).toBe(digest)
    })

    it('let other tags move, and those of other patterns', async () => {
      const store = await open()
      await putImage(store, imageText('before'), { tags: ['latest', 'x-v1'], tagRules: IMMUTABLE })

      const after = await putImage(store, imageText('after'), {
        tags: ['latest', 'x-v1'],
        tagRules: IMMUTABLE,
      })

      expect(await digestOfTag(store, 'latest')).toBe(after)
      expect(await digestOfTag(store, 'x-v1')).toBe(after)
    })

    it('let a protected tag move', async () => {
      const store = await open()
      await putImage(store, imageText('before'), { tags: ['v1'], tagRules: PROTECTED })

      const after = await putImage(store, imageText('after'), {
        tags: ['v1'],
        tagRules: PROTECTED,
      })

      expect(await digestOfTag(store, 'v1')).toBe(after)
    })

    it.each([
      ['an immutable', IMMUTABLE, 'immutable: it cannot be overwritten or deleted'],
      ['a protected', PROTECTED, 'protected: it cannot be deleted'],
      ['an immutable and protected', { ...IMMUTABLE, protected: ['**'] }, /immutable/],
    ])('do not let %s tag be deleted', async (_, tagRules, fate) => {
      const store = await open()
      await putImage(store, imageText(), { tags: ['v1', 'x'] })

      const removal = store.deleteTag(tagRemoval('v1', { tagRules }))

      await expect(removal).rejects.toMatchObject({
        ...DENIED,
        message: expect.stringMatching(fate) as string,
      })
      expect((await store.listTags(APP, { limit: 10 })).entries).toEqual(['v1', 'x'])
    })

    it('let other tags be deleted, and tell when there is none to delete', async () => {
      const store = await open()
      await putImage(store, imageText(), { tags: ['v1', 'x'] })

      await store.deleteTag(tagRemoval('x', { tagRules: IMMUTABLE }))

      expect((await store.listTags(APP, { limit: 10 })).entries).toEqual(['v1'])
      await expect(
        store.deleteTag(tagRemoval('v2', { tagRules: IMMUTABLE })),
      ).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    })

    it.each([
      ['by their beginning', { immutable: [], protected: ['v*'] }, 'protected'],
      ['literally', { immutable: ['v1'], protected: [] }, 'immutable'],
      ['all', { immutable: ['**'], protected: [] }, 'immutable'],
      ['by their end', { immutable: ['*1'], protected: [] }, 'immutable'],
      ['by beginning and end', { immutable: ['v*1'], protected: [] }, 'immutable'],
      ['by one rule of several', { immutable: ['a*', '*2'], protected: ['v1'] }, 'protected'],
    ])('keep a manifest whose tags they keep %s', async (_, tagRules, kind) => {
      const store = await open()
      const digest = await putImage(store, imageText(), { tags: ['v1'] })

      const removal = store.deleteManifest(digestRemoval(digest, { tagRules }))

      await expect(removal).rejects.toMatchObject({
        ...DENIED,
        message: `the tag v1 of team/app would go along, which is ${kind}: it cannot be deleted`,
        details: [{ tag: 'v1' }],
      })
      expect(await digestOfTag(store, 'v1')).toBe(digest)
    })

    it('name the first tag that keeps a manifest, of however many', async () => {
      const store = await open()
      const digest = await putImage(store, imageText(), { tags: [...MANY, 'z-rc', 'z-rc2'] })

      const removal = store.deleteManifest(
        digestRemoval(digest, { tagRules: { immutable: ['*-rc*'], protected: [] } }),
      )

      await expect(removal).rejects.toMatchObject({ ...DENIED, details: [{ tag: 'z-rc' }] })
      expect(await digestOfTag(store, MANY[0] ?? '')).toBe(digest)
    })

    it.each([['*-rc'], ['v*'], ['many-00000x'], ['MANY*'], ['many-0000'], ['*0_']])(
      'let a manifest go, with however many tags, none of which is in %s',
      async (pattern) => {
        const store = await open()
        const digest = await putImage(store, imageText(), { tags: MANY })

        await store.deleteManifest(
          digestRemoval(digest, { tagRules: { immutable: [pattern], protected: [] } }),
        )

        expect((await store.listTags(APP, { limit: 10 })).entries).toEqual([])
      },
    )

    it('do not mind tags of other manifests and repositories, and those that are gone', async () => {
      const store = await open()
      await putImage(store, imageText(), { repository: OTHER, tags: ['v1'] })
      await putImage(store, imageText('other'), { tags: ['v2'] })
      await putImage(store, imageText(), { tags: [...MANY, 'v3'] })
      const digest = manifestRecord(imageText()).digest
      await store.deleteManifest(digestRemoval(digest))
      await putImage(store, imageText(), { tags: ['x'] })

      await store.deleteManifest(digestRemoval(digest, { tagRules: IMMUTABLE }))

      expect((await store.listTags(APP, { limit: 10 })).entries).toEqual(['v2'])
    })

    it('tell of a manifest or repository that is not there as without rules', async () => {
      const store = await open()
      const { digest } = manifestRecord(imageText())
      const remove = () => store.deleteManifest(digestRemoval(digest, { tagRules: IMMUTABLE }))

      await expect(remove()).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
      await putImage(store, imageText('other'), { tags: ['v1'] })
      await expect(remove()).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    })

    it.each([
      ['v*', true],
      ['*-rc', true],
      ['none*', false],
      ['*-none', false],
    ])('decide whether a repository may go, by its tags in %s', async (pattern, isKept) => {
      const store = await open()
      await putImage(store, imageText(), { tags: [...MANY, 'gone-none', 'none'] })
      await store.deleteManifest(digestRemoval(manifestRecord(imageText()).digest))
      await putImage(store, imageText('other'), { repository: OTHER, tags: ['x-none'] })
      await putImage(store, imageText(), { tags: [...MANY, 'v1-rc'] })
      const removal = { repository: APP, identity: 'tester', at: AT }
      const tagRules = { immutable: [], protected: [pattern] }

      const outcome = await store
        .deleteRepository({ ...removal, tagRules })
        .catch((error: unknown) => error)

      const isThere = (await store.listRepositories({ limit: 9 })).entries.includes(APP)
      expect(isThere).toBe(isKept)
      if (isKept) expect(outcome).toMatchObject({ ...DENIED, details: [{ tag: 'v1-rc' }] })
    })

    it('keep a repository that gets an immutable tag while it is being deleted', async () => {
      const store = await open()
      await putImage(store, imageText(), { tags: ['a'] })

      const removal = store.deleteRepository({
        ...{ repository: APP, identity: 'tester', at: AT },
        tagRules: IMMUTABLE,
      })
      await putImage(store, imageText(), { tags: ['v1'], tagRules: IMMUTABLE })

      await expect(removal).rejects.toMatchObject(DENIED)
      expect((await store.listTags(APP, { limit: 9 })).entries).toEqual(['a', 'v1'])
    })

    it('let a deleted tag be restored, but not one that is elsewhere now', async () => {
      const store = await open()
      const before = await putImage(store, imageText('before'), { tags: ['v1'] })
      const restore = { ...tagRemoval('v1', { tagRules: IMMUTABLE }) }
      await store.deleteTag(tagRemoval('v1'))

      expect(await store.restoreTag(restore)).toMatchObject({ digest: before, changed: true })
      const after = await putImage(store, imageText('after'), { tags: ['v1'] })
      await expect(store.restoreTag(restore)).rejects.toMatchObject(DENIED)

      expect(await digestOfTag(store, 'v1')).toBe(after)
    })

    it('keep the tag that is elsewhere now when all are restored to a time, and count it', async () => {
      const store = await open()
      const before = await putImage(store, imageText('before'), { tags: ['v1', 'v2', 'x'] })
      const after = await putImage(store, imageText('after'), { tags: ['v1', 'x'], at: AT + 2 })
      await store.deleteManifest(digestRemoval(before, { at: AT + 3 }))
      const { repository, identity, reviewAt } = tagRemoval('v1')
      const tags = ['v1', 'v2', 'never', 'x'].map(tag)

      const restored = await store.restoreTagsAt({
        ...{ repository, identity, reviewAt, tags, time: AT + 1, at: AT + 4 },
        tagRules: IMMUTABLE,
      })

      expect(restored).toEqual({ tags: ['v2', 'x'], lostCount: 0, keptCount: 1 })
      expect(await digestOfTag(store, 'v1')).toBe(after)
      expect(await digestOfTag(store, 'v2')).toBe(before)
      expect(await digestOfTag(store, 'x')).toBe(before)
    })

    it('bring no image back for a tag that they keep elsewhere', async () => {
      const store = await open()
      const before = await putImage(store, imageText('before'), { tags: ['v1'] })
      await putImage(store, imageText('after'), { tags: ['v1'], at: AT + 2 })
      await store.deleteManifest(digestRemoval(before, { at: AT + 3 }))
      const { repository, identity, reviewAt, tag: v1 } = tagRemoval('v1')

      await store.restoreTagsAt({
        ...{ repository, identity, reviewAt, tags: [v1], time: AT + 1, at: AT + 4 },
        tagRules: IMMUTABLE,
      })

      await expect(store.getManifest(APP, { digest: before })).rejects.toMatchObject({
        code: 'MANIFEST_UNKNOWN',
      })
    })

    it('let exactly one of two pushes at once make an immutable tag', async () => {
      const store = await open()
      for (let round = 0; round < 200; round++) {
        const texts = [imageText(`one ${round}`), imageText(`two ${round}`)]
        const changes = { tags: [`v${round}`], tagRules: IMMUTABLE }

        const outcomes = await Promise.allSettled(
          texts.map((text) => putImage(store, text, changes)),
        )

        const winners = outcomes.filter(({ status }) => status === 'fulfilled')
        expect(winners).toEqual([
          { status: 'fulfilled', value: await digestOfTag(store, `v${round}`) },
        ])
      }
    })

    it('keep a manifest that gets an immutable tag while it is being deleted, or let it go before', async () => {
      const store = await open()
      let kept = 0
      for (let round = 0; round < 100; round++) {
        const text = imageText(`round ${round}`)
        const digest = await putImage(store, text, { tags: [`a${round}`] })
        const tagRules = { immutable: ['*-v'], protected: [] }

        const remove = store.deleteManifest(digestRemoval(digest, { tagRules }))
        const [, removal] = await Promise.allSettled([
          putImage(store, text, { tags: [`${round}-v`], tagRules }),
          remove,
        ])

        // Either way the tag was made: whoever made it was told so.
        expect(await digestOfTag(store, `${round}-v`)).toBe(digest)
        if (removal.status === 'rejected') {
          expect(removal.reason).toMatchObject(DENIED)
          kept++
        }
      }
      expect(kept).toBeGreaterThan(0)
    })
  })
}
