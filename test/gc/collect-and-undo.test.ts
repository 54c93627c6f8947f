import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import type { CollectRequest } from '../../src/gc/collector.js'
import type { ReviewPosition } from '../../src/metadata/collecting.js'
import type { RepositoryName, Tag } from '../../src/oci/reference.js'
import { StoreUnderTest, type Setup } from '../model/support/store-under-test.js'
import {
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'

// What has to be so where collecting and undoing meet; most of it was found by the model test.

const APP = 'team/app' as RepositoryName
const QUICK = 'quick/app' as RepositoryName
const day = 24 * 60 * 60 * 1000
const { signal } = new AbortController()

async function startStore(setup: Partial<Setup> = {}) {
  const store = await StoreUnderTest.open({
    ...{ undoDays: 7, leaseSeconds: 86_400, historyDays: 365, referencedBlobs: 'refuse' },
    ...setup,
  })
  onTestFinished(() => store.close())
  const { app, registry } = store
  return {
    store,
    app,
    undo: registry.undo,
    wait: (ms: number) => store.wait(ms),
    collect: async (request: CollectRequest = {}) =>
      (await (await store.collector.begin(request, 'tester')).ended).report,
    status: async (url: string) => (await app.inject(`/v2/${url}`)).statusCode,
    remove: async (url: string) =>
      (await app.inject({ method: 'DELETE', url: `/v2/${url}` })).statusCode,
    catalog: async () =>
      (await app.inject('/v2/_catalog')).json<{ repositories: string[] }>().repositories,
    digestOfTag: async (tag: string, name = APP) =>
      (await app.inject(`/v2/${name}/manifests/${tag}`)).headers['docker-content-digest'],
  }
}

const tag = (text: string) => text as Tag

it('has no repository in the catalog before its first manifest, whatever blobs come and go', async () => {
  const { store, app, wait, collect, remove, catalog, status } = await startStore()
  await pushBlob(app, 'team/collected', 'a blob')
  const deleted = await pushBlob(app, 'team/deleted', 'a blob')
  await pushBlob(app, APP, 'a blob')

  expect(await remove(`team/deleted/blobs/${deleted}`)).toBe(202)
  expect(await catalog()).toEqual([])
  expect(await status('team/collected/tags/list')).toBe(200)
  await pushImage(app, APP, 'v1')
  expect(await catalog()).toEqual([APP])
  wait(day)
  await collect()

  expect(await catalog()).toEqual([APP])
  const request = { content: false, repair: false, confirm: false }
  const { ended } = await store.verification.begin(request, 'tester')
  expect((await ended).report.findings).toEqual([])
})

it('points a tag back to a time in the undo window though the history before it is forgotten', async () => {
  const { store, app, wait, undo, digestOfTag } = await startStore({ historyDays: 1 })
  const { digest } = await pushImage(app, APP, 'latest', { layers: ['first'] })
  await pushImage(app, APP, 'still', { layers: ['first'] })
  wait(40 * day)
  await pushImage(app, APP, 'latest', { layers: ['second'] })
  wait(3 * day)
  await store.collector.forgetHistory(store.now - 7 * day, signal)

  const time = store.now - 5 * day
  expect(await undo.restoreTag(APP, tag('latest'), 'tester', time)).toMatchObject({ digest })
  expect(await digestOfTag('latest')).toBe(digest)
  // Its whole history is forgotten: it has never moved since.
  expect(await undo.restoreTag(APP, tag('still'), 'tester', time)).toMatchObject({
    ...{ digest, changed: false },
  })
  await expect(
    undo.restoreTag(APP, tag('latest'), 'tester', store.now - 20 * day),
  ).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
})

it('brings nothing back of a repository that a purge has begun to take apart', async () => {
  const { store, app, wait, undo, collect } = await startStore()
  await pushImage(app, APP, 'v1')
  await undo.deleteRepository(APP, 'tester')
  wait(1)
  const step = await store.metadata.collect({ ...store.termsOf('purge'), sliceMs: 0 })
  expect(step.next).toBeDefined()

  await expect(undo.restoreRepository(APP, 'tester')).rejects.toMatchObject({
    code: 'NAME_UNKNOWN',
  })

  // The next run goes on with it, be it a purge or not.
  expect((await collect()).removed).toMatchObject({ repositories: 1, manifests: 1 })
  expect(store.state.rows().repositories.size).toBe(0)
})

it('finds nothing wrong with a repository while it is being taken apart', async () => {
  const { store, app, undo, wait } = await startStore()
  const child = await pushImage(app, APP)
  const index = indexOf([{ digest: child.digest, size: child.manifest.length }])
  await putManifest(app, APP, 'multi', index, { contentType: OCI_INDEX })
  await undo.deleteRepository(APP, 'tester')
  wait(1)

  const found: unknown[] = []
  for (let next: ReviewPosition | undefined, isFirst = true; isFirst || next; isFirst = false) {
    const terms = { ...store.termsOf('purge'), sliceMs: 0 }
    next = (await store.metadata.collect({ ...terms, ...(next && { after: next }) })).next
    await store.registry.removals.finish()
    const request = { content: true, repair: false, confirm: false }
    const { ended } = await store.verification.begin(request, 'tester')
    found.push(...(await ended).report.findings)
  }

  expect(found).toEqual([])
  expect(store.state.rows().repositories.size).toBe(0)
})

it('frees a blob that was deleted when it is told not to wait, whatever else had it', async () => {
  const { store, app, remove, collect } = await startStore()
  const { digest } = await pushImage(app, APP, 'v1', { layers: ['a layer'] })
  await remove(`${APP}/manifests/${digest}`)
  expect(await remove(`${APP}/blobs/${sha256('a layer')}`)).toBe(202)
  const alone = await pushBlob(app, APP, 'another')
  expect(await remove(`${APP}/blobs/${alone}`)).toBe(202)

  const before = await collect({ now: true })
  expect(before.removed).toEqual({ manifests: 0, blobs: 1, repositories: 0, bytes: 7 })
  const after = await collect({ purge: true })

  expect(after.planned).toMatchObject(after.removed)
  expect(after.removed).toMatchObject({ manifests: 1, blobs: 2 })
  expect(store.state.rows().bytes).toBe(0)
})

it('takes a child along with its index though it was pushed again since', async () => {
  const { app, wait, collect, remove } = await startStore()
  const child = await pushImage(app, APP)
  const index = indexOf([{ digest: child.digest, size: child.manifest.length }])
  await putManifest(app, APP, 'multi', index, { contentType: OCI_INDEX })
  await remove(`${APP}/manifests/multi`)
  wait(29 * day)
  await pushImage(app, APP)
  wait(2 * day)

  const { planned, removed } = await collect()

  expect(removed).toMatchObject({ manifests: 2, blobs: 2 })
  expect(planned).toMatchObject(removed)
})

it('counts a blob that comes back with one manifest for all that need it', async () => {
  const { store, app, undo, remove } = await startStore({ referencedBlobs: 'allow' })
  await pushImage(app, APP, 'v1', { config: 'shared', layers: ['first'] })
  await pushImage(app, APP, 'v1', { config: 'shared', layers: ['second'] })
  const logicalBytes = () => [...store.state.rows().repositories.values()][0]?.logical_bytes
  const before = logicalBytes()
  expect(await remove(`${APP}/blobs/${sha256('shared')}`)).toBe(202)
  expect(logicalBytes()).toBe((before ?? 0) - 'shared'.length)

  await undo.restoreTag(APP, tag('v1'), 'tester')

  expect(logicalBytes()).toBe(before)
})

it('brings an index back with the blobs that are its children', async () => {
  const { app, undo, remove, status } = await startStore()
  const blob = await pushBlob(app, APP, 'a blob')
  const index = indexOf([{ digest: blob, size: 6, mediaType: 'application/octet-stream' }])
  await putManifest(app, APP, 'blobs', index, { contentType: OCI_INDEX })
  expect(await remove(`${APP}/manifests/${sha256(index)}`)).toBe(202)
  expect(await remove(`${APP}/blobs/${blob}`)).toBe(202)

  await undo.restoreManifest(APP, sha256(index), 'tester', signal)

  expect(await status(`${APP}/blobs/${blob}`)).toBe(200)
})

it('keeps what a tag can be pointed back to, also where it was deleted and came back without it', async () => {
  const { store, app, undo, wait, collect, remove, digestOfTag } = await startStore()
  const { digest } = await pushImage(app, APP, 'latest', { layers: ['first'] })
  wait(40 * day)
  const time = store.now
  wait(1)
  await remove(`${APP}/manifests/${digest}`)
  await pushImage(app, APP, 'latest', { layers: ['second'] })
  await undo.restoreManifest(APP, digest, 'tester', signal)

  await collect({ now: true })

  await undo.restoreTag(APP, tag('latest'), 'tester', time)
  expect(await digestOfTag('latest')).toBe(digest)
})

it('keeps the promise of a blob when a manifest of the same bytes is deleted, and the other way round', async () => {
  const { app, wait, collect, remove, status } = await startStore({ undoDays: 0 })
  for (const name of [APP, QUICK]) {
    const { manifest, digest } = await pushImage(app, name, undefined)
    await pushBlob(app, name, manifest)
    expect(await remove(`${name}/${name === APP ? 'manifests' : 'blobs'}/${digest}`)).toBe(202)
    wait(1000)

    await collect({ now: true })

    const kept = name === APP ? 'blobs' : 'manifests'
    expect(await status(`${name}/${kept}/${digest}`)).toBe(200)
  }
})

it('brings back every tag as it was at a time, whenever others that went before came into the history', async () => {
  const { app, undo, store, wait, remove, digestOfTag } = await startStore()
  const { digest } = await pushImage(app, APP, 'x')
  await pushImage(app, APP, 'y')
  // More than go with the delete itself; their history is written when somebody tidies up.
  const many = await pushManyTags(app, 300)
  wait(1000)
  expect(await remove(`${APP}/manifests/${many.digest}`)).toBe(202)
  wait(1000)
  const time = store.now
  wait(1000)
  for (const text of ['x', 'y']) expect(await remove(`${APP}/manifests/${text}`)).toBe(202)

  const restored = await undo.restoreTags(APP, time, 'tester', signal)

  expect(restored).toMatchObject({ tags: ['x', 'y'], tagCount: 2, lostCount: 0, keptCount: 0 })
  expect(await digestOfTag('x')).toBe(digest)
  expect(await digestOfTag(many.tags[0] ?? '')).toBeUndefined()
})

it('brings back a tag once that has moved many times since', async () => {
  const { app, undo, store, wait, digestOfTag } = await startStore()
  const { digest } = await pushImage(app, APP, 'latest', { config: 'first' })
  const time = store.now
  for (const config of ['second', 'third', 'second', 'first', 'third']) {
    wait(1000)
    await pushImage(app, APP, 'latest', { config })
  }
  wait(1000)

  const restored = await undo.restoreTags(APP, time, 'tester', signal)

  expect(restored).toMatchObject({ tags: ['latest'], tagCount: 1 })
  expect(await digestOfTag('latest')).toBe(digest)
  expect(await undo.restoreTags(APP, time, 'tester', signal)).toMatchObject({ tagCount: 0 })
})

it('tells how many tags of a time cannot be brought back, as what they pointed to is gone for good', async () => {
  const { app, undo, store, wait, remove, collect, digestOfTag } = await startStore()
  const { digest } = await pushImage(app, APP, 'kept', { config: 'kept' })
  for (const text of ['v1', 'v2']) await pushImage(app, APP, text, { config: text })
  const time = store.now
  wait(1000)
  await pushImage(app, APP, 'younger', { config: 'kept' })
  for (const text of ['kept', 'v1', 'v2', 'younger']) await remove(`${APP}/manifests/${text}`)
  await pushImage(app, APP, 'holds', { config: 'kept' })
  wait(1000)
  await collect({ purge: true, confirm: true })

  const restored = await undo.restoreTags(APP, time, 'tester', signal)

  expect(restored).toMatchObject({ tags: ['kept'], tagCount: 1, lostCount: 2, keptCount: 0 })
  expect(await digestOfTag('kept')).toBe(digest)
})

it.each([
  ['every tag as it was at a time', 'time'],
  ['a manifest with its tags', 'digest'],
] as const)('ends early to bring back %s when whoever asked has left', async (_, what) => {
  const { app, undo, store, wait, remove } = await startStore()
  const { digest, tags } = await pushManyTags(app, 1000)
  const time = store.now
  wait(1000)
  expect(await remove(`${APP}/manifests/${digest}`)).toBe(202)
  await store.registry.manifests.untag(signal)
  wait(1000)
  const client = new AbortController()

  const restoring =
    what === 'time'
      ? undo.restoreTags(APP, time, 'tester', client.signal)
      : undo.restoreManifest(APP, digest, 'tester', client.signal)
  while ((await store.metadata.listTags(APP, { limit: 1 })).entries.length === 0) {
    await setImmediate()
  }
  client.abort()

  const { tagCount } = await restoring
  expect(tagCount).toBeGreaterThan(0)
  expect(tagCount).toBeLessThan(tags.length)
  expect((await store.metadata.listTags(APP, { limit: 2000 })).entries).toHaveLength(tagCount)
  // Whoever asks again gets the rest.
  const rest =
    what === 'time'
      ? await undo.restoreTags(APP, time, 'tester', signal)
      : await undo.restoreManifest(APP, digest, 'tester', signal)
  expect(rest.tagCount).toBe(tags.length - tagCount)
})

it('leaves a tag where it is that came back without its manifest and was deleted then', async () => {
  const { app, undo, wait, remove, digestOfTag } = await startStore()
  const { digest } = await pushImage(app, APP, 'moved', { config: 'first' })
  await pushImage(app, APP, 'stays', { config: 'first' })
  await remove(`${APP}/manifests/${digest}`)
  wait(1000)
  await pushImage(app, APP, 'moved', { config: 'second' })
  wait(1000)
  await remove(`${APP}/manifests/moved`)

  const restored = await undo.restoreManifest(APP, digest, 'tester', signal)

  expect(restored).toEqual({ tags: ['stays'], tagCount: 1 })
  expect(await digestOfTag('moved')).toBeUndefined()
})

it('counts a manifest once that comes back with two indexes', async () => {
  const { store, app, undo, remove } = await startStore()
  const child = await pushImage(app, APP)
  // Such that what it has comes back before its own turn.
  const [inner = ''] = Array.from({ length: 100 }, (_, index) =>
    indexOf([{ digest: child.digest, size: child.manifest.length }], {
      annotations: { number: `${index}` },
    }),
  ).filter((text) => sha256(text) < child.digest)
  await putManifest(app, APP, sha256(inner), inner, { contentType: OCI_INDEX })
  const outer = indexOf([
    { digest: sha256(inner), size: inner.length, mediaType: OCI_INDEX },
    { digest: child.digest, size: child.manifest.length },
  ])
  await putManifest(app, APP, 'outer', outer, { contentType: OCI_INDEX })
  const logicalBytes = () => [...store.state.rows().repositories.values()][0]?.logical_bytes
  const before = logicalBytes()
  for (const digest of [sha256(outer), sha256(inner), child.digest]) {
    expect(await remove(`${APP}/manifests/${digest}`)).toBe(202)
  }
  expect(logicalBytes()).toBe(0)

  await undo.restoreManifest(APP, sha256(outer), 'tester', signal)

  expect(logicalBytes()).toBe(before)
  const { entries } = await store.metadata.listHistory({ repository: APP, limit: 10 })
  const restored = entries.filter(({ action, tag }) => action === 'restored' && tag === undefined)
  expect(restored.map(({ to }) => to)).toEqual([sha256(outer), sha256(inner), child.digest])
})

/** One image under many tags, which are there at once. */
async function pushManyTags(app: FastifyInstance, count: number) {
  const tags = Array.from({ length: count }, (_, index) => `many-${String(index).padStart(4, '0')}`)
  const image = await pushImage(app, APP, undefined, { config: 'of many tags' })
  for (let from = 0; from < count; from += 100) {
    const some = tags.slice(from, from + 100).map((text) => `tag=${text}`)
    const url = `/v2/${APP}/manifests/${image.digest}?${some.join('&')}`
    const headers = { 'content-type': OCI_MANIFEST }
    const response = await app.inject({ method: 'PUT', url, headers, payload: image.manifest })
    expect(response.statusCode).toBe(201)
  }
  return { digest: image.digest, tags }
}
