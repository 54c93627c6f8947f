import { beforeAll, describe, expect, it } from 'vitest'
import { startBerth } from './support/berth.js'
import { Docker } from './support/docker.js'
import {
  MIB,
  newFile,
  writeArchive,
  writeBuildContext,
  type BuildOptions,
} from './support/images.js'
import { getManifest, walk } from './support/walk.js'

let docker: Docker

beforeAll(async () => {
  docker = await Docker.start()
  return () => docker.stop()
})

/** An image under each of the references, in the daemon only. */
async function build(references: readonly string[], options?: BuildOptions): Promise<string> {
  const context = await writeBuildContext(options)
  for (const reference of references) await docker.build(reference, context)
  return docker.imageId(references[0] ?? '')
}

describe('docker push', () => {
  it('stores an image that can be read back whole', async () => {
    const { host, url } = await startBerth()
    const image = `${host}/team/app:1.0`
    await build([image])

    const output = await docker.run('push', image)

    expect(output).toContain('Pushed')
    expect([...(await walk(url)).keys()]).toEqual(['team/app:1.0'])
  })

  it('is told the digest under which the registry has the image', async () => {
    const { host, url } = await startBerth()
    const image = `${host}/app:1`
    await build([image])

    const output = await docker.run('push', image)

    const { digest } = await getManifest(url, 'app', '1')
    expect(output).toContain(`1: digest: ${digest}`)
  })

  it('sends no layer a second time', async () => {
    const { host } = await startBerth()
    const image = `${host}/team/app:1`
    await build([image], { files: [newFile(), newFile()] })
    await docker.run('push', image)

    const output = await docker.run('push', image)

    expect(output.match(/: Layer already exists$/gm)).toHaveLength(2)
    expect(output).not.toContain('Pushed')
  })

  it('mounts the layers that another repository has', async () => {
    const { host, url } = await startBerth()
    const [first, second] = [`${host}/team/first:1`, `${host}/other/team/second:1`] as const
    await build([first, second])
    await docker.run('push', first)

    const output = await docker.run('push', second)

    expect(output).toContain('Mounted from team/first')
    const contents = await walk(url)
    expect(contents.get('other/team/second:1')).toBe(contents.get('team/first:1'))
  })

  it('takes every tag of a repository at once with --all-tags', async () => {
    const { host, url } = await startBerth()
    await build([`${host}/app:a`, `${host}/app:b`, `${host}/app:c`])

    await docker.run('push', '--all-tags', `${host}/app`)

    expect([...(await walk(url)).keys()]).toEqual(['app:a', 'app:b', 'app:c'])
  })

  it('moves a tag to the image pushed last', async () => {
    const { host, url } = await startBerth()
    const image = `${host}/app:latest`
    await build([image])
    await docker.run('push', image)
    const before = await getManifest(url, 'app', 'latest')
    const newId = await build([image])

    await docker.run('push', image)

    const after = await getManifest(url, 'app', 'latest')
    expect(after.digest).not.toBe(before.digest)
    expect(after.document.config?.digest).toBe(newId)
  })

  it('prints why an immutable tag cannot be moved, and leaves it where it is', async () => {
    const immutable = JSON.stringify([{ repositories: 'team/**', tags: 'v*' }])
    const { host, url } = await startBerth({ settings: { BERTH_TAGS_IMMUTABLE: immutable } })
    const image = `${host}/team/app:v1.2`
    await build([image])
    await docker.run('push', image)
    await docker.run('push', image)
    const before = await getManifest(url, 'team/app', 'v1.2')
    await build([image])

    const output = await docker.runToFailure('push', image)

    expect(output).toContain(
      'denied: the tag v1.2 of team/app is immutable: it cannot be overwritten or deleted',
    )
    expect((await getManifest(url, 'team/app', 'v1.2')).digest).toBe(before.digest)
  })

  it('prints what is left of a quota that has no room for an image', async () => {
    const quotas = JSON.stringify([{ repositories: 'team/**', bytes: 2_000_000 }])
    const { host, url } = await startBerth({ settings: { BERTH_QUOTAS: quotas } })
    const [small, large] = [`${host}/team/app:small`, `${host}/team/app:large`] as const
    await build([small], { files: [newFile(MIB)] })
    await build([large], { files: [newFile(3 * MIB)] })
    await docker.run('push', small)

    const output = await docker.runToFailure('push', large)

    expect(output).toMatch(
      /denied: the quota of team\/\*\* is 2 MB; 1\.\d MB are used, \d+(\.\d)? kB are left; this needs 3\.\d MB/,
    )
    expect([...(await walk(url)).keys()]).toEqual(['team/app:small'])
  })
})

describe('docker pull', () => {
  it('gives back by tag the image that was pushed', async () => {
    const { host } = await startBerth()
    const image = `${host}/team/app:1`
    const pushedId = await build([image])
    await docker.run('push', image)
    await docker.removeAllImages()

    const output = await docker.run('pull', image)

    expect(output).toContain('Downloaded newer image')
    expect(await docker.imageId(image)).toBe(pushedId)
  })

  it('gives back by digest the image that was pushed', async () => {
    const { host } = await startBerth()
    const image = `${host}/team/app:1`
    const pushedId = await build([image])
    await docker.run('push', image)
    const byDigest = await docker.repositoryDigest(image)
    await docker.removeAllImages()

    await docker.run('pull', byDigest)

    expect(await docker.imageId(byDigest)).toBe(pushedId)
  })

  it('gives back the very bytes of every file in every layer', async () => {
    const { host } = await startBerth()
    const image = `${host}/layers:1`
    const files = [newFile(5 * MIB), newFile(0), newFile(3 * MIB + 1), newFile(1)]
    await build([image], { files })
    await docker.run('push', image)
    await docker.removeAllImages()

    await docker.run('pull', image)

    for (const [index, file] of files.entries()) {
      expect(file.equals(await docker.readFile(image, `/file-${index}`))).toBe(true)
    }
  })

  it('gives back an image with a layer of 150 MiB', async () => {
    const { host } = await startBerth()
    const image = `${host}/big:1`
    const pushedId = await build([image], { files: [newFile(150 * MIB)] })
    await docker.run('push', image)
    await docker.removeAllImages()

    await docker.run('pull', image)

    expect(await docker.imageId(image)).toBe(pushedId)
  })

  it('fetches every tag of a repository with --all-tags', async () => {
    const { host } = await startBerth()
    const images = ['a', 'b', 'c'].map((tag) => `${host}/team/app:${tag}`)
    for (const image of images) await build([image])
    await docker.run('push', '--all-tags', `${host}/team/app`)
    await docker.removeAllImages()

    await docker.run('pull', '--all-tags', `${host}/team/app`)

    const listed = await docker.run('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}')
    expect(listed.split('\n').sort()).toEqual(images)
  })

  it('finds its image up to date when nothing has changed', async () => {
    const { host } = await startBerth()
    const image = `${host}/app:1`
    await build([image])
    await docker.run('push', image)

    const output = await docker.run('pull', image)

    expect(output).toContain('Image is up to date')
  })

  it('is told that a tag does not exist', async () => {
    const { host } = await startBerth()
    await build([`${host}/app:1`])
    await docker.run('push', `${host}/app:1`)

    const message = await docker.runToFailure('pull', `${host}/app:2`)

    expect(message).toContain(`manifest for ${host}/app:2 not found: manifest unknown`)
  })

  it('is told that a digest does not exist', async () => {
    const { host } = await startBerth()
    await build([`${host}/app:1`])
    await docker.run('push', `${host}/app:1`)
    const absent = `${host}/app@sha256:${'0'.repeat(64)}`

    const message = await docker.runToFailure('pull', absent)

    expect(message).toContain(`manifest for ${absent} not found: manifest unknown`)
  })

  it('is told that a repository does not exist', async () => {
    const { host } = await startBerth()

    const message = await docker.runToFailure('pull', `${host}/no/such:1`)

    expect(message).toContain(`repository ${host}/no/such not found: name unknown`)
  })
})

describe('docker manifest', () => {
  /** An image for each architecture, pushed; and the reference of a list that is yet to be. */
  async function pushForArchitectures(host: string) {
    const images = { amd64: `${host}/multi:amd64`, arm64: `${host}/multi:arm64` }
    for (const [architecture, image] of Object.entries(images)) {
      const archive = await writeArchive()
      await docker.run('import', '--platform', `linux/${architecture}`, archive, image)
      await docker.run('push', image)
    }
    return { ...images, list: `${host}/multi:latest` }
  }

  it('pushes a list of what is there for each architecture', async () => {
    const { host, url } = await startBerth()
    const { amd64, arm64, list } = await pushForArchitectures(host)
    await docker.run('manifest', 'create', '--insecure', list, amd64, arm64)
    await docker.run('manifest', 'annotate', list, arm64, '--arch', 'arm64', '--variant', 'v8')

    const digest = await docker.run('manifest', 'push', '--insecure', list)

    const pushed = await getManifest(url, 'multi', 'latest')
    expect(pushed.digest).toBe(digest)
    expect(pushed.mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json')
    expect(pushed.document.manifests).toMatchObject([
      { platform: { architecture: 'amd64' } },
      { platform: { architecture: 'arm64', variant: 'v8' } },
    ])
    await walk(url)
  })

  it('inspects what the registry has', async () => {
    const { host, url } = await startBerth()
    const { amd64, arm64, list } = await pushForArchitectures(host)
    await docker.run('manifest', 'create', '--insecure', list, amd64, arm64)
    await docker.run('manifest', 'push', '--insecure', '--purge', list)

    const output = await docker.run('manifest', 'inspect', '--insecure', list)

    const { document } = await getManifest(url, 'multi', 'latest')
    expect(JSON.parse(output)).toEqual(document)
  })

  it('lets docker pull choose the image of the machine', async () => {
    const { host } = await startBerth()
    const { amd64, arm64, list } = await pushForArchitectures(host)
    await docker.run('manifest', 'create', '--insecure', list, arm64, amd64)
    await docker.run('manifest', 'push', '--insecure', list)
    const idOfAmd64 = await docker.imageId(amd64)
    await docker.removeAllImages()

    await docker.run('pull', '--platform', 'linux/amd64', list)

    expect(await docker.imageId(list)).toBe(idOfAmd64)
  })
})

describe('docker search', () => {
  it('shows the repositories whose name has the term, with their descriptions', async () => {
    const { host } = await startBerth()
    for (const name of ['team/harbour', 'other/harbour-tools', 'team/pier']) {
      await build([`${host}/${name}:1`], { description: `About ${name}` })
      await docker.run('push', `${host}/${name}:1`)
    }

    const output = await docker.run(
      ...['search', '--format', '{{.Name}}|{{.Description}}', `${host}/harbour`],
    )

    expect(output.split('\n').sort()).toEqual([
      'other/harbour-tools|About other/harbour-tools',
      'team/harbour|About team/harbour',
    ])
  })

  it('shows nothing when no name has the term', async () => {
    const { host } = await startBerth()
    await build([`${host}/app:1`])
    await docker.run('push', `${host}/app:1`)

    const output = await docker.run('search', '--format', '{{.Name}}', `${host}/nothing`)

    expect(output).toBe('')
  })
})
