import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openForReading, openForWriting } from '../../src/metadata/sqlite/connection.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { ABSENT, CONFIG_TYPE, LAYER_TYPE, OCI_MANIFEST, sha256 } from '../support/images.js'
import {
  APP,
  AT,
  blobRemoval,
  digestRemoval,
  imageText,
  LEASE_UNTIL,
  manifestRecord,
  name,
  openUpload,
  OTHER,
  putBlob,
  putImage,
  putIndex,
  REVIEW_AT,
  subjectOf,
  tag,
  tagRemoval,
} from '../support/records.js'

async function openStore(file?: string) {
  const database = file ?? path.join(await temporaryDirectory(), 'berth.db')
  const store = await SqliteMetadataStore.open({ file: database })
  onTestFinished(() => store.close())

  /** What is in the file, past the store. */
  const rows = (sql: string, ...parameters: unknown[]): unknown[] => {
    const connection = new Database(database, { readonly: true })
    try {
      return connection.prepare(sql).all(...parameters)
    } finally {
      connection.close()
    }
  }
  return { store, rows, file: database }
}

const HISTORY = `select tag, from_digest as "from", to_digest as "to", changed_at as at,
  changed_by as "by" from history where tag <> '' order by id`

const REVIEWS = 'select digest, due_at, reason from reviews order by due_at, digest'

describe('what SQLite keeps', () => {
  it('is all there after closing and opening again', async () => {
    const { store, file } = await openStore()
    const blob = await putBlob(store, 'hello', { bytes: Buffer.from('hello') })
    const digest = await putImage(store, imageText('a', subjectOf(ABSENT)), { tags: ['v1', 'v2'] })
    await store.deleteTag(tagRemoval('v2'))
    const upload = await openUpload(store, { algorithm: 'sha512' })
    await store.advanceUpload({ id: upload, fromByte: 0, toByte: 7, at: AT })
    const aborted = await openUpload(store)
    await store.storeUpload({ id: aborted, fromByte: 0, at: AT })
    await store.abortUpload(APP, aborted, AT)
    const small = await openUpload(store)
    await store.advanceUpload({
      ...{ id: small, fromByte: 0, toByte: 5, at: AT },
      bytes: Buffer.from('hello'),
    })
    await store.close()

    const { store: again } = await openStore(file)

    expect(await again.getManifest(APP, { tag: tag('v1') })).toMatchObject({
      digest,
      bytes: Buffer.from(imageText('a', subjectOf(ABSENT))),
    })
    expect(await again.listTags(APP, { limit: 10 })).toEqual({ entries: ['v1'], hasMore: false })
    expect(await again.getBlob(APP, blob)).toMatchObject({ leasedUntil: LEASE_UNTIL })
    expect(await again.readInlineBlob(blob)).toEqual(Buffer.from('hello'))
    expect(await again.getUpload(APP, upload)).toMatchObject({
      algorithm: 'sha512',
      offsetBytes: 7,
    })
    expect(await again.getUpload(APP, small)).toMatchObject({ bytes: Buffer.from('hello') })
    expect(await again.listUploadRemains(10)).toEqual([aborted])
    expect(await again.searchRepositories('eam', 10)).toEqual([APP])
    const referrers = await again.listReferrers({
      repository: APP,
      subject: ABSENT,
      artifactTypes: [],
      limit: 10,
      bytesMax: 1_000_000,
    })
    expect(referrers.entries).toMatchObject([{ digest }])
  })

  it('is there in full for whoever opens a copy of the files while the store is open', async () => {
    const { store, rows } = await openStore()

    const digest = await putImage(store, imageText(), { tags: ['v1'] })

    expect(rows('select digest from manifests')).toEqual([{ digest }])
  })

  it('is in one file once the store is closed', async () => {
    const { store, file } = await openStore()
    await putImage(store, imageText(), { tags: ['v1'] })

    await store.close()

    const log = `${file}-wal`
    expect(existsSync(log) ? statSync(log).size : 0).toBe(0)
  })

  it('does not have digests of bytes that a power cut may have taken', async () => {
    const { store, file } = await openStore()
    const id = await openUpload(store)
    await store.advanceUpload({
      id,
      fromByte: 0,
      toByte: 5,
      receivedDigest: sha256('hello'),
      at: AT,
    })
    await store.close()

    const { store: again } = await openStore(file)

    const upload = await again.getUpload(APP, id)
    expect(upload).toMatchObject({ offsetBytes: 5 })
    expect(upload).not.toHaveProperty('receivedDigest')
  })

  it('is synced in full by every commit, on both connections', async () => {
    const file = path.join(await temporaryDirectory(), 'berth.db')
    const writing = openForWriting(file)
    onTestFinished(() => void writing.close())
    const reading = openForReading(file)
    onTestFinished(() => void reading.close())

    const FULL = 2
    for (const connection of [writing, reading]) {
      expect(connection.pragma('synchronous', { simple: true })).toBe(FULL)
      expect(connection.pragma('foreign_keys', { simple: true })).toBe(1)
      expect(connection.pragma('journal_mode', { simple: true })).toBe('wal')
    }
    expect(() => reading.exec('create table x (y)')).toThrow(/readonly/)
  })

  it('does not wait in the log for ever while nothing comes that must be synced', async () => {
    const { store, file } = await openStore()
    const upload = await openUpload(store)
    const sizeBytes = 64 * 1024
    const advances = 1_000

    for (let at = 0; at < advances; at++) {
      // Each time others: of bytes that are there already nothing is written.
      const bytes = Buffer.alloc(sizeBytes, at)
      await store.advanceUpload({ id: upload, fromByte: at, toByte: at + 1, bytes, at: AT })
    }

    expect(statSync(`${file}-wal`).size).toBeLessThan((advances / 2) * sizeBytes)
  })

  it('is not opened from a file that is no database', async () => {
    const file = path.join(await temporaryDirectory(), 'berth.db')
    await writeFile(file, 'this is not a database'.repeat(1_000))

    await expect(SqliteMetadataStore.open({ file })).rejects.toThrow(
      `the database ${file} cannot be used: file is not a database`,
    )
  })

  it('is not opened where there is no folder', async () => {
    const file = path.join(await temporaryDirectory(), 'nowhere', 'berth.db')

    await expect(SqliteMetadataStore.open({ file })).rejects.toThrow(
      `the database ${file} cannot be used: `,
    )
  })

  it('is told by SQLite itself when a write fails for a reason that no client caused', async () => {
    const { store } = await openStore()
    const id = await openUpload(store)

    const again = openUpload(store, { id })

    await expect(again).rejects.toMatchObject({
      message: 'a write to the database failed',
      cause: { message: expect.stringMatching(/UNIQUE constraint failed: uploads\.id/) as string },
    })
  })

  it('has no orphans and no broken index after a life of all operations', async () => {
    const { store, rows } = await openStore()
    const blob = await putBlob(store, 'layer', { bytes: Buffer.from('layer') })
    await store.mountBlob({ repository: OTHER, digest: blob, at: AT, leaseUntil: LEASE_UNTIL })
    const image = await putImage(store, imageText('a', subjectOf(ABSENT)), { tags: ['v1'] })
    await putIndex(store, [image], { tags: ['v1', 'v2'] })
    await store.deleteManifest(digestRemoval(image))
    await store.deleteTag(tagRemoval('v2'))
    await store.markBlobDamaged(await store.getBlob(APP, blob), AT)
    await putBlob(store, 'layer')
    await store.deleteBlob(blobRemoval(blob))

    expect(rows('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
    expect(rows('pragma foreign_key_check')).toEqual([])
  })
})

describe('rows of the history', () => {
  it('tell every move and delete of a tag', async () => {
    const { store, rows } = await openStore()
    const one = await putImage(store, imageText('one'), { tags: ['v1', 'v2'], identity: 'ann' })
    const two = await putImage(store, imageText('two'), {
      tags: ['v1'],
      identity: 'bob',
      at: AT + 1,
    })
    await store.deleteTag(tagRemoval('v1', { identity: 'cat', at: AT + 2 }))
    await store.deleteManifest(digestRemoval(one, { identity: 'dan', at: AT + 3 }))
    await putImage(store, imageText('two'), { tags: ['v1'], identity: 'eve', at: AT + 4 })

    expect(rows(HISTORY)).toEqual([
      { tag: 'v1', from: null, to: one, at: AT, by: 'ann' },
      { tag: 'v2', from: null, to: one, at: AT, by: 'ann' },
      { tag: 'v1', from: one, to: two, at: AT + 1, by: 'bob' },
      { tag: 'v1', from: two, to: null, at: AT + 2, by: 'cat' },
      { tag: 'v2', from: one, to: null, at: AT + 3, by: 'dan' },
      { tag: 'v1', from: null, to: two, at: AT + 4, by: 'eve' },
    ])
  })

  it('are not written for a push that moves nothing', async () => {
    const { store, rows } = await openStore()
    await putImage(store, imageText(), { tags: ['v1'] })

    await putImage(store, imageText(), { tags: ['v1'], at: AT + 1 })
    await putImage(store, imageText(), { tags: [], at: AT + 2 })

    expect(rows(HISTORY)).toHaveLength(1)
    expect(rows('select updated_at from tags')).toEqual([{ updated_at: AT + 1 }])
  })

  it('are not written by operations that are refused', async () => {
    const { store, rows } = await openStore()
    await putImage(store, imageText('one'), { tags: ['v1'] })
    const before = rows(HISTORY)

    await Promise.allSettled([
      putImage(store, imageText('two'), { tags: ['v1'], requiredBlobs: [ABSENT] }),
      store.deleteTag(tagRemoval('v2')),
      store.deleteManifest(digestRemoval(ABSENT)),
    ])

    expect(rows(HISTORY)).toEqual(before)
  })
})

describe('rows of the tags of a deleted manifest', () => {
  const MANY_TAGS = Array.from({ length: 300 }, (_, index) => `v${100 + index}`)

  /** What the history says of a tag, oldest first. */
  const OF_TAG = HISTORY.replace('order by', 'and tag = ? order by')

  const untidied = 'select (select count(*) from tags) + (select count(*) from untaggings) as count'

  it('go with it when they are few', async () => {
    const { store, rows } = await openStore()
    const tags = MANY_TAGS.slice(0, 100)
    const digest = await putImage(store, imageText(), { tags })

    await store.deleteManifest(digestRemoval(digest, { identity: 'ann', at: AT + 1 }))

    expect(rows(untidied)).toEqual([{ count: 0 }])
    expect(rows(`${HISTORY} limit -1 offset 100`)).toEqual(
      tags.map((name) => ({ tag: name, from: digest, to: null, at: AT + 1, by: 'ann' })),
    )
  })

  it('go later when they are many, and say then what they would have said at once', async () => {
    const { store, rows } = await openStore()
    const digest = await putImage(store, imageText(), { tags: MANY_TAGS })
    await putImage(store, imageText('other'), { tags: ['other'] })

    await store.deleteManifest(digestRemoval(digest, { identity: 'ann', at: AT + 1 }))
    const before = rows(HISTORY).length
    const steps: unknown[] = []
    do steps.push(...rows(untidied))
    while (await store.removeDeletedTags(120))

    // One tag is another's; one row remembers what is to be done.
    expect(steps).toEqual([300, 180, 60].map((count) => ({ count: count + 2 })))
    expect(rows(untidied)).toEqual([{ count: 1 }])
    expect(before).toBe(301)
    expect(rows(`${HISTORY} limit -1 offset 301`)).toEqual(
      MANY_TAGS.map((name) => ({ tag: name, from: digest, to: null, at: AT + 1, by: 'ann' })),
    )
  })

  it('are removed also when only the next process has the time', async () => {
    const { store, rows, file } = await openStore()
    const digest = await putImage(store, imageText(), { tags: MANY_TAGS })
    await store.deleteManifest(digestRemoval(digest))
    await store.removeDeletedTags(120)
    await store.close()

    const { store: again } = await openStore(file)
    const page = await again.listTags(APP, { limit: 10 })
    while (await again.removeDeletedTags(120));

    expect(page.entries).toEqual([])
    expect(rows(untidied)).toEqual([{ count: 0 }])
    expect(rows(`${HISTORY} limit -1 offset 300`)).toHaveLength(300)
  })

  it('tell of their removal before they tell of what they point to next', async () => {
    const { store, rows } = await openStore()
    const one = await putImage(store, imageText('one'), { tags: MANY_TAGS, identity: 'ann' })
    await store.deleteManifest(digestRemoval(one, { identity: 'bob', at: AT + 1 }))

    const change = { tags: ['v123'], identity: 'cat', at: AT + 2 }
    const two = await putImage(store, imageText('two'), change)
    await putImage(store, imageText('one'), { tags: ['v124'], identity: 'dan', at: AT + 3 })
    while (await store.removeDeletedTags(120));

    const deleted = { from: one, to: null, at: AT + 1, by: 'bob' }
    expect(rows(OF_TAG, 'v123')).toEqual([
      { tag: 'v123', from: null, to: one, at: AT, by: 'ann' },
      { tag: 'v123', ...deleted },
      { tag: 'v123', from: null, to: two, at: AT + 2, by: 'cat' },
    ])
    expect(rows(OF_TAG, 'v124')).toEqual([
      { tag: 'v124', from: null, to: one, at: AT, by: 'ann' },
      { tag: 'v124', ...deleted },
      { tag: 'v124', from: null, to: one, at: AT + 3, by: 'dan' },
    ])
    expect(rows('select name from tags order by name')).toEqual([
      { name: 'v123' },
      { name: 'v124' },
    ])
    expect(rows(HISTORY)).toHaveLength(300 + 300 + 2)
  })

  it('tell of each delete by itself when the manifest came and went several times', async () => {
    const { store, rows } = await openStore()
    const digest = sha256(imageText())
    for (const round of [1, 2, 3]) {
      await putImage(store, imageText(), { tags: MANY_TAGS, at: AT + 10 * round })
      await store.deleteManifest(
        digestRemoval(digest, { identity: `${round}`, at: AT + 11 * round }),
      )
    }

    while (await store.removeDeletedTags(120));

    for (const name of ['v100', 'v399']) {
      expect(rows(OF_TAG, name)).toEqual(
        [1, 2, 3].flatMap((round) => [
          { tag: name, from: null, to: digest, at: AT + 10 * round, by: 'tester' },
          { tag: name, from: digest, to: null, at: AT + 11 * round, by: `${round}` },
        ]),
      )
    }
    expect(rows(HISTORY)).toHaveLength(6 * 300)
    expect(rows(untidied)).toEqual([{ count: 0 }])
    expect(rows('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
    expect(rows('pragma foreign_key_check')).toEqual([])
  })
})

describe('rows of reviews', () => {
  it('are written for whatever may be free: by moves and deletes', async () => {
    const { store, rows } = await openStore()
    const moved = await putImage(store, imageText('moved'), { tags: ['v1'] })
    const untagged = await putImage(store, imageText('untagged'), {
      tags: ['v1'],
      reviewAt: REVIEW_AT + 1,
    })
    const deleted = await putImage(store, imageText('deleted'), { tags: ['v2'] })
    const blob = await putBlob(store, 'layer', { leaseUntil: AT })

    await store.deleteTag(tagRemoval('v1', { reviewAt: REVIEW_AT + 2 }))
    await store.deleteManifest(digestRemoval(deleted, { reviewAt: REVIEW_AT + 3 }))
    await store.deleteBlob(blobRemoval(blob, { reviewAt: REVIEW_AT + 4 }))

    expect(rows(REVIEWS)).toEqual([
      { digest: moved, due_at: REVIEW_AT + 1, reason: 'tag moved' },
      { digest: untagged, due_at: REVIEW_AT + 2, reason: 'tag deleted' },
      { digest: deleted, due_at: REVIEW_AT + 3, reason: 'manifest deleted' },
      { digest: blob, due_at: REVIEW_AT + 4, reason: 'blob unlinked' },
    ])
  })

  it('come due when a lease is over: of a push, a mount, or one that was taken', async () => {
    const { store, rows } = await openStore()
    const pushed = await putBlob(store, 'pushed', { leaseUntil: AT + 1 })
    const manifest = await putImage(store, imageText(), { leaseUntil: AT + 2 })
    const mount = { repository: OTHER, digest: pushed, at: AT, leaseUntil: AT + 3 }
    await store.mountBlob(mount)
    await putImage(store, imageText('tagged'), { tags: ['v1'] })
    await store.takeLease({ repository: APP, digest: pushed, until: AT + 4 })

    const leases = rows(
      `select digest, name, expires_at from leases join repositories r on r.id = repository_id
       order by expires_at`,
    )
    const reviews = rows(REVIEWS)

    expect(leases).toEqual([
      { digest: manifest, name: APP, expires_at: AT + 2 },
      { digest: pushed, name: OTHER, expires_at: AT + 3 },
      { digest: pushed, name: APP, expires_at: AT + 4 },
    ])
    expect(reviews).toEqual([
      { digest: manifest, due_at: AT + 2, reason: 'lease over' },
      { digest: pushed, due_at: AT + 3, reason: 'lease over' },
      { digest: pushed, due_at: AT + 4, reason: 'lease over' },
    ])
  })

  it('never become due earlier than they were, and keep the reason of the latest', async () => {
    const { store, rows } = await openStore()
    const blob = await putBlob(store, 'layer', { leaseUntil: AT + 100 })

    await store.deleteBlob(blobRemoval(blob, { reviewAt: AT + 50 }))
    const afterEarlier = rows(REVIEWS)
    await putBlob(store, 'layer', { leaseUntil: AT + 60 })
    await store.deleteBlob(blobRemoval(blob, { reviewAt: AT + 200 }))

    expect(afterEarlier).toEqual([{ digest: blob, due_at: AT + 100, reason: 'lease over' }])
    expect(rows(REVIEWS)).toEqual([{ digest: blob, due_at: AT + 200, reason: 'blob unlinked' }])
  })

  it('are not written for a tag that stays where it is', async () => {
    const { store, rows } = await openStore()

    await putImage(store, imageText(), { tags: ['v1'] })
    await putImage(store, imageText(), { tags: ['v1'] })

    expect(rows(REVIEWS)).toEqual([])
  })
})

describe('rows of references', () => {
  it('are what a manifest keeps alive, and not its subject', async () => {
    const { store, rows } = await openStore()
    const layers = ['one', 'two', 'one'].map((content) => ({
      mediaType: LAYER_TYPE,
      digest: sha256(content),
      size: content.length,
    }))

    const image = await putImage(store, imageText('x', { layers, ...subjectOf(ABSENT) }))
    const index = await putIndex(store, [image, ABSENT])

    const references = rows(
      `select m.digest as manifest, r.kind, r.digest, r.size_bytes from manifest_references r
       join manifests m on m.id = r.manifest_id order by m.id, r.kind, r.digest`,
    )
    const expected = [
      { manifest: image, kind: 'config', digest: sha256('config of x'), size_bytes: 11 },
      ...[sha256('one'), sha256('two')]
        .toSorted()
        .map((digest) => ({ manifest: image, kind: 'layer', digest, size_bytes: 3 })),
      ...[image, ABSENT]
        .toSorted()
        .map((digest) => ({ manifest: index, kind: 'child', digest, size_bytes: 1 })),
    ]
    expect(references).toEqual(expected)
    expect(rows('select subject_digest from manifests where digest = ?', image)).toEqual([
      { subject_digest: ABSENT },
    ])
  })

  it('stay while a deleted manifest may still be undone, and say who deleted it when', async () => {
    const { store, rows } = await openStore()
    const digest = await putImage(store, imageText(), { tags: ['v1'] })

    await store.deleteManifest(digestRemoval(digest, { identity: 'ann', at: AT + 7 }))

    expect(rows('select deleted_at, deleted_by from manifests')).toEqual([
      { deleted_at: AT + 7, deleted_by: 'ann' },
    ])
    expect(rows('select count(*) as count from manifest_references')).toEqual([{ count: 2 }])
    expect(rows('select count(*) as count from manifest_contents')).toEqual([{ count: 1 }])
    expect(rows('select * from tags')).toEqual([])
  })

  it('may tell of sizes that need 53 bits', async () => {
    const { store, rows } = await openStore()
    const layers = [{ mediaType: 'x/y', digest: ABSENT, size: Number.MAX_SAFE_INTEGER }]

    await putImage(store, imageText('huge', { layers }))

    expect(rows(`select size_bytes from manifest_references where kind = 'layer'`)).toEqual([
      { size_bytes: Number.MAX_SAFE_INTEGER },
    ])
  })
})

describe('rows of manifests and blobs', () => {
  it('say what was pushed, when and by whom; again after another push', async () => {
    const { store, rows } = await openStore()
    const text = imageText('x', { annotations: { a: 'b' } })
    const columns = `select media_type, size_bytes, artifact_type, annotations, pushed_at,
      pushed_by, deleted_at, deleted_by from manifests`

    const digest = await putImage(store, text, { identity: 'ann' })
    const first = rows(columns)
    await store.deleteManifest(digestRemoval(digest))
    await putImage(store, text, { identity: 'bob', at: AT + 9 })

    const row = {
      media_type: OCI_MANIFEST,
      size_bytes: text.length,
      artifact_type: CONFIG_TYPE,
      annotations: '{"a":"b"}',
      pushed_at: AT,
      pushed_by: 'ann',
      deleted_at: null,
      deleted_by: null,
    }
    expect(first).toEqual([row])
    expect(rows(columns)).toEqual([{ ...row, pushed_at: AT + 9, pushed_by: 'bob' }])
  })

  it('exist once for all repositories that have them', async () => {
    const { store, rows } = await openStore()
    for (const repository of [APP, OTHER]) {
      await putBlob(store, 'layer', { repository, bytes: Buffer.from('layer') })
      await store.putManifest(manifestRecord(imageText(), { repository, tags: ['v1'] }))
    }

    const count = (table: string) => rows(`select count(*) as count from ${table}`)
    expect(count('blobs')).toEqual([{ count: 1 }])
    expect(count('blob_contents')).toEqual([{ count: 1 }])
    expect(count('manifest_contents')).toEqual([{ count: 1 }])
    expect(count('manifests')).toEqual([{ count: 2 }])
    expect(count('repository_blobs')).toEqual([{ count: 2 }])
  })

  it('stay when a blob is taken from its last repository: the collector decides', async () => {
    const { store, rows } = await openStore()
    const digest = await putBlob(store, 'layer', { bytes: Buffer.from('layer') })

    await store.deleteBlob(blobRemoval(digest))

    expect(rows('select * from repository_blobs')).toEqual([])
    expect(rows('select digest from blobs')).toEqual([{ digest }])
    expect(rows('select digest from blob_contents')).toEqual([{ digest }])
  })

  it('heal a manifest whose bytes have rotted when it is pushed again', async () => {
    const { store, file } = await openStore()
    const digest = await putImage(store, imageText(), { tags: ['v1'] })
    const connection = new Database(file)
    connection.prepare('update manifest_contents set bytes = ?').run(Buffer.from('rotten'))
    connection.close()

    await putImage(store, imageText(), { tags: ['v1'] })

    const { bytes } = await store.getManifest(APP, { digest })
    expect(bytes).toEqual(Buffer.from(imageText()))
  })

  it('tell when and by whom an upload was opened, and when it went on', async () => {
    const { store, rows } = await openStore()
    const id = await openUpload(store, { identity: 'ann' })

    await store.advanceUpload({ id, fromByte: 0, toByte: 3, at: AT + 5 })

    const columns = 'select started_at, started_by, progressed_at, offset_bytes from uploads'
    expect(rows(columns)).toEqual([
      { started_at: AT, started_by: 'ann', progressed_at: AT + 5, offset_bytes: 3 },
    ])
  })
})

describe('deleted repositories', () => {
  /** As the delete of a repository leaves it: its row has given the name back. */
  function deleteRow(file: string, repository: string, at: number): void {
    const connection = openForWriting(file)
    connection
      .prepare(
        `insert into deleted_repositories (repository_id, name, deleted_at, deleted_by)
         select id, name, ?, 'remover' from repositories where name = ?`,
      )
      .run(at, repository)
    connection.prepare(`update repositories set name = '#' || id where name = ?`).run(repository)
    connection.close()
  }

  it('are told by the name they had, the last one first, and are in no other list', async () => {
    const { store, file } = await openStore()
    const names = ['a', 'b', 'c', 'd'].map(name)
    for (const repository of names) await putImage(store, imageText(), { repository })
    for (const [index, repository] of names.entries()) {
      deleteRow(file, repository, AT + Math.floor(index / 2))
    }

    const ask = (query: object) => store.listDeletedRepositories({ since: 0, limit: 1, ...query })
    const walked = []
    for (let page = await ask({}); ;) {
      const [entry] = page.entries
      if (entry) walked.push(entry)
      if (!entry || !page.hasMore) break
      page = await ask({ before: { at: entry.deletedAt, id: entry.id } })
    }

    expect(walked.map((entry) => [entry.name, entry.deletedAt, entry.deletedBy])).toEqual([
      ['d', AT + 1, 'remover'],
      ['c', AT + 1, 'remover'],
      ['b', AT, 'remover'],
      ['a', AT, 'remover'],
    ])
    expect(walked[0]?.logicalBytes).toBe(imageText().length)
    expect((await ask({ since: AT, limit: 10 })).entries).toHaveLength(2)
    expect((await store.listRepositoryRecords({ limit: 10 })).entries).toEqual([])
  })

  it('have a history under that name until another repository has it', async () => {
    const { store, file } = await openStore()
    const historyOf = async () => {
      const { entries } = await store.listHistory({ repository: APP, limit: 10 })
      return entries.map(({ tag }) => tag)
    }
    await putImage(store, imageText(), { tags: ['first'] })
    deleteRow(file, APP, AT)
    await putImage(store, imageText(), { tags: ['second'] })
    deleteRow(file, APP, AT + 1)

    expect(await historyOf()).toEqual(['second'])
    await putImage(store, imageText(), { tags: ['third'] })
    expect(await historyOf()).toEqual(['third'])
  })
})
