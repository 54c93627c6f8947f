/**
 * Counts instead of times: what a request costs in system calls, bytes and syncs must not grow
 * unnoticed, and is the same on every machine.
 */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { descriptor, CONFIG_TYPE, LAYER_TYPE, OCI_MANIFEST, sha256 } from '../support/images.js'
import { startBerth, type Berth } from './support/berth.js'
import { MIB, newFile } from './support/images.js'
import { pushLarge } from './support/large-blob.js'
import { bytesMovedBy, systemCallsDuring } from './support/system-calls.js'

const blobBytes = 64 * MIB

/** Each time so much has been allocated it is collected. */
const semiSpaceMib = 1

/** For one GET, without its line in the log; it is 20 KiB with Node.js 20. */
const allocatedBytesMax = 40 * 1024

const piece = new Uint8Array(randomBytes(MIB))

const push = (berth: Berth) => pushLarge(berth, piece, blobBytes / piece.byteLength)

async function pull({ url }: Berth, digest: string): Promise<string> {
  const answer = await fetch(`${url}/v2/team/app/blobs/${digest}`)
  const hash = createHash('sha256')
  for await (const part of answer.body ?? []) hash.update(part as Uint8Array)
  return `sha256:${hash.digest('hex')}`
}

describe('a large blob', () => {
  it('is written once as it comes, in large pieces, with one sync, and not read again', async () => {
    const berth = await startBerth()
    const names = [
      'write',
      'writev',
      'pwrite64',
      'pwritev',
      'pread64',
      'read',
      'fdatasync',
      'fsync',
    ]

    const calls = await systemCallsDuring(berth, names, () => push(berth))

    const ofFile = calls.filter(({ args }) => /^\d+<[^>]*\/(uploads|blobs)\//.test(args))
    const writes = ofFile.filter(({ name }) => /write/.test(name))
    expect(bytesMovedBy(writes)).toBe(blobBytes)
    expect(writes.length).toBeLessThanOrEqual(blobBytes / (256 * 1024) + 2)
    expect(ofFile.filter(({ name }) => /read/.test(name))).toEqual([])
    // The file, and the folder it was renamed into with the one above, when that is new.
    expect(ofFile.filter(({ name }) => /sync/.test(name)).length).toBeLessThanOrEqual(3)
  })

  it('is sent by the kernel, nearly all of it', async () => {
    const berth = await startBerth()
    const digest = await push(berth)
    const names = ['sendfile', 'pread64', 'read', 'write', 'writev', 'dup', 'close']
    let pulled = ''

    const calls = await systemCallsDuring(berth, names, async () => {
      pulled = await pull(berth, digest)
    })

    const by = (name: string) => calls.filter((call) => call.name === name)
    const copied = calls.filter(({ name, args }) => name !== 'sendfile' && args.includes('/blobs/'))
    expect(pulled).toBe(digest)
    expect(bytesMovedBy(by('sendfile')) + bytesMovedBy(copied)).toBe(blobBytes)
    expect(bytesMovedBy(by('sendfile'))).toBeGreaterThan(blobBytes * 0.5)
    expect(by('sendfile').length).toBeLessThan(blobBytes / (64 * 1024))
  })

  it('is read once and in large pieces without the help of the kernel', async () => {
    const berth = await startBerth({ settings: { BERTH_STORAGE_SENDFILE: 'false' } })
    const digest = await push(berth)
    let pulled = ''

    const calls = await systemCallsDuring(berth, ['sendfile', 'pread64', 'read'], async () => {
      pulled = await pull(berth, digest)
    })

    const reads = calls.filter(({ args }) => args.includes('/blobs/'))
    expect(pulled).toBe(digest)
    expect(bytesMovedBy(reads)).toBe(blobBytes)
    expect(reads.length).toBeLessThan(blobBytes / (128 * 1024))
    expect(calls.filter(({ name }) => name === 'sendfile')).toEqual([])
  })
})

/** Pushes three layers of 4 KiB, a config and a manifest in the requests that docker makes. */
async function pushTinyImage({ url }: Berth, tag: string): Promise<void> {
  const send = async (status: number, path: string, init: RequestInit) => {
    const answer = await fetch(`${url}${path}`, init)
    await answer.arrayBuffer()
    if (answer.status !== status) throw new Error(`${path} is answered with ${answer.status}`)
    return answer.headers.get('location') ?? ''
  }
  const [config = Buffer.of(), ...layers] = [500, 4096, 4096, 4096].map((size) => newFile(size))
  for (const blob of [...layers, config]) {
    await send(404, `/v2/team/app/blobs/${sha256(blob)}`, { method: 'HEAD' })
    const opened = await send(202, '/v2/team/app/blobs/uploads/', { method: 'POST' })
    const body = Readable.toWeb(Readable.from([blob]))
    const patched = await send(202, opened, { method: 'PATCH', body, duplex: 'half' })
    await send(201, `${patched}?digest=${sha256(blob)}`, { method: 'PUT' })
  }
  await send(201, `/v2/team/app/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'Content-Type': OCI_MANIFEST },
    body: JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: descriptor(config, CONFIG_TYPE),
      layers: layers.map((layer) => descriptor(layer, LAYER_TYPE)),
    }),
  })
}

describe('a small image', () => {
  const syncs = ['fsync', 'fdatasync']
  const blobsAndManifest = 5

  it('waits for the disk once for each blob, and once for the manifest', async () => {
    const berth = await startBerth()

    const calls = await systemCallsDuring(berth, syncs, () => pushTinyImage(berth, 'v1'))

    expect(calls).toHaveLength(blobsAndManifest)
  })

  it('shares syncs with those that are pushed beside it', async () => {
    const berth = await startBerth()
    const images = 40
    let pushed = 0
    const pushSome = async () => {
      while (pushed < images) await pushTinyImage(berth, `v${++pushed}`)
    }

    const calls = await systemCallsDuring(berth, syncs, () =>
      Promise.all(Array.from({ length: 8 }, pushSome)),
    )

    // How many share one depends on how soon they come after each other: on the machine. Without
    // sharing there is one for each.
    expect(calls.length).toBeLessThan(images * blobsAndManifest * 0.9)
  })
})

describe('a manifest', () => {
  it('is answered without much garbage', async () => {
    const berth = await startBerth({
      settings: { BERTH_LOG_LEVEL: 'warn' },
      nodeOptions: ['--trace-gc', `--max-semi-space-size=${semiSpaceMib}`],
    })
    await pushTinyImage(berth, 'v1')
    const get = async (requests: number) => {
      for (let sent = 0; sent < requests; sent++) {
        const answer = await fetch(`${berth.url}/v2/team/app/manifests/v1`)
        if (answer.status !== 200) throw new Error(`a GET is answered with ${answer.status}`)
        await answer.arrayBuffer()
      }
    }
    const scavenges = () => berth.output().split('Scavenge').length - 1
    // Until it is compiled: then it allocates less.
    await get(2_000)
    const before = scavenges()

    await get(4_000)

    expect(before).toBeGreaterThan(0)
    const bytesPerRequest = ((scavenges() - before) * semiSpaceMib * MIB) / 4_000
    expect(bytesPerRequest).toBeLessThan(allocatedBytesMax)
  })
})
