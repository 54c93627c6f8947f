import { access, truncate } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
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
})
