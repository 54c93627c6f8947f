import { existsSync, statSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import path from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { SqliteMetadataStore } from '../../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../../support/directories.js'
import { imageText, name, putBlob, putImage } from '../../support/records.js'

async function openStore() {
  const file = path.join(await temporaryDirectory(), 'berth.db')
  const store = await SqliteMetadataStore.open({ file })
  onTestFinished(() => store.close())
  return { store, file }
}

it('finds nothing wrong with a database that is sound', async () => {
  const { store } = await openStore()
  await putBlob(store, 'hello', { bytes: Buffer.from('hello') })
  await putImage(store, imageText(), { tags: ['v1'] })

  const parts = await store.listParts()
  const problems = await Promise.all(parts.map((part) => store.checkPart(part)))

  expect(parts).toContain('manifests')
  expect(problems.flat()).toEqual([])
})

it('finds nothing wrong with it either while it changes', async () => {
  const { store } = await openStore()
  const problems: string[] = []

  // As many as it takes until the index of names has something to merge.
  for (let index = 0; index < 100; index++) {
    await putBlob(store, 'hello', { repository: name(`team/app-${index}`) })
    problems.push(...(await store.checkPart('repository_names')))
  }

  expect(problems).toEqual([])
})

it('says which rows have lost what they belong to', async () => {
  const { store, file } = await openStore()
  await putImage(store, imageText(), { tags: ['v1'] })
  const connection = new Database(file)
  connection.exec('pragma foreign_keys = OFF; delete from manifests')
  connection.close()

  expect(await store.checkPart('tags')).toEqual(['row ? of tags has no row of manifests'])
})

it('has an error for who asks while the database cannot be opened, and answers later', async () => {
  const { store, file } = await openStore()
  await rename(file, `${file}.away`)

  await expect(store.listParts()).rejects.toThrow('unable to open database file')

  await rename(`${file}.away`, file)
  expect(await store.listParts()).toContain('manifests')
})

it('gives up what is being asked when the store is closed, and holds on to nothing', async () => {
  const { store, file } = await openStore()
  await putImage(store, imageText(), { tags: ['v1'] })
  const asked = Array.from({ length: 20 }, () =>
    store.checkPart('manifests').then(
      () => 'answered',
      (error: unknown) => (error as { code?: string }).code,
    ),
  )

  await store.close()

  expect(['answered', 'UNAVAILABLE']).toEqual(
    expect.arrayContaining([...new Set(await Promise.all(asked))]),
  )
  await expect(store.checkPart('manifests')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  const log = `${file}-wal`
  expect(existsSync(log) ? statSync(log).size : 0).toBe(0)
})
