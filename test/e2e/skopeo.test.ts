import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { DOCKER_MANIFEST, OCI_MANIFEST } from '../support/images.js'
import { startBerth } from './support/berth.js'
import { MIB, newFile, writeIndexLayout, writeLayout } from './support/images.js'
import { copy, skopeo, skopeoToFailure, sync } from './support/skopeo.js'
import { getManifest, walk } from './support/walk.js'

describe('skopeo copy', () => {
  it('stores an image that can be read back whole', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout([newFile(3 * MIB), newFile()])

    await copy(source, `docker://${host}/team/app:1`)

    expect([...(await walk(url)).keys()]).toEqual(['team/app:1'])
  })

  it.each([
    ['oci', 'v2s2', DOCKER_MANIFEST],
    ['v2s2', 'oci', OCI_MANIFEST],
  ])('converts an image from %s to %s', async (from, to, mediaType) => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/app:before`, '--format', from)

    await copy(`docker://${host}/app:before`, `docker://${host}/app:after`, '--format', to)

    expect(await getManifest(url, 'app', 'after')).toMatchObject({ mediaType })
    await walk(url)
  })

  it('stores layers compressed with zstd as they are', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()

    await copy(source, `docker://${host}/app:1`, '--format=oci', '--dest-compress-format=zstd')

    const { document } = await getManifest(url, 'app', '1')
    expect(document.layers).toMatchObject([
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' },
    ])
    await walk(url)
  })

  it('keeps the digest of an image that goes from one repository to another', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/team/app:1`)

    await copy(`docker://${host}/team/app:1`, `docker://${host}/mirror/app:1`, '--preserve-digests')

    const contents = await walk(url)
    expect(contents.get('mirror/app:1')).toBe(contents.get('team/app:1'))
  })

  it('takes an image by its digest', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/app:1`)
    const { digest } = await getManifest(url, 'app', '1')

    await copy(`docker://${host}/app@${digest}`, `docker://${host}/copy:1`, '--preserve-digests')

    expect(await getManifest(url, 'copy', '1')).toMatchObject({ digest })
  })

  it('copies an index with every image in it', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeIndexLayout(['amd64', 'arm64', 's390x'])
    await copy(source, `docker://${host}/team/app:1`, '--all')

    await copy(`docker://${host}/team/app:1`, `docker://${host}/mirror/app:1`, '--all')

    const { document, digest } = await getManifest(url, 'mirror/app', '1')
    expect(document.manifests?.map(({ platform }) => platform?.architecture)).toEqual([
      'amd64',
      'arm64',
      's390x',
    ])
    expect((await walk(url)).get('team/app:1')).toBe(digest)
  })

  it('is told that a tag does not exist', async () => {
    const { host } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/app:1`)

    const message = await skopeoToFailure('inspect', `docker://${host}/app:2`)

    expect(message).toContain('manifest unknown')
  })
})

describe('skopeo inspect', () => {
  it('says the digest, the tags and the layers of an image', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout([newFile(), newFile()])
    await copy(source, `docker://${host}/app:1`)
    await copy(source, `docker://${host}/app:2`)

    const output = await skopeo('inspect', `docker://${host}/app:1`)

    const { digest, document } = await getManifest(url, 'app', '1')
    expect(JSON.parse(output)).toMatchObject({
      Name: `${host}/app`,
      Digest: digest,
      RepoTags: ['1', '2'],
      Layers: document.layers?.map((layer) => layer.digest),
    })
  })

  it('shows a manifest exactly as it was pushed', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/app:1`)

    const output = await skopeo('inspect', '--raw', `docker://${host}/app:1`)

    expect(output).toBe((await getManifest(url, 'app', '1')).text)
  })
})

describe('skopeo list-tags', () => {
  it('lists every tag of a repository', async () => {
    const { host } = await startBerth()
    const { source } = await writeLayout()
    for (const tag of ['v2', 'latest', 'v10']) await copy(source, `docker://${host}/app:${tag}`)

    const output = await skopeo('list-tags', `docker://${host}/app`)

    expect(JSON.parse(output)).toEqual({
      Repository: `${host}/app`,
      Tags: ['latest', 'v10', 'v2'],
    })
  })
})

describe('skopeo delete', () => {
  it('removes the image, and with it every tag of the same digest', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    for (const tag of ['1', 'same']) await copy(source, `docker://${host}/app:${tag}`)

    await skopeo('delete', `docker://${host}/app:1`)

    const message = await skopeoToFailure('inspect', `docker://${host}/app:same`)
    expect(message).toContain('manifest unknown')
    expect(await walk(url)).toEqual(new Map())
  })

  it('leaves other images of the repository, and the same one in others, alone', async () => {
    const { host, url } = await startBerth()
    const [one, other] = [await writeLayout(), await writeLayout()]
    await copy(one.source, `docker://${host}/app:one`)
    await copy(other.source, `docker://${host}/app:other`)
    await copy(one.source, `docker://${host}/elsewhere:one`)

    await skopeo('delete', `docker://${host}/app:one`)

    expect([...(await walk(url)).keys()]).toEqual(['app:other', 'elsewhere:one'])
  })

  it('can be followed by the same push again', async () => {
    const { host, url } = await startBerth()
    const { source } = await writeLayout()
    await copy(source, `docker://${host}/app:1`)
    const before = await walk(url)
    await skopeo('delete', `docker://${host}/app:1`)

    await copy(source, `docker://${host}/app:1`)

    expect(await walk(url)).toEqual(before)
  })
})

describe('skopeo sync', () => {
  it('takes a repository out to a folder, and every image in it back to another registry', async () => {
    const [from, to] = [await startBerth(), await startBerth()]
    for (const tag of ['1', '2']) {
      const { source } = await writeLayout()
      await copy(source, `docker://${from.host}/team/app:${tag}`)
    }
    const folder = path.join(await temporaryDirectory(), 'sync')

    await sync(`${from.host}/team/app`, folder, '--src', 'docker', '--dest', 'dir')
    await sync(folder, `${to.host}/team`, '--src', 'dir', '--dest', 'docker')

    expect(await walk(to.url)).toEqual(await walk(from.url))
  })
})
