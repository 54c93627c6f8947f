import { execFileSync } from 'node:child_process'
import { existsSync, fstatSync, lstatSync, readdirSync, type Stats } from 'node:fs'
import {
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
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
  listAll,
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
      identity(lstatSync(path.join(root, String(name)))),
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

  it.each([
    ['an empty one', (folder: string) => mkdir(folder)],
    [
      'one with something in it',
      (folder: string) => mkdir(path.join(folder, 'inside'), { recursive: true }),
    ],
  ])('that is a folder makes way for the next commit, and is kept: %s', async (_, make) => {
    const { root, store, blobFile } = await openStore()
    await put(store, 'hello')
    await rm(blobFile(sha256('hello')))
    await make(blobFile(sha256('hello')))

    await put(store, 'hello')

    expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
    expect(await readdir(path.join(root, 'quarantine'))).toEqual([hexOf(sha256('hello'))])
  })

  it('is put aside with the bytes it has, beside those of the time before', async () => {
    const { root, store, blobFile } = await openStore()
    const kept: string[] = []

    for (const content of ['jello', 'hell']) {
      await put(store, 'hello')
      await writeFile(blobFile(sha256('hello')), content)
      const name = await store.quarantine(sha256('hello'))
      kept.push(await readFile(path.join(root, name ?? ''), 'utf8'))
    }

    expect(kept).toEqual(['jello', 'hell'])
    expect(await readdir(path.join(root, 'quarantine'))).toHaveLength(2)
  })

  it('is removed whatever it is', async () => {
    const { store, blobFile } = await openStore()
    await mkdir(path.join(blobFile(sha256('hello')), 'inside'), { recursive: true })

    await store.remove(sha256('hello'))

    expect(await listAll(store)).toEqual([])
  })

  it.each([
    ['missing', 'the blob is missing', (file: string) => rm(file)],
    ['size', 'the blob has 4 bytes instead of 5', (file: string) => truncate(file, 4)],
    [
      'content',
      `the bytes of the blob have the digest ${sha256('jello')}`,
      (file: string) => writeFile(file, 'jello'),
    ],
    [
      'unreadable',
      'the blob is not a file',
      async (file: string) => {
        await rm(file)
        await mkdir(file)
      },
    ],
    [
      'unreadable',
      'the blob cannot be read: ELOOP',
      async (file: string) => {
        await rm(file)
        await symlink(file, file)
      },
    ],
  ])('is told by check to be %s: %s', async (damage, message, break_) => {
    const { root, store, blobFile } = await openStore()
    await put(store, 'hello')

    await break_(blobFile(sha256('hello')))
    const check = store.check(sha256('hello'), 5)

    await expect(check).rejects.toMatchObject({ name: 'BlobDamagedError', damage, message })
    expect(openDescriptors(root)).toBe(0)
  })

  it('is found when it is a pipe, which nobody waits for', async () => {
    const { store, blobFile } = await openStore()
    await put(store, 'hello')
    await rm(blobFile(sha256('hello')))
    execFileSync('mkfifo', [blobFile(sha256('hello'))])

    await expectDamaged(store, sha256('hello'), 5)
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

describe('a list of what lies there', () => {
  it('names what is no blob, in its place, and pages over it', async () => {
    const { root, store } = await openStore()
    await put(store, 'hello')
    const hex = hexOf(sha256('hello'))
    const fanOut = `blobs/sha256/${hex.slice(0, 2)}`
    const strays = [
      'blobs/md5/ab/cd',
      'blobs/note',
      'blobs/sha256/00/' + hex,
      'blobs/sha256/0g/x',
      'blobs/sha256/note',
      `${fanOut}/${hex.toUpperCase()}`,
      `${fanOut}/${hex}.part`,
      `${fanOut}/.hidden`,
    ]
    for (const stray of strays) {
      await mkdir(path.join(root, path.dirname(stray)), { recursive: true })
      await writeFile(path.join(root, stray), 'stray')
    }

    const whole = await listAll(store)
    const bits = await listAll(store, 1)

    const names = whole.filter(({ digest }) => digest === undefined).map(({ name }) => name)
    const folders = ['blobs/md5', 'blobs/sha256/0g']
    expect(names.sort()).toEqual(
      [
        ...strays.filter((stray) => !stray.includes('0g') && !stray.includes('md5')),
        ...folders,
      ].sort(),
    )
    expect(whole.filter(({ digest }) => digest !== undefined)).toMatchObject([
      { digest: sha256('hello'), name: `${fanOut}/${hex}` },
    ])
    expect(bits).toEqual(whole)
  })

  it('names what is no upload', async () => {
    const { root, store } = await openStore()
    await store.append('upload-1', 0, piecesOf('hello'))
    await writeFile(path.join(root, 'uploads', 'not an id'), '')

    const { entries } = await store.listUploads({ limit: 10 })

    expect(entries.map(({ name, uploadId }) => [name, uploadId])).toEqual([
      ['uploads/not an id', undefined],
      ['uploads/upload-1', 'upload-1'],
    ])
  })

  it('follows a part of the store that lies elsewhere, and calls nothing of it a stray', async () => {
    const { root, store } = await openStore()
    await put(store, 'hello')
    const elsewhere = path.join(await temporaryDirectory(), 'sha256')
    await rename(path.join(root, 'blobs/sha256'), elsewhere)
    await symlink(elsewhere, path.join(root, 'blobs/sha256'))

    const listed = await listAll(store)

    expect(listed).toMatchObject([{ digest: sha256('hello'), sizeBytes: 5 }])
    await expect(store.removeStray('blobs/sha256')).rejects.toThrow('stray')
    expect(await readAll(store, sha256('hello'), 5)).toEqual(Buffer.from('hello'))
  })

  it('says when a file got its place, however old its bytes are', async () => {
    const { store, uploadFile } = await openStore()
    await store.append('upload-1', 0, piecesOf('hello'))
    await utimes(uploadFile('upload-1'), 1, 1)
    await store.commit('upload-1', blobOf('hello'))

    const [blob] = await listAll(store)

    expect(blob?.modifiedAt).toBeGreaterThan(Date.now() - 60_000)
  })
})

describe('a stray', () => {
  it('is removed when it is a file, a link, or a folder with nothing in it', async () => {
    const { root, store } = await openStore()
    const target = path.join(await temporaryDirectory(), 'target')
    await writeFile(target, 'not ours')
    await writeFile(path.join(root, 'blobs/sha256/note'), '')
    await symlink(target, path.join(root, 'blobs/link'))
    await mkdir(path.join(root, 'uploads/folder.d'))

    const listed = [...(await listAll(store)), ...(await store.listUploads({ limit: 10 })).entries]
    const removed = await Promise.all(listed.map(({ name }) => store.removeStray(name)))
    const again = await Promise.all(listed.map(({ name }) => store.removeStray(name)))

    expect([...removed, ...again]).toEqual([true, true, true, true, true, true])
    expect(await listAll(store)).toEqual([])
    expect((await store.listUploads({ limit: 10 })).entries).toEqual([])
    expect(await readFile(target, 'utf8')).toBe('not ours')
  })

  it('stays when it is a folder with something in it', async () => {
    const { root, store } = await openStore()
    await mkdir(path.join(root, 'blobs/somebodys/work'), { recursive: true })

    const isGone = await store.removeStray('blobs/somebodys')

    expect(isGone).toBe(false)
    expect(existsSync(path.join(root, 'blobs/somebodys/work'))).toBe(true)
  })

  it.each([
    '',
    '.',
    '/',
    'berth.db',
    '/etc/passwd',
    '../berth.db',
    'blobs',
    'blobs/',
    'blobs/.',
    'blobs/..',
    'blobs/../berth.db',
    'blobs/sha256',
    'blobs/sha256/../../berth.db',
    'blobs/sha256/ab/../../../berth.db',
    'blobs/link/victim',
    'blobs/sha256/link/victim',
    'uploads',
    'uploads/../berth.db',
    'uploads/folder/file',
    'quarantine/file',
    'blobs/note\0',
  ])('that is called %j is none', async (name) => {
    const root = path.join(await temporaryDirectory(), 'root')
    const store = await FsBlobStore.open(root)
    const elsewhere = await temporaryDirectory()
    await writeFile(path.join(elsewhere, 'victim'), '')
    await symlink(elsewhere, path.join(root, 'blobs/link'))
    await symlink(elsewhere, path.join(root, 'blobs/sha256/link'))
    await writeFile(path.join(root, 'berth.db'), '')
    const before = readdirSync(root, { recursive: true }).sort()

    await expect(store.removeStray(name)).rejects.toThrow('stray')

    expect(readdirSync(root, { recursive: true }).sort()).toEqual(before)
    expect(existsSync(path.join(elsewhere, 'victim'))).toBe(true)
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

  it('fails a commit whose folder cannot be made, and leaves the upload', async () => {
    const { store, blobFile } = await openStore()
    await writeFile(path.dirname(blobFile(sha256('hello'))), 'in the way')
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
    expect((await readdir(root)).sort()).toEqual(['blobs', 'quarantine', 'uploads'])
    expect(await readdir(path.join(root, 'uploads'))).toEqual([])
  })
})
