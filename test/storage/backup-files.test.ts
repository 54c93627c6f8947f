import { existsSync, statSync } from 'node:fs'
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf, type Digest } from '../../src/oci/digest.js'
import { BackupFiles } from '../../src/storage/backup-files.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { bytesOf, sha256, sha512 } from '../support/images.js'
import { piecesOf } from '../support/sources.js'
import { listAll, put, readAll } from './blob-store-contract.js'

/** Another file system than that of temporary folders, where there is one. */
const elsewhere = ['/dev/shm', '/tmp', '/var/tmp'].find(
  (folder) => existsSync(folder) && statSync(folder).dev !== statSync(tmpdir()).dev,
)

async function startStore() {
  const root = await temporaryDirectory()
  return { root, store: await FsBlobStore.open(root) }
}

function fileOf(root: string, digest: Digest): string {
  const [algorithm = ''] = digest.split(':')
  return path.join(root, 'blobs', algorithm, hexOf(digest).slice(0, 2), hexOf(digest))
}

async function transferAll(
  files: BackupFiles,
  blobs: ReadonlyMap<Digest, Buffer>,
): Promise<Set<string>> {
  const transfers = new Set<string>()
  for (const [digest, { length }] of blobs) transfers.add(await files.transfer(digest, length))
  await files.finish()
  return transfers
}

async function putSome(store: FsBlobStore): Promise<Map<Digest, Buffer>> {
  const contents = [bytesOf(3_000_000), bytesOf(70_000, 'second'), Buffer.alloc(0)]
  const blobs = new Map<Digest, Buffer>()
  for (const bytes of contents) blobs.set(await put(store, bytes), bytes)
  await store.append('upload-1', 0, piecesOf('hello'))
  await store.commit('upload-1', { digest: sha512('hello'), sizeBytes: 5 })
  return blobs.set(sha512('hello'), Buffer.from('hello'))
}

async function expectSame(root: string, blobs: ReadonlyMap<Digest, Buffer>): Promise<void> {
  const copy = await FsBlobStore.open(root)
  for (const [digest, bytes] of blobs) {
    await copy.check(digest, bytes.length)
    expect((await readAll(copy, digest, bytes.length)).equals(bytes)).toBe(true)
  }
  expect(await listAll(copy)).toHaveLength(blobs.size)
}

describe('the files of a backup', () => {
  it('have every blob, in the layout of a store, and nothing beside them', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const to = path.join(await temporaryDirectory(), 'new', 'backup')

    const files = await BackupFiles.open({ from: root, to, mayLink: true })
    await transferAll(files, blobs)

    expect(await readdir(to)).toEqual(['blobs'])
    await expectSame(to, blobs)
  })

  it('take no room of their own where the file system can share it', async () => {
    const { root, store } = await startStore()
    const digest = await put(store, bytesOf(100_000))
    const to = await temporaryDirectory()

    const files = await BackupFiles.open({ from: root, to, mayLink: true })
    const transfer = await files.transfer(digest, 100_000)
    await files.finish()

    const [original, copy] = [await stat(fileOf(root, digest)), await stat(fileOf(to, digest))]
    expect(['cloned', 'linked']).toContain(transfer)
    expect(copy.ino === original.ino).toBe(transfer === 'linked')
  })

  it('keep what a blob was when the store gets it anew or loses it', async () => {
    const { root, store } = await startStore()
    const bytes = bytesOf(100_000)
    const blobs = new Map([[await put(store, bytes), bytes]])
    const to = await temporaryDirectory()
    await transferAll(await BackupFiles.open({ from: root, to, mayLink: true }), blobs)

    await put(store, bytes)
    await store.remove(sha256(bytes))

    await expectSame(to, blobs)
  })

  it('are left as they are by the next backup', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const to = await temporaryDirectory()
    await transferAll(await BackupFiles.open({ from: root, to, mayLink: false }), blobs)
    const [first = sha256('')] = blobs.keys()
    const before = await stat(fileOf(to, first))

    const again = await BackupFiles.open({ from: root, to, mayLink: true })
    const transfers = await transferAll(again, blobs)

    expect([...transfers]).toEqual(['present'])
    expect((await stat(fileOf(to, first))).ino).toBe(before.ino)
  })

  it('are made anew where one has another size, and are not written into', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const to = await temporaryDirectory()
    await transferAll(await BackupFiles.open({ from: root, to, mayLink: false }), blobs)
    for (const digest of blobs.keys()) await appendFile(fileOf(to, digest), 'more')

    await transferAll(await BackupFiles.open({ from: root, to, mayLink: true }), blobs)

    await expectSame(to, blobs)
    await expectSame(root, blobs)
  })

  it('are read again where they are not trusted, and made anew where they are wrong', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const to = await temporaryDirectory()
    await transferAll(await BackupFiles.open({ from: root, to, mayLink: false }), blobs)
    const [first = sha256('')] = blobs.keys()
    const sizeBytes = blobs.get(first)?.length ?? 0
    await rm(fileOf(to, first))
    await writeFile(fileOf(to, first), Buffer.alloc(sizeBytes))

    const files = await BackupFiles.open({ from: root, to, mayLink: true })
    const trusted = await files.transfer(first, sizeBytes, { trust: true })
    const isWholeThen = await files.has(first, sizeBytes)
    const again = await files.transfer(first, sizeBytes)
    await transferAll(files, blobs)

    expect(trusted).toBe('present')
    expect(isWholeThen).toBe(false)
    expect(again).not.toBe('present')
    await expectSame(to, blobs)
  })

  it('lose what an earlier time has left half done', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const to = await temporaryDirectory()
    const stopped = await BackupFiles.open({ from: root, to, mayLink: false })
    const [first = sha256('')] = blobs.keys()
    await stopped.transfer(first, blobs.get(first)?.length ?? 0)
    await writeFile(path.join(to, 'partial', 'half'), 'half')

    const transfers = await transferAll(
      await BackupFiles.open({ from: root, to, mayLink: false }),
      blobs,
    )

    expect(transfers).toContain('present')
    expect(await readdir(to)).toEqual(['blobs'])
    await expectSame(to, blobs)
  })

  it.each([
    ['missing', (file: string) => rm(file)],
    ['size', (file: string) => truncate(file, 99_999)],
    ['content', (file: string) => writeFile(file, 'x'.repeat(100_000))],
    [
      'unreadable',
      async (file: string) => {
        await rm(file)
        await mkdir(file)
      },
    ],
  ])('have no blob that is damaged: %s', async (damage, break_) => {
    const { root, store } = await startStore()
    const digest = await put(store, bytesOf(100_000))
    const to = await temporaryDirectory()
    await break_(fileOf(root, digest))

    const files = await BackupFiles.open({ from: root, to, mayLink: true })
    const transfer = files.transfer(digest, 100_000)

    await expect(transfer).rejects.toMatchObject({ name: 'BlobDamagedError', damage })
    await files.finish()
    expect(await listAll(await FsBlobStore.open(to))).toEqual([])
  })

  it('are not linked to a store that is made from them', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const to = await temporaryDirectory()

    const files = await BackupFiles.open({ from: root, to, mayLink: false })
    const transfers = await transferAll(files, blobs)

    expect(transfers).not.toContain('linked')
    for (const digest of blobs.keys()) {
      expect((await stat(fileOf(root, digest))).nlink).toBe(1)
    }
    await expectSame(to, blobs)
  })

  it.skipIf(elsewhere === undefined)('are copied to another file system', async () => {
    const { root, store } = await startStore()
    const blobs = await putSome(store)
    const rotten = await put(store, 'hello')
    await writeFile(fileOf(root, rotten), 'jello')
    const to = await temporaryDirectory(elsewhere)

    const files = await BackupFiles.open({ from: root, to, mayLink: true })
    const damaged = await files.transfer(rotten, 5).catch((error: unknown) => error)
    const transfers = await transferAll(files, blobs)

    expect([...transfers]).toEqual(['copied'])
    expect(damaged).toMatchObject({ name: 'BlobDamagedError', damage: 'content' })
    expect(await readdir(to)).toEqual(['blobs'])
    await expectSame(to, blobs)
  })

  it('say why when they cannot be written, which is no damage', async () => {
    const { root, store } = await startStore()
    const digest = await put(store, 'hello')
    const to = await temporaryDirectory()
    const files = await BackupFiles.open({ from: root, to, mayLink: false })
    await writeFile(path.join(to, 'blobs', 'sha256'), 'in the way')

    const transfer = files.transfer(digest, 5)

    await expect(transfer).rejects.toMatchObject({ syscall: 'mkdir' })
    expect(await readdir(path.join(to, 'partial'))).toEqual([])
    expect(await readFile(fileOf(root, digest), 'utf8')).toBe('hello')
  })
})
