import { mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { outOfReach } from '../../src/errors.js'
import { Verification } from '../../src/gc/verification.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import type { Digest } from '../../src/oci/digest.js'
import { Damage } from '../../src/registry/damage.js'
import { FileRemovals } from '../../src/registry/file-removals.js'
import type { BlobStore } from '../../src/storage/blob-store.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import {
  bytesOf,
  indexOf,
  OCI_INDEX,
  prepareImage,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'
import { eventually } from '../support/eventually.js'
import { ask, answerOf, problemOf } from '../support/management.js'
import { startTestServer, type StartOptions, type TestServer } from '../support/server.js'
import {
  blobFile,
  endOf,
  kindsOf,
  queryOf,
  tamper,
  verify,
  type VerifiedRun,
} from '../support/verify.js'

const APP = 'team/app'
const OTHER = 'team/other'

/** Larger than what the database keeps. */
const LAYER = bytesOf(100_000).toString('hex')
const LAYER_DIGEST = sha256(LAYER)

const config = { gc: { enabled: false } } satisfies StartOptions['config']

/** A registry with an image of a small config and a large layer, `team/app:v1`. */
async function registryWithImage(options: StartOptions = { config }): Promise<TestServer> {
  const server = await startTestServer(options)
  await pushImage(server.app, APP, 'v1', { layers: [LAYER] })
  return server
}

/** Stops a registry, does something to its data, and starts it again. */
async function behindItsBack(
  { server, dataDirectory }: TestServer,
  change: (dataDirectory: string) => Promise<void> | void,
  options: StartOptions = { config },
): Promise<TestServer> {
  await server.close()
  await change(dataDirectory)
  return startTestServer({ ...options, dataDirectory })
}

/** Pushes so many blobs of a few bytes, and gives their digests in order. */
async function pushMany({ app }: TestServer, count: number): Promise<Digest[]> {
  const blobs = Array.from({ length: count }, (_, index) => bytesOf(100, `blob ${index}`))
  for (const bytes of blobs) await pushBlob(app, APP, bytes)
  return blobs.map((bytes) => sha256(bytes)).sort()
}

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  bytes[0] = (bytes[0] ?? 0) ^ 1
  await writeFile(file, bytes)
}

const statusOf = async ({ app }: TestServer, url: string) =>
  (await app.inject({ method: 'GET', url })).statusCode

const blobUrl = (digest: Digest, name = APP) => `/v2/${name}/blobs/${digest}`

const CLEAN = { status: 'done', report: { findingCount: 0, findings: [] } }

describe('verification', () => {
  it('finds nothing wrong with a registry that is whole', async () => {
    const server = await registryWithImage()
    const { digest, manifest } = await pushImage(server.app, OTHER, undefined, { layers: [LAYER] })
    const index = indexOf([{ digest, size: manifest.length }])
    await putManifest(server.app, OTHER, 'all', index, { contentType: OCI_INDEX })
    await pushImage(server.app, APP, 'v2', { layers: ['other', LAYER] })
    await server.app.inject({ method: 'DELETE', url: `/v2/${APP}/manifests/v2` })

    const run = await verify(server.app, { content: true })

    expect(run).toMatchObject(CLEAN)
    expect(run.report.checked).toMatchObject({
      ...{ blobs: 3, files: 1, manifests: 4, tags: 2, repositories: 2 },
      ...{ hashedBlobs: 3, hashedManifests: 3 },
    })
  })

  it('finds nothing in an empty registry', async () => {
    const { app } = await startTestServer({ config })

    expect(await verify(app, { content: true, repair: true })).toMatchObject(CLEAN)
  })

  it.each([
    ['is missing', 'blob-missing', (file: string) => rm(file)],
    ['is cut', 'blob-size', (file: string) => truncate(file, 10)],
    ['is empty', 'blob-size', (file: string) => truncate(file, 0)],
    [
      'has a folder in its place',
      'blob-unreadable',
      async (file: string) => {
        await rm(file)
        await mkdir(file)
      },
    ],
  ])('tells of a blob whose file %s, and who needs it', async (_what, kind, harm) => {
    const server = await registryWithImage()
    await harm(blobFile(server.dataDirectory, LAYER_DIGEST))

    const run = await verify(server.app)

    expect(run.report).toMatchObject({ findingCount: 1, repairedCount: 0 })
    expect(run.report.findings).toMatchObject([{ kind, digest: LAYER_DIGEST, repaired: false }])
    expect(run.report.findings[0]?.message).toMatch(
      /^blob sha256:\w+ \(200 kB\) is damaged: .*; push an image that has it again: team\/app:v1$/,
    )
    // Nobody was asked to change anything.
    const head = await server.app.inject({ method: 'HEAD', url: blobUrl(LAYER_DIGEST) })
    expect(head.statusCode).toBe(200)
  })

  it('has such a blob count as absent when it is to repair, until it is pushed again', async () => {
    const server = await registryWithImage()
    await truncate(blobFile(server.dataDirectory, LAYER_DIGEST), 10)

    const first = await verify(server.app, { repair: true })
    expect(kindsOf(first)).toEqual(['blob-size'])
    expect(first.report.repairedCount).toBe(0)
    expect(await statusOf(server, blobUrl(LAYER_DIGEST))).toBe(404)
    const quarantine = await readdir(path.join(server.dataDirectory, 'quarantine'))
    expect(quarantine).toEqual([LAYER_DIGEST.slice('sha256:'.length)])

    const second = await verify(server.app, { repair: true })
    expect(kindsOf(second)).toEqual(['blob-absent'])

    await pushBlob(server.app, APP, LAYER)
    expect(await verify(server.app, { content: true })).toMatchObject(CLEAN)
    expect(await statusOf(server, blobUrl(LAYER_DIGEST))).toBe(200)
  })

  it('serves a blob again whose bytes were only away when somebody has read it', async () => {
    const server = await registryWithImage()
    const blobs = path.join(server.dataDirectory, 'blobs')
    await rename(blobs, `${blobs}.away`)
    const away = await statusOf(server, blobUrl(LAYER_DIGEST))
    await server.server.registry.removals.finish()
    await rename(`${blobs}.away`, blobs)

    const told = await verify(server.app)
    const back = await statusOf(server, blobUrl(LAYER_DIGEST))
    const repaired = await verify(server.app, { repair: true })

    expect([away, back]).toEqual([404, 404])
    expect(told.report).toMatchObject({ findingCount: 1, repairedCount: 0 })
    expect(told.report.findings[0]?.message).toContain('berth verify --repair looks')
    expect(repaired.report).toMatchObject({ findingCount: 1, repairedCount: 1 })
    expect(repaired.report.findings[0]).toMatchObject({ kind: 'blob-absent', digest: LAYER_DIGEST })
    expect(await statusOf(server, blobUrl(LAYER_DIGEST))).toBe(200)
    expect(await verify(server.app, { content: true })).toMatchObject(CLEAN)
  })

  it('puts bytes of the right size aside when they are wrong, and has them stay absent', async () => {
    const server = await registryWithImage()
    const file = blobFile(server.dataDirectory, LAYER_DIGEST)
    await rename(file, `${file}.away`)
    await statusOf(server, blobUrl(LAYER_DIGEST))
    await server.server.registry.removals.finish()
    await rename(`${file}.away`, file)
    await flip(file)

    const run = await verify(server.app, { repair: true })

    expect(run.report).toMatchObject({ findingCount: 1, repairedCount: 0 })
    expect(await statusOf(server, blobUrl(LAYER_DIGEST))).toBe(404)
    await server.server.registry.removals.finish()
    const quarantine = await readdir(path.join(server.dataDirectory, 'quarantine'))
    expect(quarantine).toEqual([LAYER_DIGEST.slice('sha256:'.length)])
  })

  it('has nothing left to do about a damaged blob that nobody needs', async () => {
    const server = await startTestServer({ config })
    await pushBlob(server.app, APP, LAYER)
    await rm(blobFile(server.dataDirectory, LAYER_DIGEST))

    const run = await verify(server.app, { repair: true })

    expect(run.report).toMatchObject({ findingCount: 1, repairedCount: 1 })
    expect(await verify(server.app)).toMatchObject(CLEAN)
  })

  it('finds a bit that has flipped when it reads the content, and serves it no more', async () => {
    const server = await registryWithImage()
    await flip(blobFile(server.dataDirectory, LAYER_DIGEST))
    expect(await verify(server.app)).toMatchObject(CLEAN)

    const run = await verify(server.app, { content: true })

    expect(kindsOf(run)).toEqual(['blob-content'])
    expect(await statusOf(server, blobUrl(LAYER_DIGEST))).toBe(404)
    await pushBlob(server.app, APP, LAYER)
    expect(await verify(server.app, { content: true })).toMatchObject(CLEAN)
  })

  it('finds flipped bits of small blobs and manifests in the database', async () => {
    const started = await registryWithImage()
    const manifest = await prepareImage(started.app, APP, { layers: [LAYER] })
    const server = await behindItsBack(started, (directory) => {
      tamper(directory, `update blob_contents set bytes = cast('[]' as blob)`)
      tamper(
        directory,
        `update manifest_contents set bytes = cast(replace(bytes, 'layers', 'Layers') as blob)`,
      )
    })

    const run = await verify(server.app, { content: true })

    expect(kindsOf(run).sort()).toEqual(['blob-content', 'manifest-content'])
    for (const { message } of run.report.findings) expect(message).toContain('team/app:v1')
    expect(await statusOf(server, blobUrl(sha256('{}')))).toBe(404)
    expect(await statusOf(server, `/v2/${APP}/manifests/v1`)).toBe(404)

    await pushBlob(server.app, APP, '{}')
    expect((await putManifest(server.app, APP, 'v1', manifest)).statusCode).toBe(201)
    expect(await verify(server.app, { content: true })).toMatchObject(CLEAN)
  })

  it('finds small blobs and manifests that have lost bytes in the database', async () => {
    const started = await registryWithImage()
    const server = await behindItsBack(started, (directory) => {
      tamper(directory, `delete from blob_contents; delete from manifest_contents`)
    })

    const run = await verify(server.app)

    expect(kindsOf(run).sort()).toEqual(['blob-missing', 'database', 'manifest-missing'])
  })

  it('removes bytes that no row knows of, and takes nothing for a blob', async () => {
    const server = await registryWithImage()
    const bytes = bytesOf(70_000, 'unknown')
    const file = blobFile(server.dataDirectory, sha256(bytes))
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, bytes)

    const told = await verify(server.app)
    expect(told.report).toMatchObject({ findingCount: 1, repairedCount: 0 })
    expect(told.report.findings).toMatchObject([{ kind: 'bytes-without-row' }])
    expect(await readFile(file)).toEqual(bytes)

    const repaired = await verify(server.app, { repair: true })
    expect(repaired.report).toMatchObject({ findingCount: 1, repairedCount: 1 })
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await statusOf(server, blobUrl(sha256(bytes)))).toBe(404)
    expect(await verify(server.app)).toMatchObject(CLEAN)
  })

  it('removes what Berth has not put there, but no folder with things in it', async () => {
    const server = await registryWithImage()
    const blobs = path.join(server.dataDirectory, 'blobs')
    await writeFile(path.join(blobs, 'sha256', 'note.txt'), 'hello')
    await mkdir(path.join(blobs, 'things'))
    await writeFile(path.join(blobs, 'things', 'one'), '1')
    await writeFile(path.join(server.dataDirectory, 'uploads', 'what is this'), '')

    const run = await verify(server.app, { repair: true })

    expect(kindsOf(run)).toEqual(['stray', 'stray', 'stray'])
    expect(run.report.repairedCount).toBe(2)
    expect(await readdir(path.join(blobs, 'things'))).toEqual(['one'])
  })

  it('removes bytes of uploads that have no session, when nobody can be writing them', async () => {
    let now = Date.now()
    const server = await registryWithImage({ config, now: () => now })
    const file = path.join(server.dataDirectory, 'uploads', 'b7a9fb04-c7ba-4a9c-a3ff-31f2a0b0c6a4')
    await writeFile(file, 'left behind')
    expect(await verify(server.app, { repair: true })).toMatchObject(CLEAN)

    now += 10 * 60 * 1000
    const run = await verify(server.app, { repair: true })

    expect(kindsOf(run)).toEqual(['upload-without-session'])
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await verify(server.app)).toMatchObject(CLEAN)
  })

  it('leaves sessions that are open alone', async () => {
    let now = Date.now()
    const server = await registryWithImage({ config, now: () => now })
    const opened = await server.app.inject({ method: 'POST', url: `/v2/${APP}/blobs/uploads/` })
    const url = opened.headers.location as string
    await server.app.inject({
      method: 'PATCH',
      url,
      headers: { 'content-type': 'application/octet-stream' },
      payload: LAYER,
    })

    now += 10 * 60 * 1000
    expect(await verify(server.app, { repair: true })).toMatchObject(CLEAN)

    const put = await server.app.inject({ method: 'PUT', url: `${url}?digest=${LAYER_DIGEST}` })
    expect(put.statusCode).toBe(201)
  })

  it('removes a tag that points to nothing, and says so in its history', async () => {
    const started = await registryWithImage()
    const server = await behindItsBack(started, (directory) => {
      tamper(directory, `update tags set generation = 7`)
    })

    const told = await verify(server.app)
    expect(told.report.findings).toMatchObject([
      { kind: 'tag-broken', repository: APP, tag: 'v1', repaired: false },
    ])

    const run = await verify(server.app, { repair: true })
    expect(run.report).toMatchObject({ findingCount: 1, repairedCount: 1 })
    expect(await verify(server.app)).toMatchObject(CLEAN)
    const tags = await server.app.inject({ method: 'GET', url: `/v2/${APP}/tags/list` })
    expect(tags.json()).toMatchObject({ tags: [] })
  })

  it('tells of a manifest that has lost a blob to nobody knows what', async () => {
    const started = await registryWithImage()
    await pushImage(started.app, OTHER, 'v1', { layers: [LAYER] })
    const server = await behindItsBack(started, (directory) => {
      tamper(
        directory,
        `delete from repository_blobs where digest = '${LAYER_DIGEST}' and repository_id =
           (select id from repositories where name = '${APP}')`,
      )
    })

    const run = await verify(server.app)

    const [finding] = run.report.findings.filter(({ kind }) => kind === 'reference-missing')
    expect(finding).toMatchObject({ repository: APP })
    expect(finding?.message).toContain(`needs the layer ${LAYER_DIGEST}, which other repositories`)
  })

  it('does not complain of layers that may be elsewhere for good', async () => {
    const server = await startTestServer({ config })
    const foreign = {
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      digest: sha256('far away'),
      size: 8,
      urls: ['https://example.com/layer'],
    }
    await pushImage(server.app, APP, 'v1', { members: { layers: [foreign] } })

    expect(await verify(server.app)).toMatchObject(CLEAN)
  })

  it('does not complain of children that an index need not have here', async () => {
    const server = await startTestServer({
      config: { ...config, manifests: { indexChildren: 'none' } },
    })
    const index = indexOf([{ digest: sha256('elsewhere'), size: 9 }])
    await putManifest(server.app, APP, 'all', index, { contentType: OCI_INDEX })

    expect(await verify(server.app)).toMatchObject(CLEAN)

    const strict = await behindItsBack(server, () => undefined)
    expect(kindsOf(await verify(strict.app))).toEqual(['reference-missing'])
  })

  it('does not complain of blobs that were allowed to be deleted', async () => {
    const server = await registryWithImage({
      config: { ...config, deletes: { enabled: true, referencedBlobs: 'allow' } },
    })
    await server.app.inject({ method: 'DELETE', url: blobUrl(LAYER_DIGEST) })

    expect(await verify(server.app)).toMatchObject(CLEAN)
  })

  it('corrects what is kept ready for quotas and lists', async () => {
    const started = await registryWithImage()
    const before = await verify(started.app)
    const server = await behindItsBack(started, (directory) => {
      tamper(directory, `update repositories set logical_bytes = 1, listed = 0`)
      tamper(directory, `update repository_blobs set counted = 0`)
    })

    const told = await verify(server.app)
    const run = await verify(server.app, { repair: true })

    expect(before).toMatchObject(CLEAN)
    const kinds = ['count-wrong', 'count-wrong', 'sum-wrong', 'catalog-wrong']
    expect(kindsOf(told)).toEqual(kinds)
    expect(kindsOf(run)).toEqual(kinds)
    expect(run.report.repairedCount).toBe(4)
    expect(await verify(server.app)).toMatchObject(CLEAN)
    const catalog = await server.app.inject({ method: 'GET', url: '/v2/_catalog' })
    expect(catalog.json()).toEqual({ repositories: [APP] })
  })

  it('removes bytes of manifests that no repository has', async () => {
    const started = await registryWithImage()
    const server = await behindItsBack(started, (directory) => {
      tamper(
        directory,
        `insert into manifest_contents (digest, bytes) values ('${sha256('none')}', x'00')`,
      )
    })

    expect(kindsOf(await verify(server.app))).toEqual(['manifest-bytes-unused'])
    expect((await verify(server.app, { repair: true })).report.repairedCount).toBe(1)
    expect(await verify(server.app, { content: true })).toMatchObject(CLEAN)
  })

  it('finishes removals that nobody has finished for long', async () => {
    const server = await registryWithImage()
    const release = await server.server.registry.removals.hold()
    tamper(
      server.dataDirectory,
      `insert into file_removals (digest, destination, begun_at)
       select digest, 'nowhere', 0 from blobs where inline = 1 limit 1`,
    )

    const held = await verify(server.app, { repair: true })
    release()
    const run = await verify(server.app, { repair: true })

    expect(held.report).toMatchObject({ findingCount: 1, repairedCount: 0 })
    expect(kindsOf(run)).toEqual(['removal-unfinished'])
    expect(run.report.repairedCount).toBe(1)
    expect(await verify(server.app)).toMatchObject(CLEAN)
  })

  it('marks nothing when so much is gone that a disk may be missing, unless it is told twice', async () => {
    const server = await startTestServer({ config })
    for (let index = 0; index < 20; index++) {
      await pushBlob(server.app, APP, bytesOf(70_000, `blob ${index}`))
    }
    const blobs = path.join(server.dataDirectory, 'blobs', 'sha256')
    for (const name of await readdir(blobs)) await rm(path.join(blobs, name), { recursive: true })

    const braked = await verify(server.app, { repair: true })
    expect(braked.status).toBe('braked')
    expect(braked.report.message).toMatch(/^20 of 20 blobs have lost their bytes/)
    expect(braked.report.findingCount).toBe(0)

    const confirmed = await verify(server.app, { repair: true, confirm: true })
    expect(confirmed).toMatchObject({ status: 'done', report: { findingCount: 20 } })
  })

  it.each([
    ['number', 0, '20 of 20'],
    ['bytes', 70, '20 of 90'],
  ])('removes nothing when too many files by their %s are of no blob', async (_, kept, share) => {
    const options = { config: { ...config, storage: { inlineBytesMax: 10 } } }
    const started = await startTestServer(options)
    await pushMany(started, kept)
    const lost = Array.from({ length: 20 }, (__, index) => bytesOf(1_000, `lost ${index}`))
    for (const bytes of lost) await pushBlob(started.app, APP, bytes)
    const file = blobFile(started.dataDirectory, sha256(lost[0] as Buffer))
    const server = await behindItsBack(
      started,
      (directory) => {
        tamper(
          directory,
          `delete from blobs where size_bytes = 1000;
           delete from repository_blobs where digest not in (select digest from blobs);
           delete from leases where digest not in (select digest from blobs)`,
        )
      },
      options,
    )

    const braked = await verify(server.app, { repair: true })
    expect(braked).toMatchObject({ status: 'braked', report: { findingCount: 0 } })
    expect(braked.report.message).toMatch(
      new RegExp(`^${share} files \\(.* kB\\) belong to no blob`),
    )
    expect(braked.report.message).toContain('is this the right database?')
    expect(await readFile(file)).toEqual(lost[0])

    const confirmed = await verify(server.app, { repair: true, confirm: true })
    expect(confirmed).toMatchObject({ status: 'done' })
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it.each([
    ['files', { storage: { inlineBytesMax: 10 } }],
    ['the database', {}],
  ])('marks no more when too much of what it hashes in %s is wrong', async (where, settings) => {
    const options = { config: { ...config, ...settings } }
    const started = await startTestServer(options)
    const digests = await pushMany(started, 30)
    const server = await behindItsBack(
      started,
      async (directory) => {
        if (where === 'files') for (const one of digests) await flip(blobFile(directory, one))
        else tamper(directory, `update blob_contents set bytes = zeroblob(length(bytes))`)
      },
      options,
    )
    const marked = () =>
      queryOf(server.dataDirectory, 'select digest from blobs where damaged_at is not null')

    const braked = await verify(server.app, { content: true })
    await server.server.maintenance.verification.beginIfDue()
    const first = marked()
    const confirmed = await verify(server.app, { content: true, confirm: true })

    expect(braked).toMatchObject({ status: 'braked', report: { findingCount: 20 } })
    expect(braked.report.message).toMatch(
      /^21 of \d\d blobs that were hashed are damaged, .*\(25 %\).*berth verify --content --confirm/,
    )
    expect(first).toHaveLength(20)
    // It goes on behind those.
    expect(confirmed).toMatchObject({
      ...{ id: braked.id, status: 'done' },
      report: { findingCount: 30, checked: { hashedBlobs: 30 } },
    })
    expect(marked()).toHaveLength(30)
  })

  it('goes on with what was confirmed after a restart, without being told again', async () => {
    const slow = { everyDays: 0, bytesPerSecond: 100 }
    const fast = { config: { ...config, storage: { inlineBytesMax: 10 } } }
    const started = await startTestServer(fast)
    const digests = await pushMany(started, 23)
    for (const digest of digests) await flip(blobFile(started.dataDirectory, digest))
    const braked = await verify(started.app, { content: true })

    const server = await behindItsBack(started, () => undefined, {
      config: { ...fast.config, verify: slow },
    })
    await answerOf(server.app, 'POST', '/verify/runs', { content: true, confirm: true })
    const again = await behindItsBack(server, () => undefined, fast)
    const run = await runOf(again, braked.id, ({ status }) => status === 'done')

    expect(braked.status).toBe('braked')
    expect(run.report.findingCount).toBe(23)
  })
})

describe('a run of verification', () => {
  it('is the only one', async () => {
    const server = await registryWithImage({
      config: { ...config, verify: { everyDays: 0, bytesPerSecond: 1024 } },
    })
    const { id } = await answerOf<VerifiedRun>(server.app, 'POST', '/verify/runs', {
      content: true,
    })

    const second = await ask(server.app, 'POST', '/verify/runs', { body: {} })

    expect(second.statusCode).toBe(409)
    expect(problemOf(second).detail).toContain('a verify run is under way')
    expect((await ask(server.app, 'DELETE', '/verify/runs/current')).statusCode).toBe(204)
    expect(await endOf(server.app, id)).toMatchObject({ status: 'stopped' })
  })

  it('goes on after a restart where it was, with what it had found', async () => {
    const slow = { ...config, verify: { everyDays: 0, bytesPerSecond: 200_000 } }
    const server = await startTestServer({ config: slow })
    const blobs = ['a', 'b', 'c', 'd'].map((seed) => bytesOf(70_000, seed))
    const digests = blobs.map((bytes) => sha256(bytes)).sort()
    for (const bytes of blobs) await pushBlob(server.app, APP, bytes)
    const [first] = digests as [Digest]
    await flip(blobFile(server.dataDirectory, first))

    const { id } = await answerOf<VerifiedRun>(server.app, 'POST', '/verify/runs', {
      content: true,
    })
    await eventually(
      () => statusOf(server, blobUrl(first)),
      (status) => status === 404,
    )
    const again = await behindItsBack(server, () => undefined, { config: slow })
    const run = await runOf(again, id, ({ status }) => status === 'done')

    expect(run.report.findingCount).toBe(1)
    expect(run.report.checked.hashedBlobs).toBe(4)
    expect(run.report.findings).toMatchObject([{ kind: 'blob-content', digest: first }])
  })

  it('writes down how far it has come now and then, however much it finds', async () => {
    const small = { ...config, storage: { inlineBytesMax: 10 } }
    const started = await startTestServer({ config: small })
    const digests = await pushMany(started, 60)
    for (const digest of digests) await flip(blobFile(started.dataDirectory, digest))
    const server = await behindItsBack(
      started,
      (directory) => {
        tamper(
          directory,
          `create table recordings (run integer);
           create trigger recording after update on runs
             begin insert into recordings values (new.id); end`,
        )
      },
      { config: small },
    )

    const run = await verify(server.app, { content: true, confirm: true })

    expect(run).toMatchObject({ status: 'done', report: { findingCount: 60 } })
    const recordings = queryOf<{ count: number }>(
      server.dataDirectory,
      'select count(*) as count from recordings',
    )
    expect(recordings[0]?.count).toBeLessThan(30)
  })

  it('is stopped by a shortage that will pass, and goes on behind what it has hashed', async () => {
    let now = Date.now()
    const started = await startTestServer({
      config: { ...config, storage: { inlineBytesMax: 10 } },
    })
    const digests = await pushMany(started, 5)
    await started.server.close()
    const hashed: Digest[] = []
    let isShort = true
    const verification = await openVerification(started.dataDirectory, {
      now: () => now,
      onCheck: (digest) => {
        if (isShort && hashed.length === 3) throw outOfReach(new Error('EMFILE'))
        hashed.push(digest)
      },
    })
    const { id, ended } = await verification.begin(
      { content: true, repair: false, confirm: false },
      'tester',
    )

    const first = await ended
    isShort = false
    now += 59 * 60 * 1000
    await verification.beginIfDue()
    const early = await verification.find()
    now += 2 * 60 * 1000
    await verification.beginIfDue()
    const late = await eventually(
      () => verification.find(),
      ({ last }) => last?.status !== 'running',
    )

    expect(first).toMatchObject({ status: 'stopped', report: { checked: { hashedBlobs: 3 } } })
    expect(first.report.message).toContain('too many files open')
    expect(early).toMatchObject({ last: { id, status: 'stopped' } })
    expect(late).toMatchObject({
      last: { id, status: 'done', report: { checked: { hashedBlobs: 5 }, findingCount: 0 } },
    })
    expect(late.last?.report).not.toHaveProperty('message')
    expect(hashed).toEqual(digests)
  })

  it('is stopped, and goes on, also when its questions cannot be answered for a while', async () => {
    let now = Date.now()
    const server = await registryWithImage({ config, now: () => now })
    const file = path.join(server.dataDirectory, 'berth.db')
    await rename(file, `${file}.away`)

    const { id, status } = await verify(server.app, { content: true })
    await rename(`${file}.away`, file)
    now += 61 * 60 * 1000
    await server.server.maintenance.verification.beginIfDue()

    expect(status).toBe('stopped')
    expect(await endOf(server.app, id)).toMatchObject(CLEAN)
  })

  it('does not go on after a restart when it was stopped for good', async () => {
    const slow = { ...config, verify: { everyDays: 0, bytesPerSecond: 1024 } }
    const server = await registryWithImage({ config: slow })
    const { id } = await answerOf<VerifiedRun>(server.app, 'POST', '/verify/runs', {
      content: true,
    })
    await ask(server.app, 'DELETE', '/verify/runs/current')

    const again = await behindItsBack(server, () => undefined, { config: slow })
    await again.server.maintenance.verification.beginIfDue()

    expect(await answerOf(again.app, 'GET', '/verify')).toMatchObject({
      lastRun: { id, status: 'stopped' },
    })
  })

  it('begins by itself when the last one is long ago', async () => {
    let now = Date.now()
    const server = await registryWithImage({ config, now: () => now })
    const { verification } = server.server.maintenance
    const day = 24 * 60 * 60 * 1000

    now += 29 * day
    await verification.beginIfDue()
    const early = await answerOf<Record<string, unknown>>(server.app, 'GET', '/verify')
    now += 1.1 * day
    await verification.beginIfDue()
    const due = await answerOf<{ lastRun: VerifiedRun }>(server.app, 'GET', '/verify')
    const run = await endOf(server.app, due.lastRun.id)

    expect(early['lastRun']).toBeUndefined()
    expect(run).toMatchObject({ ...CLEAN, options: { content: true, repair: false } })
    const after = await answerOf<Record<string, unknown>>(server.app, 'GET', '/verify')
    expect(after['nextContentRunAt']).toBe(new Date(now + 30 * day).toISOString())
  })

  it('knows when it has hashed everything last, however often it has looked quickly since', async () => {
    const server = await registryWithImage()
    const { id } = await verify(server.app, { content: true })
    const before = await answerOf<Record<string, unknown>>(server.app, 'GET', '/verify')
    tamper(
      server.dataDirectory,
      `insert into runs (kind, status, started_at, finished_at, started_by, options, report)
       select kind, status, started_at, finished_at, started_by,
         json_set(options, '$.content', json('false')), report
       from runs cross join (with recursive n (i) as
         (select 1 union all select i + 1 from n where i < 600) select i from n)
       where kind = 'verify'`,
    )

    const quick = await verify(server.app)

    expect(await answerOf(server.app, 'GET', '/verify')).toMatchObject({
      lastRun: { id: quick.id },
      lastContentRun: { id, options: { content: true } },
      nextContentRunAt: before['nextContentRunAt'],
    })
    const kept = queryOf(server.dataDirectory, `select id from runs where kind = 'verify'`)
    expect(kept.length).toBeLessThanOrEqual(502)
  })

  it('finds nothing wrong while everything is in motion', async () => {
    const server = await registryWithImage({
      config: { gc: { enabled: false, brakePercent: 100 }, undo: { days: 0 } },
    })
    const { app } = server
    const { collector } = server.server.maintenance
    let isOver = false
    const pushAndDelete = async (name: string) => {
      for (let round = 0; !isOver; round++) {
        const layer = bytesOf(70_000, `${name} ${round}`).toString('latin1')
        const { digest } = await pushImage(app, name, `v${round % 3}`, { layers: [layer] })
        if (round % 2 === 0) {
          await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })
        }
      }
    }
    const collect = async () => {
      while (!isOver) await (await collector.begin({ purge: true }, 'tester')).ended
    }
    const work = [pushAndDelete('a/a'), pushAndDelete('a/b'), collect()]

    const runs: VerifiedRun[] = []
    try {
      for (let round = 0; round < 6; round++) {
        runs.push(await verify(app, { content: round % 2 === 0, repair: round % 3 === 0 }))
      }
    } finally {
      isOver = true
      await Promise.all(work)
    }

    for (const run of [...runs, await verify(app, { content: true })]) {
      expect(run.report.findings).toEqual([])
    }
  })
})

/** Verification of a registry that nobody serves; a test is told of each blob before it is hashed. */
async function openVerification(
  dataDirectory: string,
  { now, onCheck }: { readonly now: () => number; readonly onCheck: (digest: Digest) => void },
): Promise<Verification> {
  const log = pino({ level: 'silent' })
  const metadata = await SqliteMetadataStore.open({ file: path.join(dataDirectory, 'berth.db') })
  onTestFinished(() => metadata.close())
  const store = await FsBlobStore.open(dataDirectory)
  const blobs = new Proxy<BlobStore>(store, {
    get(target, name: keyof BlobStore) {
      if (name !== 'check') return target[name].bind(target)
      return async (...args: Parameters<BlobStore['check']>) => {
        onCheck(args[0])
        return target.check(...args)
      }
    },
  })
  const removals = new FileRemovals({ metadata, blobs }, { log, onDurabilityLost: () => undefined })
  const finishRemovals = () => removals.finish()
  return new Verification({
    ...{ metadata, blobs, log, now, finishRemovals },
    audit: { note: () => undefined },
    damage: new Damage(metadata, log, { now, finishRemovals: () => removals.finishSoon() }),
    onDurabilityLost: () => undefined,
    everyMs: 30 * 24 * 60 * 60 * 1000,
    ...{ brakePercent: 25, bytesPerSecond: 1e9, allowsMissingBlobs: false },
    isRequired: () => true,
  })
}

/** Waits until a run has come so far. */
function runOf(
  { app }: TestServer,
  id: number,
  isWanted: (run: VerifiedRun) => boolean,
): Promise<VerifiedRun> {
  return eventually(() => answerOf<VerifiedRun>(app, 'GET', `/runs/${id}`), isWanted)
}
