import { access, mkdir, readdir, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { DurabilityLostError } from '../../src/errors.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, pushBlob, pushImage, sha256 } from '../support/images.js'
import { startTestServer, type TestServer } from '../support/server.js'
import { blobFile } from '../support/verify.js'

const LAYER = bytesOf(100_000)
const NAME = 'team/app'

/** A registry whose one image was deleted for good, with what would collect it. */
async function registryWithGarbage() {
  const server = await startTestServer({
    config: { gc: { enabled: false, brakePercent: 100 }, undo: { days: 0 } },
  })
  await pushBlob(server.app, NAME, LAYER)
  const { digest } = await pushImage(server.app, NAME, 'v1', { layers: [LAYER.toString('latin1')] })
  await server.app.inject({ method: 'DELETE', url: `/v2/${NAME}/manifests/${digest}` })
  await server.app.inject({ method: 'DELETE', url: `/v2/${NAME}/blobs/${sha256(LAYER)}` })
  const { collector } = server.server.maintenance
  const collect = async () => (await collector.begin({ purge: true }, 'tester')).ended
  return { server, collector, collect, removals: server.server.registry.removals }
}

const isThere = ({ dataDirectory }: TestServer) =>
  access(blobFile(dataDirectory, sha256(LAYER))).then(
    () => true,
    () => false,
  )

/** The digests of all files of blobs. */
async function blobFiles({ dataDirectory }: TestServer): Promise<string[]> {
  const folder = path.join(dataDirectory, 'blobs', 'sha256')
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  return names.filter((entry) => entry.isFile()).map(({ name }) => `sha256:${name}`)
}

describe('removing bytes', () => {
  it('waits while somebody copies the store, and leaves nothing that a push would wait for', async () => {
    const { server, collect, removals } = await registryWithGarbage()
    const release = await removals.hold()

    const collecting = collect()
    await pushBlob(server.app, NAME, LAYER)
    expect(await isThere(server)).toBe(true)
    await server.app.inject({ method: 'DELETE', url: `/v2/${NAME}/blobs/${sha256(LAYER)}` })
    release()
    const { status } = await collecting

    expect(status).toBe('done')
    expect(await isThere(server)).toBe(false)
  })

  it('goes on when the last of those who hold it lets go', async () => {
    const { server, collect, removals } = await registryWithGarbage()
    const first = await removals.hold()
    const second = await removals.hold()
    const collecting = collect()

    first()
    first()
    await pushBlob(server.app, 'other/app', bytesOf(70_000, 'other'))
    expect(await isThere(server)).toBe(true)
    second()
    await collecting

    expect(await isThere(server)).toBe(false)
  })

  it('puts damaged bytes aside all the same, so that a push can heal them', async () => {
    const { server, removals } = await registryWithGarbage()
    await pushBlob(server.app, NAME, LAYER)
    const release = await removals.hold()
    await truncate(blobFile(server.dataDirectory, sha256(LAYER)), 10)

    const url = `/v2/${NAME}/blobs/${sha256(LAYER)}`
    const read = await server.app.inject({ method: 'GET', url })
    await pushBlob(server.app, NAME, LAYER)
    const again = await server.app.inject({ method: 'GET', url })

    expect([read.statusCode, again.statusCode]).toEqual([404, 200])
    release()
  })

  it('does not wait any more when it is told to stop', async () => {
    const { collector, collect, removals } = await registryWithGarbage()
    const release = await removals.hold()

    const collecting = collect()
    await collector.close()

    expect(await collecting).toMatchObject({ status: 'stopped', report: { removed: { blobs: 0 } } })
    release()
  })

  it('goes on behind what cannot be removed, and comes back to that', async () => {
    const { server, collect } = await registryWithGarbage()
    for (let index = 0; index < 5; index++) {
      await pushBlob(server.app, NAME, bytesOf(70_000, `more ${index}`))
      const url = `/v2/${NAME}/blobs/${sha256(bytesOf(70_000, `more ${index}`))}`
      await server.app.inject({ method: 'DELETE', url })
    }
    const failure = Object.assign(new Error('EPERM: not permitted'), { code: 'EPERM' })
    const really = Reflect.get<FsBlobStore, 'remove'>(FsBlobStore.prototype, 'remove')
    const remove = vi.spyOn(FsBlobStore.prototype, 'remove')
    remove.mockImplementation(function (this: FsBlobStore, digest) {
      return digest === sha256(LAYER) ? Promise.reject(failure) : really.call(this, digest)
    })

    const { status, report } = await collect()
    const left = await blobFiles(server)
    remove.mockRestore()
    await server.server.registry.removals.finish()
    const after = await blobFiles(server)

    expect(status).toBe('done')
    expect(report).toMatchObject({ removed: { repositories: 0 } })
    expect(left).toEqual([sha256(LAYER)])
    expect(after).toEqual([])
  })

  it('removes while it is held what no row spoke for, so that no push has to wait', async () => {
    const { server, removals } = await registryWithGarbage()
    const stray = bytesOf(80_000, 'stray')
    const file = blobFile(server.dataDirectory, sha256(stray))
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, stray)
    const release = await removals.hold()

    const { verification } = server.server.maintenance
    const run = await verification.begin({ content: false, repair: true, confirm: true }, 'tester')
    await run.ended
    const files = await blobFiles(server)
    await pushBlob(server.app, NAME, stray)
    release()

    expect(files).not.toContain(sha256(stray))
    const read = await server.app.inject(`/v2/${NAME}/blobs/${sha256(stray)}`)
    expect(read.statusCode).toBe(200)
  })

  it('ends what a run has begun before it is held', async () => {
    const { server, collect, removals } = await registryWithGarbage()
    let reached: () => void = () => undefined
    const isReached = new Promise<void>((resolve) => (reached = resolve))
    let goOn: () => void = () => undefined
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve))
    const list = vi
      .spyOn(SqliteMetadataStore.prototype, 'forgetFileRemovals')
      .mockImplementationOnce(async () => {
        reached()
        await mayGoOn
      })
    const collecting = collect()
    await isReached
    const holding = removals.hold()
    goOn()
    const release = await holding
    list.mockRestore()

    await pushBlob(server.app, NAME, LAYER)
    expect(await isThere(server)).toBe(true)
    release()
    expect((await collecting).status).toBe('done')
  })

  it('ends the process when the disk does not confirm it, though nobody waits for it', async () => {
    let lost: unknown
    const server = await startTestServer({ onDurabilityLost: (error) => (lost = error) })
    await pushBlob(server.app, NAME, LAYER)
    await truncate(blobFile(server.dataDirectory, sha256(LAYER)), 10)
    const failure = new DurabilityLostError('not synced')
    const forget = vi
      .spyOn(SqliteMetadataStore.prototype, 'forgetFileRemovals')
      .mockRejectedValueOnce(failure)

    await server.app.inject(`/v2/${NAME}/blobs/${sha256(LAYER)}`)
    await eventually(
      () => lost,
      (error) => error !== undefined,
    )
    forget.mockRestore()

    expect(lost).toBe(failure)
  })
})
