import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { startBerth } from './support/berth.js'
import { MIB, newFile, writeBuildContext, writeIndexLayout } from './support/images.js'
import { usePodman } from './support/podman.js'
import { copy } from './support/skopeo.js'
import { getManifest, walk } from './support/walk.js'

const insecure = '--tls-verify=false'

describe('podman push', () => {
  it('stores an image that can be read back whole', async () => {
    const { host, url } = await startBerth()
    const { podman, build } = await usePodman()
    await build(`${host}/team/app:1`, await writeBuildContext())

    await podman('push', insecure, `${host}/team/app:1`)

    expect([...(await walk(url)).keys()]).toEqual(['team/app:1'])
  })

  it('stores layers compressed with zstd as they are', async () => {
    const { host, url } = await startBerth()
    const { podman, build } = await usePodman()
    await build(`${host}/app:1`, await writeBuildContext())

    await podman('push', insecure, '--format=oci', '--compression-format=zstd', `${host}/app:1`)

    const { document } = await getManifest(url, 'app', '1')
    expect(document.layers).toMatchObject([
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' },
    ])
    await walk(url)
  })

  it('says which digest the registry has', async () => {
    const { host, url } = await startBerth()
    const { podman, build } = await usePodman()
    await build(`${host}/app:1`, await writeBuildContext())
    const digestFile = path.join(await temporaryDirectory(), 'digest')

    await podman('push', insecure, '--digestfile', digestFile, `${host}/app:1`)

    const { digest } = await getManifest(url, 'app', '1')
    expect(await readFile(digestFile, 'utf8')).toBe(digest)
  })
})

describe('podman pull', () => {
  it('gives back by tag the image that was pushed', async () => {
    const { host } = await startBerth()
    const { podman, build, imageId, removeAllImages } = await usePodman()
    const image = `${host}/team/app:1`
    await build(image, await writeBuildContext())
    const pushedId = await imageId(image)
    await podman('push', insecure, image)
    await removeAllImages()

    await podman('pull', insecure, image)

    expect(await imageId(image)).toBe(pushedId)
  })

  it('gives back by digest the image that was pushed', async () => {
    const { host, url } = await startBerth()
    const { podman, build, imageId, removeAllImages } = await usePodman()
    const image = `${host}/team/app:1`
    await build(image, await writeBuildContext())
    const pushedId = await imageId(image)
    await podman('push', insecure, image)
    await removeAllImages()
    const { digest } = await getManifest(url, 'team/app', '1')

    await podman('pull', insecure, `${host}/team/app@${digest}`)

    expect(await imageId(`${host}/team/app@${digest}`)).toBe(pushedId)
  })

  it.each(['gzip', 'zstd'])('gives back the very bytes of a file sent with %s', async (format) => {
    const { host } = await startBerth()
    const { podman, build, removeAllImages } = await usePodman()
    const image = `${host}/app:1`
    const file = newFile(4 * MIB)
    await build(image, await writeBuildContext({ files: [file] }))
    await podman('push', insecure, '--format=oci', `--compression-format=${format}`, image)
    await removeAllImages()

    await podman('pull', insecure, image)

    const root = await podman('image', 'mount', image)
    expect(file.equals(await readFile(path.join(root, 'file-0')))).toBe(true)
  })

  it('is told that a tag does not exist', async () => {
    const { host } = await startBerth()
    const { podman, podmanToFailure, build } = await usePodman()
    await build(`${host}/app:1`, await writeBuildContext())
    await podman('push', insecure, `${host}/app:1`)

    const message = await podmanToFailure('pull', insecure, `${host}/app:2`)

    expect(message).toContain('manifest unknown')
  })

  it('is told that a repository does not exist', async () => {
    const { host } = await startBerth()
    const { podmanToFailure } = await usePodman()

    const message = await podmanToFailure('pull', insecure, `${host}/no/such:1`)

    expect(message).toContain('name unknown')
  })
})

describe('podman search', () => {
  it('shows the repositories whose name has the term, with their descriptions', async () => {
    const { host } = await startBerth()
    const { podman, build } = await usePodman()
    for (const name of ['team/harbour', 'other/harbour-tools', 'team/pier']) {
      await build(`${host}/${name}:1`, await writeBuildContext({ description: `About ${name}` }))
      await podman('push', insecure, `${host}/${name}:1`)
    }

    const output = await podman(
      ...['search', insecure, '--format', '{{.Name}}|{{.Description}}', `${host}/harbour`],
    )

    expect(output.split('\n').sort()).toEqual([
      `${host}/other/harbour-tools|About other/harbour-tools`,
      `${host}/team/harbour|About team/harbour`,
    ])
  })

  it('shows the whole catalog without a term', async () => {
    const { host } = await startBerth()
    const { podman, build } = await usePodman()
    await build(`${host}/b:1`, await writeBuildContext())
    for (const name of ['b', 'a/c', 'a/b']) {
      await podman('push', insecure, `${host}/b:1`, `${host}/${name}:1`)
    }

    const output = await podman('search', insecure, '--format', '{{.Name}}', `${host}/`)

    expect(output.split('\n')).toEqual([`${host}/a/b`, `${host}/a/c`, `${host}/b`])
  })

  it('shows the tags of a repository', async () => {
    const { host } = await startBerth()
    const { podman, build } = await usePodman()
    await build(`${host}/app:1`, await writeBuildContext())
    for (const tag of ['2', '10', '1']) {
      await podman('push', insecure, `${host}/app:1`, `${host}/app:${tag}`)
    }

    const output = await podman('search', insecure, '--list-tags', `${host}/app`)

    // This podman has no format for tags: a heading, then a name and a tag in each line.
    const [, ...lines] = output.split('\n')
    expect(lines.map((line) => line.split(/\s+/)[1])).toEqual(['1', '10', '2'])
  })
})

describe('podman manifest', () => {
  it('pushes a list with every image in it', async () => {
    const { host, url } = await startBerth()
    const { podman, build } = await usePodman()
    for (const tag of ['amd64', 'arm64']) {
      await build(`${host}/app:${tag}`, await writeBuildContext())
      await podman('push', insecure, `${host}/app:${tag}`)
    }
    const list = `${host}/team/app:latest`
    await podman('manifest', 'create', list)
    for (const tag of ['amd64', 'arm64']) {
      const member = `docker://${host}/app:${tag}`
      await podman('manifest', 'add', insecure, '--arch', tag, list, member)
    }

    await podman('manifest', 'push', insecure, '--all', list, `docker://${list}`)

    const { document } = await getManifest(url, 'team/app', 'latest')
    expect(document.manifests).toMatchObject([
      { platform: { architecture: 'amd64' } },
      { platform: { architecture: 'arm64' } },
    ])
    await walk(url)
  })

  it('lets podman pull choose the image of a platform', async () => {
    const { host } = await startBerth()
    const { podman } = await usePodman()
    const { source } = await writeIndexLayout(['amd64', 'arm64'])
    await copy(source, `docker://${host}/app:1`, '--all')

    await podman('pull', insecure, '--platform', 'linux/arm64', `${host}/app:1`)

    const chosen = await podman(
      'image',
      'inspect',
      '--format',
      '{{.Architecture}}',
      `${host}/app:1`,
    )
    expect(chosen).toBe('arm64')
  })
})
