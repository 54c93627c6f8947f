/**
 * Counts instead of times: what a request costs in system calls, bytes and syncs must not grow
 * unnoticed, and is the same on every machine.
 */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { startBerth, type Berth } from './support/berth.js'
import { MIB } from './support/images.js'
import { bytesMovedBy, systemCallsDuring } from './support/system-calls.js'

const blobBytes = 64 * MIB

const piece = new Uint8Array(randomBytes(MIB))

function* content(): Generator<Uint8Array> {
  for (let sent = 0; sent < blobBytes; sent += piece.byteLength) yield piece
}

function digestOfContent(): string {
  const hash = createHash('sha256')
  for (const part of content()) hash.update(part)
  return `sha256:${hash.digest('hex')}`
}

async function push({ url }: Berth): Promise<string> {
  const digest = digestOfContent()
  const opened = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const pushed = await fetch(`${url}${opened.headers.get('location')}?digest=${digest}`, {
    method: 'PUT',
    body: Readable.toWeb(Readable.from(content())),
    headers: { 'Content-Length': String(blobBytes) },
    duplex: 'half',
  })
  if (pushed.status !== 201) throw new Error(`the push is answered with ${pushed.status}`)
  return digest
}

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
