import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { CheckedRows, RowCheck, RowFault } from '../../src/metadata/metadata-verification.js'
import type { RunKind } from '../../src/metadata/runs.js'
import type { Digest } from '../../src/oci/digest.js'
import { ABSENT, bytesOf, sha256 } from '../support/images.js'
import {
  APP,
  AT,
  blobRemoval,
  digestRemoval,
  imageText,
  manifestRecord,
  NO_TAG_RULES,
  openUpload,
  OTHER,
  putBlob,
  putImage,
  putIndex,
  tagRemoval,
} from '../support/records.js'

const CHECKS: readonly RowCheck[] = [
  'manifests',
  'tags',
  'references',
  'links',
  'repositories',
  'contents',
]

async function faultsOf(store: MetadataStore, check: RowCheck): Promise<RowFault[]> {
  const faults: RowFault[] = []
  let answer: CheckedRows | undefined
  do {
    answer = await store.checkRows(check, answer?.next)
    faults.push(...answer.found)
  } while (answer.next !== undefined)
  return faults
}

/** What every MetadataStore tells of itself. Each backend's test file calls this once. */
export function metadataVerificationContract(
  backend: string,
  open: () => Promise<MetadataStore>,
): void {
  describe(`verification of MetadataStore on ${backend}`, () => {
    it('finds all rows in order after whatever was done through the port', async () => {
      const store = await open()
      await putBlob(store, 'config of a')
      await putBlob(store, 'layer of a', { bytes: Buffer.from('layer of a') })
      const image = await putImage(store, imageText('a'), { tags: ['v1', 'v2'] })
      await putIndex(store, [image], { tags: ['all'] })
      await store.mountBlob({
        repository: OTHER,
        digest: sha256('config of a'),
        at: AT,
        leaseUntil: AT,
      })
      await store.deleteTag(tagRemoval('v2'))
      await putBlob(store, 'unlinked')
      await store.deleteBlob(blobRemoval(sha256('unlinked')))
      await store.deleteManifest(digestRemoval(image))
      await store.deleteRepository({
        ...{ repository: OTHER, identity: 'tester', at: AT },
        tagRules: NO_TAG_RULES,
      })

      const parts = await store.listParts()
      const problems = await Promise.all(parts.map((part) => store.checkPart(part)))
      const faults = await Promise.all(CHECKS.map((check) => faultsOf(store, check)))

      expect(problems.flat()).toEqual([])
      expect(faults.flat()).toEqual([])
    })

    it('says what a manifest needs and the repository does not have', async () => {
      const store = await open()
      await putBlob(store, 'layer of a', { repository: OTHER })
      const digest = await putImage(store, imageText('a'))

      const faults = await faultsOf(store, 'references')

      const about = { kind: 'reference', repository: APP, digest, isExternal: false }
      const byTarget = new Map(faults.map((fault) => ['target' in fault && fault.target, fault]))
      expect(faults).toHaveLength(2)
      expect(byTarget.get(sha256('config of a'))).toMatchObject({ ...about, isElsewhere: false })
      expect(byTarget.get(sha256('layer of a'))).toMatchObject({ ...about, isElsewhere: true })
    })

    it('lists every blob once, with the bytes that are here', async () => {
      const store = await open()
      const digests: Digest[] = []
      for (let index = 0; index < 7; index++) {
        const text = `blob ${index}`
        const bytes = index % 2 === 0 ? { bytes: Buffer.from(text) } : {}
        digests.push(await putBlob(store, text, bytes))
      }
      digests.sort()

      const listed = await store.listKeptBlobs({ limit: 3 })
      const after = await store.listKeptBlobs({ limit: 10, after: listed.at(-1)?.digest as Digest })
      const found = await store.findKeptBlobs([sha256('blob 2'), ABSENT, sha256('blob 3')])

      expect([...listed, ...after].map(({ digest }) => digest)).toEqual(digests)
      expect(found).toHaveLength(2)
      expect(found).toContainEqual({
        ...{ digest: sha256('blob 2'), sizeBytes: 6, keptBytes: 6 },
        ...{ inline: true, damaged: false, storedAt: AT },
      })
      expect(found).toContainEqual({
        ...{ digest: sha256('blob 3'), sizeBytes: 6 },
        ...{ inline: false, damaged: false, storedAt: AT },
      })
    })

    it('hashes what it keeps, a part at a time', async () => {
      const store = await open()
      const large = bytesOf(3_000_000).toString('hex').slice(0, 3_000_000)
      for (const seed of ['a', 'b', 'c']) {
        await putImage(store, imageText(seed, { annotations: { large } }))
      }
      const wrong = Buffer.from('other bytes')
      await store.putBlob({
        ...{ repository: APP, digest: ABSENT, sizeBytes: wrong.byteLength, bytes: wrong },
        ...{ at: AT, leaseUntil: AT },
      })

      const first = await store.checkContents('manifests')
      const second = await store.checkContents('manifests', first.next)
      const blobs = await store.checkContents('blobs')

      expect([first.checkedCount, second.checkedCount]).toEqual([2, 1])
      expect(first.checkedBytes).toBeGreaterThan(6_000_000)
      expect(second.next).toBeUndefined()
      expect([...first.damaged, ...second.damaged]).toEqual([])
      expect(blobs.damaged).toEqual([ABSENT])
      expect(await store.isContentSound('blobs', ABSENT)).toBe(false)
      expect(await store.isContentSound('manifests', ABSENT)).toBe(true)
    })

    it('names who would miss a digest: tags, of indexes too, else manifests', async () => {
      const store = await open()
      const [config, layer] = [sha256('config of a'), sha256('layer of a')]
      const image = await putImage(store, imageText('a'))
      const alone = await store.findHolders(layer)
      await putIndex(store, [image], { tags: ['all'] })

      expect(alone).toEqual({ names: [`${APP}@${image}`], isReferredTo: true })
      expect(await store.findHolders(config)).toEqual({
        names: [`${APP}:all`],
        isReferredTo: true,
      })
      expect(await store.findHolders(ABSENT)).toEqual({ names: [], isReferredTo: false })
      await store.deleteManifest(digestRemoval(image))
      expect(await store.findHolders(layer)).toMatchObject({ isReferredTo: true })
    })

    it('tells sessions, and what they have left, from what nobody knows', async () => {
      const store = await open()
      const [open_, left, unknown] = [
        await openUpload(store),
        await openUpload(store),
        randomUUID(),
      ]
      await store.storeUpload({ id: left, fromByte: 0, at: AT })
      await store.abortUpload(APP, left, AT)

      expect(await store.listUnknownUploads([open_, left, unknown])).toEqual([unknown])
    })

    it('begins to remove bytes only where no row and no upload wants them', async () => {
      const store = await open()
      const kept = await putBlob(store, 'kept')
      const inline = await putBlob(store, 'inline', { bytes: Buffer.from('inline') })
      const coming = sha256('coming')
      const id = await openUpload(store)
      await store.beginCommit({ id, digest: coming, at: AT })

      expect(await store.beginStrayRemoval(kept, AT)).toBe(false)
      expect(await store.beginStrayRemoval(coming, AT)).toBe(false)
      expect(await store.beginStrayRemoval(inline, AT)).toBe(true)
      expect(await store.beginStrayRemoval(ABSENT, AT)).toBe(true)

      const removals = await store.listFileRemovals(10)
      expect(removals.map(({ digest }) => digest).sort()).toEqual([inline, ABSENT].sort())
      expect(await store.listInMotion([kept, coming, ABSENT])).toEqual([coming, ABSENT])
      expect(await store.listOldFileRemovals(AT, 10)).toEqual([])
      expect((await store.listOldFileRemovals(AT + 1, 10)).sort()).toEqual([inline, ABSENT].sort())
    })

    it('puts the bytes of a damaged blob aside, unless an upload is about to replace them', async () => {
      const store = await open()
      const [first, second] = [await putBlob(store, 'first'), await putBlob(store, 'second')]
      const inline = await putBlob(store, 'inline', { bytes: Buffer.from('inline') })
      await store.beginCommit({ id: await openUpload(store), digest: second, at: AT })

      for (const digest of [first, second, inline]) {
        expect(await store.markBlobDamaged({ digest, storedAt: AT }, AT)).toBe(true)
      }

      expect(await store.listFileRemovals(10)).toEqual([
        { digest: first, destination: 'quarantine', hasRow: true },
      ])
      expect(await store.markBlobDamaged({ digest: first, storedAt: AT - 1 }, AT)).toBe(false)
      expect(await store.markBlobDamaged({ digest: ABSENT, storedAt: AT }, AT)).toBe(false)
    })

    it('takes back that a blob is damaged, when it is the same and nobody is about to move its bytes', async () => {
      const store = await open()
      const digest = await putBlob(store, 'layer')
      const inline = await putBlob(store, 'inline', { bytes: Buffer.from('inline') })
      const marked = { digest, storedAt: AT }
      const isSound = () => store.markBlobSound(marked, AT)

      const before = await isSound()
      await store.markBlobDamaged(marked, AT)
      await store.markBlobDamaged({ digest: inline, storedAt: AT }, AT)
      const removing = await isSound()
      await store.forgetFileRemovals([digest])
      const other = await store.markBlobSound({ digest, storedAt: AT - 1 }, AT)
      const ofInline = await store.markBlobSound({ digest: inline, storedAt: AT }, AT)
      const isTaken = await isSound()

      expect([before, removing, other, ofInline, isTaken]).toEqual([
        ...[false, false, false, false],
        true,
      ])
      expect(await store.findKeptBlobs([digest])).toMatchObject([
        { damaged: false, storedAt: AT + 1 },
      ])
      // Somebody who has found the bytes missing before.
      expect(await store.markBlobDamaged(marked, AT)).toBe(false)
    })

    it('repairs nothing that is as it should be', async () => {
      const store = await open()
      await putBlob(store, 'layer of a', { bytes: Buffer.from('layer of a') })
      const { digest } = manifestRecord(imageText('a'))
      await putImage(store, imageText('a'), { tags: ['v1'] })
      const repairs = [
        { kind: 'tag', key: JSON.stringify([1, 'v1']) },
        { kind: 'listed', key: JSON.stringify([1]) },
        { kind: 'contents', key: digest },
        { kind: 'blob', key: sha256('layer of a') },
      ] as const

      for (const repair of repairs) {
        expect(await store.repairRow({ ...repair, identity: 'tester', at: AT })).toBe(false)
      }
    })

    it('remembers the latest verification that hashes everything, however many came since', async () => {
      const store = await open()
      const begin = (kind: RunKind, content: boolean) =>
        store.beginRun({ kind, at: AT, identity: 'tester', options: { content }, report: {} })
      const none = await store.findLastContentRun()
      await begin('verify', true)
      const id = await begin('verify', true)
      for (let round = 0; round < 510; round++) await begin('verify', false)
      await begin('gc', true)

      const found = await store.findLastContentRun()

      expect(none).toBeUndefined()
      expect(found).toMatchObject({ id, kind: 'verify', options: { content: true } })
      expect(await store.findRun(id - 1)).toBeUndefined()
    })

    it('says which registry it is of', async () => {
      const [one, other] = [await open(), await open()]

      const { registry, createdAt } = await one.getOrigin()

      expect(registry).toMatch(/^[0-9a-f]{32}$/)
      expect(Math.abs(Date.now() - createdAt)).toBeLessThan(60_000)
      expect((await other.getOrigin()).registry).not.toBe(registry)
    })
  })
}
