import { describe, expect, it } from 'vitest'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { Quota } from '../../src/metadata/quotas.js'
import type { RepositoryName } from '../../src/oci/reference.js'
import { ABSENT, sha256 } from '../support/images.js'
import {
  APP,
  AT,
  blobRecord,
  digestRemoval,
  imageText,
  LEASE_UNTIL,
  manifestRecord,
  name,
  NO_TAG_RULES,
  OTHER,
  putBlob,
  putImage,
  type ManifestChanges,
} from '../support/records.js'

const DENIED = { code: 'DENIED' }

const textBytes = (seed: string) => Buffer.byteLength(imageText(seed))

/** What an image of {@link imageText} takes whose config and layer are there. */
function imageBytes(seed: string): number {
  return textBytes(seed) + `config of ${seed}`.length + `layer of ${seed}`.length
}

async function putWhole(
  store: MetadataStore,
  seed: string,
  changes: ManifestChanges & { readonly repository?: RepositoryName } = {},
) {
  const { repository = APP } = changes
  await putBlob(store, `config of ${seed}`, { repository })
  await putBlob(store, `layer of ${seed}`, { repository })
  return putImage(store, imageText(seed), { tags: ['v1'], ...changes })
}

/** What every MetadataStore promises of quotas. */
export function quotasContract(backend: string, open: () => Promise<MetadataStore>): void {
  describe(`quotas of MetadataStore on ${backend}`, () => {
    it('take what fits to the byte, and refuse one byte more, with what is left', async () => {
      const store = await open()
      const bytes = imageBytes('a') + imageBytes('b')
      const quotas = [{ repositories: 'team/**', bytes }]
      await putWhole(store, 'a', { quotas })
      await putWhole(store, 'b', { quotas })
      const { digest } = manifestRecord(imageText('c'))

      const put = putWhole(store, 'c', { quotas, tags: ['c'] })

      await expect(put).rejects.toMatchObject({
        ...DENIED,
        message: `the quota of team/** is ${bytes} B; ${bytes} B are used, 0 B are left; this needs ${imageBytes('c')} B`,
        details: [
          { quota: 'team/**', quotaBytes: bytes, usedBytes: bytes, neededBytes: imageBytes('c') },
        ],
      })
      await expect(store.getManifest(APP, { digest })).rejects.toMatchObject({
        code: 'MANIFEST_UNKNOWN',
      })
      expect((await store.listTags(APP, { limit: 9 })).entries).toEqual(['v1'])
    })

    it('tell all digits where rounding would make what is left look enough', async () => {
      const store = await open()
      const quotas = [{ repositories: '**', bytes: 2_000_000_000 }]

      const ask = store.requireRoom({ repository: APP, quotas, sizeBytes: 2_000_000_001 })

      await expect(ask).rejects.toThrow(
        'the quota of ** is 2000000000 bytes; 0 bytes are used, 2000000000 bytes are left; this needs 2000000001 bytes',
      )
      await expect(
        store.requireRoom({ repository: APP, quotas, sizeBytes: 3_200_000_000 }),
      ).rejects.toThrow('the quota of ** is 2 GB; 0 B are used, 2 GB are left; this needs 3.2 GB')
    })

    it('always let pass what adds nothing', async () => {
      const store = await open()
      const digest = await putWhole(store, 'a')
      const full = { quotas: [{ repositories: '**', bytes: 1 }] }

      await putWhole(store, 'a', full)
      await putWhole(store, 'a', { ...full, tags: ['other'] })
      await store.requireRoom({
        repository: APP,
        ...full,
        digest: sha256('layer of a'),
        sizeBytes: 10,
      })

      expect(await store.getManifest(APP, { digest })).toMatchObject({ digest })
    })

    it('count a blob once in a repository, and in full in each', async () => {
      const store = await open()
      const sharing = (seed: string) => imageText('a', { annotations: { seed } })
      const quotas = [{ repositories: 'team/**', bytes: imageBytes('a') + sharing('1').length }]
      await putWhole(store, 'a', { quotas })

      await putImage(store, sharing('1'), { quotas, tags: ['v2'] })

      expect((await store.listTags(APP, { limit: 9 })).entries).toEqual(['v1', 'v2'])
      await expect(putWhole(store, 'a', { quotas, repository: OTHER })).rejects.toMatchObject(
        DENIED,
      )
    })

    it('have to be met each', async () => {
      const store = await open()
      const roomy = { repositories: '**', bytes: 1_000_000 }
      const tight = { repositories: 'team/app', bytes: 10 }

      for (const quotas of [[roomy, tight], [tight, roomy], [tight]]) {
        await expect(putWhole(store, 'a', { quotas })).rejects.toThrow(/^the quota of team\/app /)
      }
      await putWhole(store, 'a', { quotas: [roomy] })
    })

    it.each([
      ['team/app', 1],
      ['team/*', 2],
      ['team/**', 3],
      ['**', 5],
      ['*/app', 2],
      ['**/app', 2],
      ['*', 1],
      ['t**/web', 1],
    ])(
      'of %s count exactly the repositories in it, of before and after',
      async (pattern, count) => {
        const store = await open()
        const put = (repository: string) =>
          putWhole(store, 'a', { repository: name(repository), quotas: [] })
        for (const repository of ['team/app', 'team/other', 'team/app/web']) await put(repository)
        const used = async () => {
          const quotas = [{ repositories: pattern, bytes: 0 }]
          const refusal = await store
            .requireRoom({ repository: APP, quotas, sizeBytes: 1 })
            .catch((error: unknown) => error as { details: { usedBytes: number }[] })
          return refusal?.details[0]?.usedBytes
        }
        await used()

        for (const repository of ['app', 'x/y/app']) await put(repository)
        if (pattern === '*/app') await put('z/app')

        expect(await used()).toBe(count * imageBytes('a'))
      },
    )

    it('get room at once from what is deleted', async () => {
      const store = await open()
      const quotas = [{ repositories: 'team/**', bytes: imageBytes('a') }]
      const digest = await putWhole(store, 'a', { quotas })
      await expect(putWhole(store, 'b', { quotas })).rejects.toMatchObject(DENIED)

      await store.deleteManifest(digestRemoval(digest))

      await putWhole(store, 'b', { quotas })
      await expect(putWhole(store, 'a', { quotas })).rejects.toMatchObject(DENIED)
    })

    it('get room from a deleted repository, and lose it to a restored one, which is never refused', async () => {
      const store = await open()
      const quotas = [{ repositories: '**', bytes: imageBytes('a') }]
      await putWhole(store, 'a', { quotas })
      const change = { repository: APP, identity: 'tester', at: AT }

      await store.deleteRepository({ ...change, tagRules: NO_TAG_RULES })
      await putWhole(store, 'b', { quotas, repository: OTHER })
      await store.restoreRepository({ ...change, deletedSince: 0 })

      expect((await store.listTags(APP, { limit: 9 })).entries).toEqual(['v1'])
      const ask = store.requireRoom({ repository: APP, quotas, sizeBytes: 1 })
      await expect(ask).rejects.toMatchObject({
        details: [{ usedBytes: imageBytes('a') + imageBytes('b') }],
      })
    })

    it('refuse to mount what there is no room for, and tell nothing of what is not there', async () => {
      const store = await open()
      const digest = await putBlob(store, 'twelve bytes', { repository: OTHER })
      const mount = { repository: APP, digest, at: AT, leaseUntil: LEASE_UNTIL }

      await expect(
        store.mountBlob({ ...mount, quotas: [{ repositories: '**', bytes: 11 }] }),
      ).rejects.toMatchObject(DENIED)
      await expect(store.getBlob(APP, digest)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
      const full = { quotas: [{ repositories: '**', bytes: 0 }] }
      expect(await store.mountBlob({ ...mount, ...full, digest: ABSENT })).toBe(false)
      expect(await store.mountBlob({ ...mount, quotas: [{ repositories: '**', bytes: 12 }] })).toBe(
        true,
      )
      expect(await store.mountBlob({ ...mount, ...full })).toBe(true)
    })

    it('hold when many push at once', async () => {
      const store = await open()
      const seeds = Array.from({ length: 40 }, (_, index) => `seed ${10 + index}`)
      const quota: Quota = { repositories: 'team/**', bytes: 10 * imageBytes('seed 10') }
      for (const seed of seeds) {
        for (const content of [`config of ${seed}`, `layer of ${seed}`]) {
          await store.putBlob(blobRecord(content))
        }
      }

      const outcomes = await Promise.allSettled(
        seeds.map((seed) => putImage(store, imageText(seed), { quotas: [quota] })),
      )

      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
    })
  })
}
