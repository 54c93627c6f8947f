import { existsSync, fstatSync, readdirSync, statSync, type Stats } from 'node:fs'
import { link, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf, type Digest } from '../../src/oci/digest.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { bytesOf, sha256, sha512 } from '../support/images.js'
import { piecesOf, sourceOf } from '../support/sources.js'
import {
  blobOf,
  blobStoreContract,
  bytesFrom,
  expectDamaged,
  put,
  readAll,
} from './blob-store-contract.js'

blobStoreContract('files', async () => FsBlobStore.open(await temporaryDirectory()))

async function openStore() {
  const root = await temporaryDirectory()
  const store = await FsBlobStore.open(root)
  const blobFile = (digest: Digest) => {
    const [algorithm = ''] = digest.split(':')
    return path.join(root, 'blobs', algorithm, hexOf(digest).slice(0, 2), hexOf(digest))
  }
  return { root, store, blobFile, uploadFile: (id: string) => path.join(root, 'uploads', id) }
}

/** How many descriptors of this process are open on what is below a folder. */
function openDescriptors(root: string): number {
  const identity = ({ dev, ino }: Stats) => `${dev}:${ino}`
  const inside = new Set(
    readdirSync(root, { recursive: true }).map((name) =>
      identity(statSync(path.join(root, String(name)))),
    ),
  )
  return readdirSync('/dev/fd').filter((descriptor) => {
    try {
      return inside.has(identity(fstatSync(Number(descriptor))))
    } catch {
      // The one that the folder itself was read through is closed by now.
      return false
    }
  }).length
}

describe('files of the blob store', () => {
  it('lie where the layout of the data directory says', async () => {
    const { store, blobFile, uploadFile } = await openStore()
    const bytes = bytesOf(1_000)

    await store.append('upload-1', 0, piecesOf(bytes))
    const received = await stat(uploadFile('upload-1'))
    await store.commit('upload-1', { digest: sha512(bytes), sizeBytes: 1_000 })
    const stored = await stat(blobFile(sha512(bytes)))

    expect(received.size).toBe(1_000)
    expect(stored.size).toBe(1_000)
    expect(existsSync(uploadFile('upload-1'))).toBe(false)
  })

  it('are named by where they lie below the folder of all blobs', async () => {
    const { store, root } = await openStore()
    await put(store, 'hello')

    const location = await store.locate(sha256('hello'), 5)

    expect(await readFile(path.join(root, 'blobs', location), 'utf8')).toBe('hello')
  })

  it('are there when the store is opened again', async () => {
    const { root, store } = await openStore()
    await put(store, 'hello')
    await store.append('upload-1', 0, piecesOf('begun'))

    const again = await FsBlobStore.open(root)

    expect(await readAll(again, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
    expect(await again.readUpload('upload-1', 5)).toEqual(Buffer.from('begun'))
  })

  it('are replaced, never written into: another name of the old file keeps its bytes', async () => {
    const { root, store, blobFile } = await openStore()
    await put(store, 'hello')
    const other = path.join(root, 'other-name')
    await link(blobFile(sha256('hello')), other)
    const before = await stat(other)

    await put(store, 'hello')

    expect((await stat(other)).ino).toBe(before.ino)
    expect((await stat(blobFile(sha256('hello')))).ino).not.toBe(before.ino)
  })

  it('leave nothing in the folder of uploads when all have ended', async () => {
    const { root, store } = await openStore()
    await put(store, 'one')
    await put(store, '')
    await store.append('upload-1', 0, piecesOf('two'))
    await store.abort('upload-1')
    await store.checkReady()

    expect(await readdir(path.join(root, 'uploads'))).toEqual([])
  })
})

describe('a damaged file', () => {
  it.each([
    ['shorter', (file: string) => truncate(file, 4)],
    ['longer', (file: string) => truncate(file, 6)],
    ['empty', (file: string) => truncate(file, 0)],
    ['gone', (file: string) => rm(file)],
    [
      'a folder',
      async (file: string) => {
        await rm(file)
        await mkdir(file)
      },
    ],
  ])('is found before anything is promised when it is %s', async (_, damage) => {
    const { store, blobFile } = await openStore()
    await put(store, 'hello')

    await damage(blobFile(sha256('hello')))

    await expectDamaged(store, sha256('hello'), 5)
  })

  it.each([
    ['bytes that rotted', 'jello'],
    ['too few bytes', 'hell'],
    ['too many bytes', 'hello and more'],
    ['no bytes', ''],
  ])('is healed by the next commit of its digest: %s', async (_, content) => {
    const { store, blobFile } = await openStore()
    await put(store, 'hello')
    await writeFile(blobFile(sha256('hello')), content)

    await put(store, 'hello')

    expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
  })

  it('fails the reader, instead of ending early, when it is cut while being read', async () => {
    const { store, blobFile } = await openStore()
    const bytes = bytesOf(4 * 1024 * 1024)
    await put(store, bytes)
    const blob = await store.open(sha256(bytes), bytes.length)

    await truncate(blobFile(sha256(bytes)), 1024 * 1024 + 3)

    const read = bytesFrom(blob, { firstByte: 0, lastByte: bytes.length - 1 })
    await expect(read).rejects.toMatchObject({ name: 'BlobDamagedError' })
    await blob.close()
  })

  it('fails the reader of a range that begins behind the cut', async () => {
    const { store, blobFile } = await openStore()
    await put(store, 'hello, world')
    const blob = await store.open(sha256('hello, world'), 12)

    await truncate(blobFile(sha256('hello, world')), 7)

    const read = bytesFrom(blob, { firstByte: 7, lastByte: 11 })
    await expect(read).rejects.toMatchObject({ name: 'BlobDamagedError' })
    await blob.close()
  })
})

describe('descriptors', () => {
  it('are open while a blob is, and closed with it', async () => {
    const { root, store, blobFile } = await openStore()
    const bytes = bytesOf(1024 * 1024)
    await put(store, bytes)
    const whole = { firstByte: 0, lastByte: bytes.length - 1 }
    const open = () => store.open(sha256(bytes), bytes.length)

    const [read, unread, failed] = [await open(), await open(), await open()]
    const openAtMost = openDescriptors(root)
    await bytesFrom(read, whole)
    await truncate(blobFile(sha256(bytes)), 10)
    await bytesFrom(failed, whole).catch(() => undefined)
    for (const blob of [read, unread, failed]) await blob.close()

    expect(openAtMost).toBe(3)
    expect(openDescriptors(root)).toBe(0)
  })

  it('are not read from any more when a sink has failed', async () => {
    const { root, store } = await openStore()
    const bytes = bytesOf(4 * 1024 * 1024)
    await put(store, bytes)
    const whole = { firstByte: 0, lastByte: bytes.length - 1 }

    // Closing under a read would fail it, with EBADF or with the bytes of another file.
    const reads = Array.from({ length: 50 }, async (_, taken) => {
      const blob = await store.open(sha256(bytes), bytes.length)
      let pieces = 0
      const write = async () => {
        if (pieces++ === taken % 8) throw new Error('nobody takes it')
      }
      await blob.send(whole, { write }).catch(() => undefined)
      await blob.close()
    })
    await Promise.all(reads)

    expect(openDescriptors(root)).toBe(0)
  })

  it('are closed after refused reads, commits and appends', async () => {
    const { root, store, uploadFile } = await openStore()
    await put(store, 'hello')
    await mkdir(uploadFile('folder'))

    await expectDamaged(store, sha256('hello'), 6)
    await store.append('upload-1', 0, piecesOf('hello'))
    await store.commit('upload-1', blobOf('goodbye')).catch(() => undefined)
    await store.commit('upload-1', { digest: sha256('x'), sizeBytes: 5 }).catch(() => undefined)
    await store.readUpload('upload-1', 6).catch(() => undefined)
    await store.append('folder', 0, piecesOf('hello'))

    expect(openDescriptors(root)).toBe(0)
  })
})

describe('a file system that does not do what it is asked', () => {
  it('is told by append, which never throws', async () => {
    const { store, uploadFile } = await openStore()
    await mkdir(uploadFile('upload-1'))

    const appended = await store.append('upload-1', 0, piecesOf('hello'))

    expect(appended).toMatchObject({ receivedBytes: 0, failure: { code: 'EISDIR' } })
  })

  it('fails a commit whose place is taken, and leaves the upload', async () => {
    const { store, blobFile } = await openStore()
    await mkdir(path.join(blobFile(sha256('hello')), 'in-the-way'), { recursive: true })
    await store.append('upload-1', 0, piecesOf('hello'))

    await expect(store.commit('upload-1', blobOf('hello'))).rejects.toThrow()

    expect(await store.readUpload('upload-1', 5)).toEqual(Buffer.from('hello'))
  })

  it('is not ready when the folder of uploads is gone', async () => {
    const { root, store } = await openStore()
    await rm(path.join(root, 'uploads'), { recursive: true })

    await expect(store.checkReady()).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('is not opened where a file is in the way', async () => {
    const root = await temporaryDirectory()
    await writeFile(path.join(root, 'blobs'), '')

    await expect(FsBlobStore.open(root)).rejects.toThrow()
  })
})

describe('append', () => {
  it('stays close behind its source: what is not written yet is bounded', async () => {
    const { store, uploadFile } = await openStore()
    const piece = bytesOf(64 * 1024)
    let producedBytes = 0
    let mostAhead = 0
    const source = (async function* () {
      for (let count = 0; count < 400; count++) {
        const { size } = await stat(uploadFile('upload-1'))
        mostAhead = Math.max(mostAhead, producedBytes - size)
        producedBytes += piece.length
        yield piece
      }
    })()

    const { receivedBytes } = await store.append('upload-1', 0, sourceOf(source))

    expect(receivedBytes).toBe(400 * piece.length)
    expect(mostAhead).toBeLessThanOrEqual(2 * 1024 * 1024)
  })
})

describe('an upload id', () => {
  it.each([
    '../escape',
    '..',
    '.',
    '',
    'a/b',
    '/etc/passwd',
    'a\\b',
    'a\0b',
    'a b',
    'ä',
    'a'.repeat(65),
  ])('that would leave the folder is refused everywhere: %j', async (id) => {
    const { root, store } = await openStore()

    const appended = await store
      .append(id, 0, piecesOf('hello'))
      .catch((failure: Error) => ({ receivedBytes: 0, failure }))

    expect(appended.receivedBytes).toBe(0)
    expect(appended.failure).toBeInstanceOf(Error)
    await expect(store.readUpload(id, 1)).rejects.toThrow()
    await expect(store.commit(id, blobOf('hello'))).rejects.toThrow()
    await expect(store.commit(id, blobOf(''))).rejects.toThrow()
    await expect(store.abort(id)).rejects.toThrow()
    expect((await readdir(root)).sort()).toEqual(['blobs', 'uploads'])
    expect(await readdir(path.join(root, 'uploads'))).toEqual([])
  })
})
