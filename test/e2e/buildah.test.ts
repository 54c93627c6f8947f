import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { startBerth } from './support/berth.js'
import { MIB, newFile } from './support/images.js'
import { usePodman, type Podman } from './support/podman.js'
import { walk } from './support/walk.js'

const insecure = '--tls-verify=false'

/** An image made from nothing, step by step; gives what is in its only file. */
async function buildFromScratch({ buildah }: Podman, image: string): Promise<Buffer> {
  const content = newFile(2 * MIB)
  const file = path.join(await temporaryDirectory(), 'file')
  await writeFile(file, content)
  const container = await buildah('from', 'scratch')
  await buildah('copy', container, file, '/file')
  await buildah('commit', '--rm', container, image)
  return content
}

describe('buildah push', () => {
  it.each(['oci', 'v2s2'])('stores an image in the format %s', async (format) => {
    const { host, url } = await startBerth()
    const client = await usePodman()
    await buildFromScratch(client, `${host}/team/app:1`)

    await client.buildah('push', insecure, '--format', format, `${host}/team/app:1`)

    expect([...(await walk(url)).keys()]).toEqual(['team/app:1'])
  })

  it('copies an image to another repository', async () => {
    const { host, url } = await startBerth()
    const client = await usePodman()
    await buildFromScratch(client, `${host}/team/app:1`)
    await client.buildah('push', insecure, `${host}/team/app:1`)

    await client.buildah('push', insecure, `${host}/team/app:1`, `docker://${host}/copy:2`)

    const contents = await walk(url)
    expect(contents.get('copy:2')).toBe(contents.get('team/app:1'))
  })
})

describe('buildah pull', () => {
  it('gives back what was pushed, byte for byte', async () => {
    const { host } = await startBerth()
    const client = await usePodman()
    const image = `${host}/team/app:1`
    const content = await buildFromScratch(client, image)
    await client.buildah('push', insecure, image)
    await client.removeAllImages()

    await client.buildah('pull', insecure, image)

    const root = await client.podman('image', 'mount', image)
    expect(content.equals(await readFile(path.join(root, 'file')))).toBe(true)
  })
})

describe('buildah from', () => {
  it('builds upon an image of the registry', async () => {
    const { host, url } = await startBerth()
    const client = await usePodman()
    const base = `${host}/base:1`
    await buildFromScratch(client, base)
    await client.buildah('push', insecure, base)
    await client.removeAllImages()

    const container = await client.buildah('from', insecure, base)
    await client.buildah('config', '--label', 'upon=base', container)
    await client.buildah('commit', '--rm', container, `${host}/upon:1`)
    await client.buildah('push', insecure, `${host}/upon:1`)

    expect([...(await walk(url)).keys()]).toEqual(['base:1', 'upon:1'])
  })
})
