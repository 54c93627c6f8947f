import { beforeAll, describe, expect, it } from 'vitest'
import { startBerth } from './support/berth.js'
import { Containerd } from './support/containerd.js'
import { Docker } from './support/docker.js'
import { MIB, newFile, writeBuildContext } from './support/images.js'
import { usePodman } from './support/podman.js'
import { copy } from './support/skopeo.js'
import { getManifest, walk } from './support/walk.js'

let docker: Docker
let containerd: Containerd

beforeAll(async () => {
  docker = await Docker.start()
  return () => docker.stop()
})

beforeAll(async () => {
  containerd = await Containerd.start()
  return () => containerd.stop()
})

describe('an image pushed by podman', () => {
  it.each(['oci', 'v2s2'])('is pulled by docker when its format is %s', async (format) => {
    const { host } = await startBerth()
    const { podman, build } = await usePodman()
    const image = `${host}/team/app:1`
    const file = newFile(2 * MIB)
    await build(image, await writeBuildContext({ files: [file] }))
    await podman('push', '--tls-verify=false', '--format', format, image)

    await docker.run('pull', image)

    expect(file.equals(await docker.readFile(image, '/file-0'))).toBe(true)
  })

  it('is pulled by containerd when its layers are compressed with zstd', async () => {
    const { host } = await startBerth()
    const { podman, build } = await usePodman()
    const image = `${host}/team/app:1`
    await build(image, await writeBuildContext())
    await podman('push', '--tls-verify=false', '--format=oci', '--compression-format=zstd', image)

    const output = await containerd.pull(image)

    expect(output).toContain('unpacking linux/amd64')
  })
})

describe('an image pushed by docker', () => {
  it('is pulled by podman as the same image', async () => {
    const { host } = await startBerth()
    const { podman, imageId } = await usePodman()
    const image = `${host}/team/app:1`
    await docker.build(image, await writeBuildContext({ files: [newFile(MIB), newFile()] }))
    await docker.run('push', image)

    await podman('pull', '--tls-verify=false', image)

    expect(`sha256:${await imageId(image)}`).toBe(await docker.imageId(image))
  })

  it('goes by containerd to another repository, and from there back to docker', async () => {
    const { host, url } = await startBerth()
    const [first, second] = [`${host}/team/app:1`, `${host}/copy:1`] as const
    await docker.build(first, await writeBuildContext({ files: [newFile(MIB), newFile()] }))
    const pushedId = await docker.imageId(first)
    await docker.run('push', first)
    await docker.removeAllImages()

    await containerd.pull(first)
    await containerd.run('images', 'tag', first, second)
    await containerd.push(second)
    await docker.run('pull', second)

    expect(await docker.imageId(second)).toBe(pushedId)
    await walk(url)
  })

  it('goes by skopeo into the OCI format, and from there back to docker', async () => {
    const { host, url } = await startBerth()
    const [first, second] = [`${host}/team/app:1`, `${host}/team/app:oci`] as const
    const file = newFile(MIB)
    await docker.build(first, await writeBuildContext({ files: [file] }))
    await docker.run('push', first)

    await copy(`docker://${first}`, `docker://${second}`, '--format=oci')
    await docker.run('pull', second)

    expect((await getManifest(url, 'team/app', 'oci')).mediaType).toContain('vnd.oci.image')
    expect(file.equals(await docker.readFile(second, '/file-0'))).toBe(true)
  })
})
