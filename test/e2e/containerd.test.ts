import { beforeAll, describe, expect, it } from 'vitest'
import { startBerth } from './support/berth.js'
import { Containerd } from './support/containerd.js'
import { MIB, newFile, writeIndexLayout, writeLayout } from './support/images.js'
import { copy } from './support/skopeo.js'
import { getManifest, walk } from './support/walk.js'

let containerd: Containerd

beforeAll(async () => {
  containerd = await Containerd.start()
  return () => containerd.stop()
})

describe('ctr images pull', () => {
  it('gets by tag an image with everything that is in it', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout([newFile(5 * MIB), newFile()])
    await copy(source, `docker://${host}/team/app:1`)

    await containerd.pull(`${host}/team/app:1`)

    const { digest, document } = await getManifest(url, 'team/app', '1')
    const wanted = [document.config, ...(document.layers ?? [])].map((blob) => blob?.digest)
    expect(await containerd.contentDigests()).toEqual(expect.arrayContaining([digest, ...wanted]))
    await containerd.remove(`${host}/team/app:1`)
  })

  it('gets an image by its digest', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/team/app:1`)
    const { digest } = await getManifest(url, 'team/app', '1')

    await containerd.pull(`${host}/team/app@${digest}`)

    expect(await containerd.contentDigests()).toContain(digest)
    await containerd.remove(`${host}/team/app@${digest}`)
  })

  it('gets every image of an index', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeIndexLayout(['amd64', 'arm64'])
    await copy(source, `docker://${host}/app:1`, '--all')

    await containerd.pull(`${host}/app:1`, '--all-platforms')

    const { digest, document } = await getManifest(url, 'app', '1')
    const children = document.manifests?.map((child) => child.digest) ?? []
    expect(children).toHaveLength(2)
    expect(await containerd.contentDigests()).toEqual(expect.arrayContaining([digest, ...children]))
    await containerd.remove(`${host}/app:1`)
  })

  it('unpacks layers compressed with zstd', async () => {
    const { host } = await startBerth()
    const { source } = await writeLayout([newFile(MIB)])
    await copy(source, `docker://${host}/app:1`, '--format=oci', '--dest-compress-format=zstd')

    const output = await containerd.pull(`${host}/app:1`)

    expect(output).toContain('unpacking linux/amd64')
    await containerd.remove(`${host}/app:1`)
  })

  it('is told that a tag does not exist', async () => {
    const { host } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/app:1`)

    const message = await containerd.pullToFailure(`${host}/app:2`)

    expect(message).toContain(`${host}/app:2: not found`)
  })
})

describe('ctr images push', () => {
  it('stores in another repository what it has pulled', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout([newFile(2 * MIB), newFile()])
    const [first, second] = [`${host}/team/first:1`, `${host}/other/second:1`] as const
    await copy(source, `docker://${first}`)
    await containerd.pull(first)
    await containerd.run('images', 'tag', first, second)

    await containerd.push(second)

    const contents = await walk(url)
    expect(contents.get('other/second:1')).toBe(contents.get('team/first:1'))
    await containerd.remove(first, second)
  })

  it('stores an image in a registry that has nothing of it, and gets it back', async () => {
    const [from, to] = [await startBerth(), await startBerth()]
    const { source } = await writeLayout([newFile(2 * MIB), newFile()])
    const [here, there] = [`${from.host}/app:1`, `${to.host}/team/app:1`] as const
    await copy(source, `docker://${here}`)
    await containerd.pull(here)
    await containerd.run('images', 'tag', here, there)

    await containerd.push(there)

    await containerd.remove(here, there)
    expect(await containerd.contentDigests()).toEqual([])
    await containerd.pull(there)
    expect(await containerd.run('images', 'check', '--quiet')).toContain(there)
    expect((await walk(to.url)).get('team/app:1')).toBe((await walk(from.url)).get('app:1'))
    await containerd.remove(there)
  })
})
