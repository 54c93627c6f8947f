import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CollectReport, CollectRequest } from '../../src/gc/collector.js'
import type { Ending } from '../../src/gc/runs.js'
import type { RepositoryName, Tag } from '../../src/oci/reference.js'
import {
  bytesOf,
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  prepareImage,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'
import { answerOf } from '../support/management.js'
import { startTestServer, type StartOptions, type TestServer } from '../support/server.js'

const APP = 'team/app'
const day = 24 * 60 * 60 * 1000

/** Larger than what the database keeps. */
const LARGE = 100_000

interface Store extends TestServer {
  now(): number
  /** Lets time pass. */
  wait(ms: number): void
  collect(request?: CollectRequest): Promise<Ending<CollectReport>>
  status(url: string): Promise<number>
  remove(url: string): Promise<number>
}

async function startStore(config: StartOptions['config'] = {}): Promise<Store> {
  let now = Date.now()
  const server = await startTestServer({
    now: () => now,
    // By hand alone, and without a brake for stores of three images.
    config: { ...config, gc: { enabled: false, brakePercent: 100, ...config.gc } },
  })
  const { app } = server
  return {
    ...server,
    now: () => now,
    wait: (ms) => void (now += ms),
    collect: async (request = {}) =>
      (await server.server.maintenance.collector.begin(request, 'tester')).ended,
    status: async (url) => (await app.inject({ method: 'GET', url })).statusCode,
    remove: async (url) => (await app.inject({ method: 'DELETE', url })).statusCode,
  }
}

const manifestUrl = (reference: string, name = APP) => `/v2/${name}/manifests/${reference}`
const blobUrl = (digest: string, name = APP) => `/v2/${name}/blobs/${digest}`

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(path.join(directory, 'blobs'), {
    recursive: true,
    withFileTypes: true,
  })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

function layer(seed: string): string {
  return bytesOf(LARGE, seed)
    .toString('latin1')
    .slice(0, LARGE / 2)
}

describe('collecting', () => {
  it('frees the bytes of a deleted image when it cannot be brought back any more', async () => {
    const store = await startStore()
    const { digest } = await pushImage(store.app, APP, 'v1', { layers: [layer('a')] })
    expect(await store.remove(manifestUrl(digest))).toBe(202)

    store.wait(7 * day - 1)
    expect((await store.collect()).report.removed).toMatchObject({ manifests: 0, blobs: 0 })
    expect(await filesIn(store.dataDirectory)).toHaveLength(1)

    store.wait(1)
    const { status, report } = await store.collect()
    expect(status).toBe('done')
    expect(report.removed).toMatchObject({ manifests: 1, blobs: 2 })
    expect(report.planned).toMatchObject({ manifests: 1, blobs: 2, bytes: report.removed.bytes })
    expect(await filesIn(store.dataDirectory)).toEqual([])
  })

  it('takes nothing that a tag, an index, a subject or another repository still needs', async () => {
    const store = await startStore({ undo: { days: 0 }, leases: { seconds: 60 } })
    const { app } = store
    const shared = layer('shared')
    const { digest: child, manifest } = await pushImage(app, APP, undefined, { layers: [shared] })
    const index = indexOf([{ digest: child, size: manifest.length }])
    expect(
      (await putManifest(app, APP, 'multi', index, { contentType: OCI_INDEX })).statusCode,
    ).toBe(201)
    const subject = { mediaType: OCI_MANIFEST, digest: sha256(index), size: index.length }
    const { digest: referrer } = await pushImage(app, APP, undefined, {
      config: 'signature',
      layers: [],
      members: { subject },
    })
    const { digest: gone } = await pushImage(app, APP, 'old', { layers: [shared, layer('own')] })
    await pushImage(app, 'team/other', 'v1', { layers: [layer('own')] })
    expect(await store.remove(manifestUrl(gone))).toBe(202)

    store.wait(365 * day)
    const { report } = await store.collect()

    expect(report.removed.manifests).toBe(1)
    expect(report.removed.blobs).toBe(0)
    for (const reference of ['multi', child, referrer]) {
      expect(await store.status(manifestUrl(reference))).toBe(200)
    }
    expect(await store.status(blobUrl(sha256(shared)))).toBe(200)
    expect(await store.status(blobUrl(sha256(layer('own'))))).toBe(404)
    expect(await store.status(blobUrl(sha256(layer('own')), 'team/other'))).toBe(200)
  })

  it('takes the children and referrers of an index along, and what only they needed', async () => {
    const store = await startStore()
    const { app } = store
    const { digest: child, manifest } = await pushImage(app, APP, undefined, {
      layers: [layer('child')],
    })
    const index = indexOf([{ digest: child, size: manifest.length }])
    await putManifest(app, APP, 'multi', index, { contentType: OCI_INDEX })
    const subject = { mediaType: OCI_MANIFEST, digest: child, size: manifest.length }
    await pushImage(app, APP, undefined, { config: 'sbom', layers: [], members: { subject } })
    // Looked at while all was held.
    store.wait(2 * day)
    await store.collect()
    expect(await store.remove(manifestUrl(sha256(index)))).toBe(202)

    store.wait(7 * day)
    const { report } = await store.collect()

    expect(report.removed).toMatchObject({ manifests: 3, blobs: 3 })
    expect(report.planned).toMatchObject({ manifests: 3, blobs: 3, bytes: report.removed.bytes })
    expect(await filesIn(store.dataDirectory)).toEqual([])
  })

  it('keeps an untagged manifest for as long as its pattern says', async () => {
    const store = await startStore({
      undo: { days: 1 },
      gc: {
        untagged: [{ repositories: 'kept/**' }, { repositories: 'team/**', collectAfterDays: 10 }],
      },
    })
    const digests: Record<string, string> = {}
    for (const name of ['kept/app', 'team/app', 'other/app']) {
      const { digest } = await pushImage(store.app, name, 'latest', { layers: ['first'] })
      digests[name] = digest
      await pushImage(store.app, name, 'latest', { layers: ['second'] })
    }

    store.wait(9 * day)
    await store.collect()
    expect(await store.status(manifestUrl(digests['team/app'] ?? '', 'team/app'))).toBe(200)

    store.wait(400 * day)
    await store.collect()
    const statuses = await Promise.all(
      Object.entries(digests).map(([name, digest]) => store.status(manifestUrl(digest, name))),
    )
    expect(statuses).toEqual([200, 404, 200])
  })

  it('waits for nobody with now, but for what can be brought back; with purge not even for that', async () => {
    const store = await startStore()
    const first = await pushImage(store.app, APP, 'latest', { layers: [layer('first')] })
    await pushImage(store.app, APP, 'latest', { layers: [layer('second')] })
    const uploaded = await pushBlob(store.app, APP, layer('of a push under way'))

    expect((await store.collect({ now: true })).report.removed).toMatchObject({
      ...{ manifests: 0, blobs: 0 },
    })

    const { report } = await store.collect({ purge: true })
    expect(report.removed).toMatchObject({ manifests: 1, blobs: 1 })
    expect(await store.status(manifestUrl(first.digest))).toBe(404)
    expect(await store.status(manifestUrl('latest'))).toBe(200)
    expect(await store.status(blobUrl(uploaded))).toBe(200)
  })

  it('says what would go without touching it', async () => {
    const store = await startStore({ undo: { days: 0 } })
    const { digest } = await pushImage(store.app, APP, 'v1', { layers: [layer('a')] })
    await store.remove(manifestUrl(digest))

    const { report } = await store.collect({ now: true, dryRun: true })

    expect(report.removed).toMatchObject({ manifests: 0, blobs: 0, bytes: 0 })
    expect(report.planned).toMatchObject({ manifests: 1, blobs: 2 })
    expect(report.wouldRemove).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'manifest', digest, reason: 'manifest deleted' }),
        expect.objectContaining({ kind: 'blob', digest: sha256(layer('a')) }),
      ]),
    )
    expect(await filesIn(store.dataDirectory)).toHaveLength(1)
  })

  it('does nothing but say so where too much would go, until somebody confirms it', async () => {
    const store = await startStore({ undo: { days: 0 }, gc: { brakePercent: 25 } })
    const { digest } = await pushImage(store.app, APP, 'v1', { layers: [layer('a')] })
    await pushImage(store.app, APP, 'v2', { layers: [layer('b')] })
    await store.remove(manifestUrl(digest))

    const braked = await store.collect({ now: true })

    expect(braked.status).toBe('braked')
    expect(braked.report.message).toMatch(/more than gc.brakePercent \(25 %\).*--confirm/)
    expect(await filesIn(store.dataDirectory)).toHaveLength(2)
    expect((await store.collect({ now: true, confirm: true })).status).toBe('done')
    expect(await filesIn(store.dataDirectory)).toHaveLength(1)
  })

  it('keeps no list of what would go where the brake stops what nobody has asked for', async () => {
    const store = await startStore({ undo: { days: 0 }, gc: { brakePercent: 25 } })
    const { digest } = await pushImage(store.app, APP, 'v1', { layers: [layer('a')] })
    await store.remove(manifestUrl(digest))
    store.wait(2 * day)

    await store.server.maintenance.collector.runIfDue()

    const { items } = await answerOf<{ items: { id: number }[] }>(store.app, 'GET', '/runs')
    const run = await answerOf<{ report: object }>(store.app, 'GET', `/runs/${items[0]?.id}`)
    expect(run).toMatchObject({ status: 'braked', startedBy: 'schedule' })
    expect(Object.keys(run.report)).toEqual(['planned', 'removed', 'message'])
  })

  it('lets a push come back to a digest that it has just removed', async () => {
    const store = await startStore({ undo: { days: 0 } })
    const { digest } = await pushImage(store.app, APP, 'v1', { layers: [layer('a')] })
    await store.remove(manifestUrl(digest))
    await store.collect({ now: true })

    await pushImage(store.app, APP, 'v1', { layers: [layer('a')] })

    expect(await store.status(manifestUrl('v1'))).toBe(200)
    expect(await store.status(blobUrl(sha256(layer('a'))))).toBe(200)
  })

  it('removes a deleted repository whole when its time is over', async () => {
    const store = await startStore()
    const name = APP as RepositoryName
    for (const tag of ['v1', 'v2']) {
      await pushImage(store.app, APP, tag, { layers: [layer(tag)] })
    }
    await store.server.registry.undo.deleteRepository(name, 'tester')
    expect(await store.status(manifestUrl('v1'))).toBe(404)

    store.wait(7 * day)
    const { report } = await store.collect()

    expect(report.removed).toMatchObject({ repositories: 1, manifests: 2, blobs: 3 })
    expect(report.planned).toMatchObject({ repositories: 1, manifests: 2, blobs: 3 })
    expect(await filesIn(store.dataDirectory)).toEqual([])
    await expect(
      store.server.registry.undo.restoreRepository(name, 'tester'),
    ).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
  })
})

describe('undoing', () => {
  const name = APP as RepositoryName
  const tag = (text: string) => text as Tag

  it('brings back a tag that was overwritten, then one that was deleted', async () => {
    const store = await startStore()
    const { undo } = store.server.registry
    const { digest: first } = await pushImage(store.app, APP, 'latest', { layers: ['first'] })
    const { digest: second } = await pushImage(store.app, APP, 'latest', { layers: ['second'] })

    expect(await undo.restoreTag(name, tag('latest'), 'tester')).toEqual({
      ...{ digest: first, changed: true },
    })
    await store.remove(manifestUrl('latest'))
    expect(await store.status(manifestUrl('latest'))).toBe(404)
    expect((await undo.restoreTag(name, tag('latest'), 'tester')).digest).toBe(first)

    expect(await store.status(manifestUrl('latest'))).toBe(200)
    expect(await store.status(manifestUrl(second))).toBe(200)
  })

  it('brings back a manifest with its tags and its deleted children', async () => {
    const store = await startStore()
    const { app } = store
    const { digest: child, manifest } = await pushImage(app, APP)
    const index = indexOf([{ digest: child, size: manifest.length }])
    const query = '?tag=a&tag=b'
    await putManifest(app, APP, sha256(index), index, { contentType: OCI_INDEX, query })
    await store.remove(manifestUrl(sha256(index)))
    await store.remove(manifestUrl(child))
    // Taken by somebody else meanwhile.
    const { digest: other } = await pushImage(app, APP, 'b', { config: 'other' })

    const { signal } = new AbortController()
    await store.server.registry.undo.restoreManifest(name, sha256(index), 'tester', signal)

    expect(await store.status(manifestUrl('a'))).toBe(200)
    expect(await store.status(manifestUrl(child))).toBe(200)
    const { headers } = await app.inject({ method: 'HEAD', url: manifestUrl('b') })
    expect(headers['docker-content-digest']).toBe(other)
  })

  it('brings a manifest without a tag back for as long as a tag for it may take', async () => {
    const store = await startStore()
    const { digest } = await pushImage(store.app, APP)
    await store.remove(manifestUrl(digest))
    const { signal } = new AbortController()
    await store.server.registry.undo.restoreManifest(name, digest, 'tester', signal)

    await store.collect({ purge: true })

    expect(await store.status(manifestUrl(digest))).toBe(200)
  })

  it('brings a repository back as it was, under its name or another', async () => {
    const store = await startStore()
    const { undo } = store.server.registry
    await pushImage(store.app, APP, 'v1')
    await undo.deleteRepository(name, 'tester')
    expect((await store.app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })

    await undo.restoreRepository(name, 'tester')
    expect(await store.status(manifestUrl('v1'))).toBe(200)

    await undo.deleteRepository(name, 'tester')
    await pushImage(store.app, APP, 'v2')
    await expect(undo.restoreRepository(name, 'tester')).rejects.toMatchObject({ code: 'CONFLICT' })
    await undo.restoreRepository(name, 'tester', 'team/old' as RepositoryName)
    expect(await store.status(manifestUrl('v1', 'team/old'))).toBe(200)
    expect((await store.app.inject('/v2/_catalog')).json()).toEqual({
      repositories: [APP, 'team/old'],
    })
  })

  it('points every tag back to where it pointed at a time', async () => {
    const store = await startStore()
    const { app } = store
    const { digest } = await pushImage(app, APP, 'a', { config: 'first' })
    await pushImage(app, APP, 'b', { config: 'first' })
    const time = store.now()
    store.wait(1)
    await pushImage(app, APP, 'a', { config: 'second' })
    await store.remove(manifestUrl('b'))
    await pushImage(app, APP, 'new', { config: 'second' })

    const { signal } = new AbortController()
    const restored = await store.server.registry.undo.restoreTags(name, time, 'tester', signal)

    expect([...restored.tags].sort()).toEqual(['a', 'b'])
    for (const reference of ['a', 'b']) {
      const { headers } = await app.inject({ method: 'HEAD', url: manifestUrl(reference) })
      expect(headers['docker-content-digest']).toBe(digest)
    }
    expect(await store.status(manifestUrl('new'))).toBe(200)
  })
})

describe('a manifest that nobody needs', () => {
  it('goes although its image was pushed in part only', async () => {
    const store = await startStore({ leases: { seconds: 60 } })
    const text = await prepareImage(store.app, APP, { layers: [layer('half')] })
    expect(text).not.toBe('')

    store.wait(61_000)
    const { report } = await store.collect()

    expect(report.removed).toMatchObject({ manifests: 0, blobs: 2 })
    expect(await filesIn(store.dataDirectory)).toEqual([])
  })
})
