import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { Containerd } from './support/containerd.js'
import { Docker } from './support/docker.js'
import { MIB, newFile, writeBuildContext, writeLayout } from './support/images.js'
import { usePodman } from './support/podman.js'
import { freePort } from './support/container-engine.js'
import { forgetAfterwards, startPrivateNetwork } from './support/private-network.js'
import { run, runToFailure } from './support/run.js'
import { lineFor, startTlsBerth } from './support/tls-berth.js'
import { walk } from './support/walk.js'

async function useDocker(under: readonly string[] = []): Promise<Docker> {
  const docker = await Docker.start(under)
  onTestFinished(() => docker.stop())
  return docker
}

describe('docker', () => {
  it('pushes and pulls over TLS once it was told of the CA by the line that is printed', async () => {
    const network = await startPrivateNetwork()
    const { address, under } = network
    const berth = await startTlsBerth('only', { address, under, port: 5443 })
    const docker = await useDocker(under)
    const image = `${berth.host}/team/app:1`
    const file = newFile(20 * MIB)
    await docker.build(image, await writeBuildContext({ files: [file, newFile()] }))
    const folder = `/etc/docker/certs.d/${berth.host}`
    forgetAfterwards(folder)

    const distrusted = await docker.runToFailure('push', image)
    const compared = await network.shell(lineFor('docker', berth))
    await docker.run('push', image)
    await docker.removeAllImages()
    await docker.run('pull', image)

    expect(distrusted).toContain('certificate signed by unknown authority')
    expect(compared).toBe(`${folder}/ca.crt: OK`)
    expect(file.equals(await docker.readFile(image, '/file-0'))).toBe(true)
  })

  it('uses TLS on a port that speaks both, beside a client that speaks plain HTTP', async () => {
    const network = await startPrivateNetwork()
    const { address, under } = network
    const berth = await startTlsBerth('both', { address, under, port: 5443 })
    const docker = await useDocker(under)
    const image = `${berth.host}/team/app:1`
    await docker.build(image, await writeBuildContext())
    forgetAfterwards(`/etc/docker/certs.d/${berth.host}`)
    await network.shell(lineFor('docker', berth))

    await docker.run('push', image)
    const tags = await network.shell(`curl -fsS http://${berth.host}/v2/team/app/tags/list`)

    expect(JSON.parse(tags)).toEqual({ name: 'team/app', tags: ['1'] })
  })

  it('needs neither the CA nor a setting on this machine itself', async () => {
    const { host, url } = await startTlsBerth('both')
    const docker = await useDocker()
    const image = `${host}/team/app:1`
    await docker.build(image, await writeBuildContext())

    await docker.run('push', image)
    await docker.removeAllImages()
    await docker.run('pull', image)

    expect([...(await walk(url)).keys()]).toEqual(['team/app:1'])
  })
})

describe('podman, buildah and skopeo', () => {
  it('push and pull over TLS with the CA', async () => {
    const { host, certDirectory } = await startTlsBerth('only')
    const { podman, podmanToFailure, buildah, build, imageId, removeAllImages } = await usePodman()
    const certs = ['--cert-dir', certDirectory]
    const image = `${host}/team/app:1`
    await build(image, await writeBuildContext({ files: [newFile(5 * MIB)] }))
    const pushedId = await imageId(image)

    const distrusted = await podmanToFailure('push', image)
    await podman('push', ...certs, image)
    await removeAllImages()
    await podman('pull', ...certs, image)
    await buildah('push', ...certs, image, `docker://${host}/team/copy:1`)
    const target = await temporaryDirectory()
    await run('skopeo', [
      'copy',
      '--src-cert-dir',
      certDirectory,
      `docker://${host}/team/copy:1`,
      `dir:${target}`,
    ])

    expect(distrusted).toContain('certificate signed by unknown authority')
    expect(await imageId(image)).toBe(pushedId)
  })

  it('are trusted by the line that is printed', async () => {
    const berth = await startTlsBerth('only', { port: await freePort() })
    const { source } = await writeLayout()
    const folder = `/etc/containers/certs.d/${berth.host}`
    forgetAfterwards(folder)

    const compared = await run('sh', ['-c', lineFor('podman', berth)])
    await run('skopeo', ['copy', source, `docker://${berth.host}/team/app:1`])

    expect(compared).toBe(`${folder}/ca.crt: OK`)
  })

  it('are not trusted by that line when another has answered', async () => {
    const berth = await startTlsBerth('only', { port: await freePort() })
    const folder = `/etc/containers/certs.d/${berth.host}`
    forgetAfterwards(folder)
    const line = lineFor('podman', berth).replace(/"[0-9a-f]{64}/, `"${'0'.repeat(64)}`)

    await runToFailure('sh', ['-c', line])

    expect(await run('ls', [folder])).toBe('')
  })

  it('are told by a port that speaks TLS alone when they speak plain HTTP', async () => {
    const { host } = await startTlsBerth('only')

    const answer = await run('curl', ['-sS', `http://${host}/v2/`])

    expect(answer).toContain('this port speaks HTTPS')
  })
})

describe('containerd', () => {
  it('pushes and pulls over TLS with the CA, and over plain HTTP on the same port', async () => {
    const { host, hostsDirectory, certDirectory } = await startTlsBerth('both')
    const containerd = await Containerd.start()
    onTestFinished(() => containerd.stop())
    const { source } = await writeLayout([newFile(5 * MIB)])
    const image = `${host}/team/app:1`
    await run('skopeo', ['copy', '--dest-cert-dir', certDirectory, source, `docker://${image}`])
    const secure = ['--snapshotter', 'native', '--hosts-dir', hostsDirectory]

    await containerd.run('images', 'pull', ...secure, image)
    await containerd.run('images', 'tag', image, `${host}/team/copy:1`)
    await containerd.run('images', 'push', '--hosts-dir', hostsDirectory, `${host}/team/copy:1`)
    await containerd.remove(image, `${host}/team/copy:1`)
    const output = await containerd.pull(`${host}/team/copy:1`)

    expect(output).toContain('unpacking linux/amd64')
  })
})
