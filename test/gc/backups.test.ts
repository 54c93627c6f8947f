import { existsSync } from 'node:fs'
import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import type { BackupReport } from '../../src/gc/backups.js'
import type { RunStatus } from '../../src/metadata/runs.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import type { BackupDescription } from '../../src/registry/backup/backup-folder.js'
import { restoreBackup } from '../../src/registry/backup/restore-backup.js'
import { BackupFiles } from '../../src/storage/backup-files.js'
import { FsBlobStore } from '../../src/storage/fs-blob-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { bytesOf, pushBlob, pushImage, sha256 } from '../support/images.js'
import { answerOf, ask, problemOf } from '../support/management.js'
import { runBerth } from '../support/command.js'
import { runBerthProcess } from '../support/process.js'
import { startTestServer, type TestServer } from '../support/server.js'
import { blobFile, endOf, verify } from '../support/verify.js'

/** Each does what takes a registry several starts. */
vi.setConfig({ testTimeout: 60_000 })

const APP = 'team/app'

/** Larger than what the database keeps. */
const layerOf = (seed: string) => bytesOf(50_000, seed).toString('hex')
const LAYER = layerOf('layer')

interface BackupRun {
  readonly id: number
  readonly status: RunStatus
  readonly report: BackupReport
}

async function backUp(
  { app }: TestServer,
  directory: string,
  options: { readonly content?: boolean } = {},
): Promise<BackupRun> {
  const { id } = await answerOf<BackupRun>(app, 'POST', '/backup/runs', {
    directory,
    ...options,
  })
  return endOf<BackupRun>(app, id)
}

async function refusalOf({ app }: TestServer, directory: string) {
  const response = await ask(app, 'POST', '/backup/runs', { body: { directory } })
  return { status: response.statusCode, detail: problemOf(response).detail }
}

async function registryWithImage(): Promise<TestServer> {
  const server = await startTestServer({ config: { gc: { enabled: false } } })
  await pushImage(server.app, APP, 'v1', { layers: [LAYER] })
  return server
}

/** A folder that is not there yet. */
async function newFolder(): Promise<string> {
  return path.join(await temporaryDirectory(), 'backups', 'berth')
}

async function describedIn(directory: string): Promise<BackupDescription> {
  return JSON.parse(
    await readFile(path.join(directory, 'backup.json'), 'utf8'),
  ) as BackupDescription
}

/** Gives a file other bytes, as many as before, and whoever shares it none of them. */
async function rot(file: string): Promise<void> {
  const { size } = await stat(file)
  await rm(file)
  await writeFile(file, 'x'.repeat(size))
}

/** What is in a backup besides blobs and locks. */
async function filesOf(directory: string): Promise<string[]> {
  const names = await readdir(directory)
  return names.filter((name) => !['blobs', 'berth.lock', 'berth.pid'].includes(name)).sort()
}

/** Makes a registry of a backup, as the command does, and serves it. */
async function restored(from: string): Promise<TestServer> {
  const dataDirectory = path.join(await temporaryDirectory(), 'data')
  const { lost } = await restoreBackup({
    ...{ from, to: dataDirectory, now: Date.now },
    openMetadata: (file) => SqliteMetadataStore.open({ file }),
    openBlobs: (directory) => FsBlobStore.open(directory),
    openFiles: (from, to) => BackupFiles.open({ from, to, mayLink: false }),
  })
  expect(lost).toBe(0)
  return startTestServer({ dataDirectory, config: { gc: { enabled: false } } })
}

async function expectImage({ app }: TestServer, tag: string, layer: string): Promise<void> {
  const manifest = await app.inject({ method: 'GET', url: `/v2/${APP}/manifests/${tag}` })
  const blob = await app.inject({ method: 'GET', url: `/v2/${APP}/blobs/${sha256(layer)}` })
  expect(manifest.statusCode).toBe(200)
  expect(blob.payload).toBe(layer)
}

const CLEAN = { status: 'done', report: { findings: [] } }

describe('a backup', () => {
  it('has everything, and makes a registry that is whole', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()

    const run = await backUp(server, directory)

    expect(run).toMatchObject({
      status: 'done',
      report: { blobs: 1, blobBytes: 100_000, missing: 0 },
    })
    const { complete } = await describedIn(directory)
    expect(complete).toMatchObject({ blobs: 1, blobBytes: 100_000, missing: 0 })
    expect(await filesOf(directory)).toEqual(['backup.json', complete?.database].sort())
    const copy = await restored(directory)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
    await expectImage(copy, 'v1', LAYER)
  })

  it('adds what is new to the one before, and removes what it does not need', async () => {
    const server = await startTestServer({
      config: { gc: { enabled: false, brakePercent: 100 }, undo: { days: 0 } },
    })
    const { digest } = await pushImage(server.app, APP, 'old', { layers: [layerOf('old')] })
    await pushImage(server.app, APP, 'v1', { layers: [LAYER] })
    const directory = await newFolder()
    await backUp(server, directory)
    const before = await describedIn(directory)
    await server.app.inject({ method: 'DELETE', url: `/v2/${APP}/manifests/${digest}` })
    await (
      await server.server.maintenance.collector.begin({ purge: true }, 'tester')
    ).ended
    await pushImage(server.app, APP, 'v2', { layers: [layerOf('new')] })

    const run = await backUp(server, directory)

    const { present, cloned, linked, copied } = run.report.transfers ?? {}
    expect(present).toBe(1)
    expect((cloned ?? 0) + (linked ?? 0) + (copied ?? 0)).toBe(1)
    expect(run.report).toMatchObject({ blobs: 2, removed: 1 })
    const { complete } = await describedIn(directory)
    expect(complete?.database).not.toBe(before.complete?.database)
    expect(await filesOf(directory)).toEqual(['backup.json', complete?.database].sort())
    expect(existsSync(blobFile(directory, sha256(layerOf('old'))))).toBe(false)
    const copy = await restored(directory)
    await expectImage(copy, 'v2', layerOf('new'))
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
  })

  it('is of one moment, whatever is pushed, deleted and collected meanwhile', async () => {
    const server = await startTestServer({
      config: { gc: { enabled: false, brakePercent: 100 }, undo: { days: 0 } },
    })
    const { app } = server
    const { collector } = server.server.maintenance
    let isOver = false
    const pushAndDelete = async (name: string) => {
      for (let round = 0; !isOver; round++) {
        const { digest } = await pushImage(app, name, `v${round}`, {
          layers: [layerOf(`${name} ${round}`)],
        })
        if (round % 2 === 0) {
          await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })
        }
      }
    }
    const collect = async () => {
      while (!isOver) await (await collector.begin({ purge: true }, 'tester')).ended
    }
    const work = [pushAndDelete(APP), pushAndDelete('team/other'), collect()]
    const directory = await newFolder()

    const runs: BackupRun[] = []
    try {
      for (let round = 0; round < 3; round++) runs.push(await backUp(server, directory))
    } finally {
      isOver = true
      await Promise.all(work)
    }

    for (const run of runs) expect(run).toMatchObject({ status: 'done', report: { missing: 0 } })
    const copy = await restored(directory)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
  })

  it('has no uploads that only the registry itself can go on with', async () => {
    const server = await registryWithImage()
    const opened = await server.app.inject({ method: 'POST', url: `/v2/${APP}/blobs/uploads/` })
    const url = opened.headers.location as string
    const headers = { 'content-type': 'application/octet-stream' }
    await server.app.inject({ method: 'PATCH', url, headers, payload: layerOf('half') })
    const directory = await newFolder()

    await backUp(server, directory)

    const copy = await restored(directory)
    expect((await copy.app.inject({ method: 'GET', url })).statusCode).toBe(404)
    expect((await server.app.inject({ method: 'GET', url })).statusCode).toBe(204)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
  })

  it('says what the registry has lost, and has the rest', async () => {
    const server = await registryWithImage()
    await pushImage(server.app, APP, 'v2', { layers: [layerOf('whole')] })
    await rm(blobFile(server.dataDirectory, sha256(LAYER)))
    const directory = await newFolder()

    const run = await backUp(server, directory)

    expect(run).toMatchObject({ status: 'done', report: { blobs: 1, missing: 1 } })
    expect(run.report.message).toContain('1 blobs are damaged or missing in the registry')
    const dataDirectory = path.join(await temporaryDirectory(), 'data')
    const { code, stdout } = await runBerth(['restore-backup', directory, '--data', dataDirectory])
    expect(code).toBe(1)
    expect(stdout).toContain('blob-absent: ')
    const copy = await startTestServer({ dataDirectory })
    await expectImage(copy, 'v2', layerOf('whole'))
    await pushBlob(copy.app, APP, LAYER)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
  })

  it('keeps what the registry has lost since, and gives it back', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    await rm(blobFile(directory, sha256(LAYER)))
    await writeFile(blobFile(directory, sha256(LAYER)), LAYER)
    await rot(blobFile(server.dataDirectory, sha256(LAYER)))
    await verify(server.app, { content: true })

    const runs = [await backUp(server, directory), await backUp(server, directory)]

    for (const run of runs) {
      expect(run).toMatchObject({
        status: 'done',
        report: { blobs: 1, blobBytes: 100_000, kept: 1, missing: 0, removed: 0 },
      })
      expect(run.report.message).toBeUndefined()
    }
    const copy = await restored(directory)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
    await expectImage(copy, 'v1', LAYER)
  })

  it('says what was known to be lost before, as long as something needs it', async () => {
    const server = await registryWithImage()
    const { app, dataDirectory } = server
    await pushBlob(app, APP, layerOf('of no image'))
    await rot(blobFile(dataDirectory, sha256(LAYER)))
    await rot(blobFile(dataDirectory, sha256(layerOf('of no image'))))
    await verify(app, { content: true })
    const directory = await newFolder()

    const { code, stderr } = await runBerth(['backup', directory, '--data', dataDirectory])

    expect(code).toBe(1)
    expect(stderr).toBe(
      'berth: 1 blobs are damaged or missing in the registry, and are not in its backup: berth verify tells which\n',
    )
    expect((await describedIn(directory)).complete).toMatchObject({ blobs: 0, missing: 1 })
  })

  it('marks nothing when so much is away that a disk may be missing', async () => {
    const server = await registryWithImage()
    const { app, dataDirectory } = server
    const layers = Array.from({ length: 20 }, (_, index) => layerOf(`layer ${index}`))
    for (const layer of layers) await pushBlob(app, APP, layer)
    const directory = await newFolder()
    const blobs = path.join(dataDirectory, 'blobs', 'sha256')
    await rename(blobs, `${blobs}.away`)

    const run = await backUp(server, directory)
    await rename(`${blobs}.away`, blobs)

    expect(run.status).toBe('failed')
    expect(run.report.message).toContain('is a disk missing? None was marked as damaged')
    expect(await verify(app, { content: true })).toMatchObject(CLEAN)
    for (const layer of layers) {
      const url = `/v2/${APP}/blobs/${sha256(layer)}`
      expect((await app.inject({ method: 'HEAD', url })).statusCode).toBe(200)
    }
    expect(await backUp(server, directory)).toMatchObject({ status: 'done', report: { blobs: 21 } })
  })

  it('has no bytes that have rotted in the registry, and has those that heal them', async () => {
    const server = await registryWithImage()
    await rot(blobFile(server.dataDirectory, sha256(LAYER)))
    const directory = await newFolder()

    const rotten = await backUp(server, directory)
    await pushBlob(server.app, APP, LAYER)
    const healed = await backUp(server, directory)

    expect(rotten).toMatchObject({ status: 'done', report: { blobs: 0, missing: 1 } })
    expect(healed).toMatchObject({ status: 'done', report: { blobs: 1, missing: 0 } })
    const copy = await restored(directory)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
    await expectImage(copy, 'v1', LAYER)
  })

  it('has the bytes of what was pushed again since the one before, not those it had', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    await rot(blobFile(directory, sha256(LAYER)))
    await pushBlob(server.app, APP, LAYER)

    const run = await backUp(server, directory)

    expect(run).toMatchObject({ status: 'done', report: { blobs: 1, missing: 0 } })
    await expectImage(await restored(directory), 'v1', LAYER)
  })

  it('finds what has rotted in the folder when it is asked to read all of it', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    await rot(blobFile(directory, sha256(LAYER)))

    const run = await backUp(server, directory, { content: true })

    expect(run.report).toMatchObject({ blobs: 1, transfers: { present: 0 } })
    await expectImage(await restored(directory), 'v1', LAYER)
    const { dataDirectory } = server
    const again = await runBerth(['backup', directory, '--content', '--data', dataDirectory])
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).toContain('; 0 blobs are new')
  })

  it('takes nothing on trust that one before it has left and not come to its end with', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    await rot(blobFile(directory, sha256(LAYER)))
    const { complete, ...description } = await describedIn(directory)
    await rm(path.join(directory, complete?.database ?? ''))
    await writeFile(path.join(directory, 'backup.json'), JSON.stringify(description))

    await backUp(server, directory)

    await expectImage(await restored(directory), 'v1', LAYER)
  })

  it('does not go where it would be in its own way, or in that of something else', async () => {
    const server = await registryWithImage()
    const { dataDirectory } = server
    const elsewhere = await temporaryDirectory()
    await symlink(dataDirectory, path.join(elsewhere, 'link'))
    const foreign = path.join(elsewhere, 'foreign')
    await mkdir(foreign)
    await writeFile(path.join(foreign, 'thesis.txt'), 'years of work')
    const file = path.join(elsewhere, 'file')
    await writeFile(file, '')
    const other = await registryWithImage()
    const ofOther = await newFolder()
    await backUp(other, ofOther)

    const reasons = await Promise.all(
      [
        dataDirectory,
        path.join(dataDirectory, 'backup'),
        path.join(elsewhere, 'link', 'backup'),
        path.dirname(dataDirectory),
        foreign,
        file,
        ofOther,
        other.dataDirectory,
        'backups',
      ].map((directory) => refusalOf(server, directory)),
    )

    expect(reasons.map(({ status }) => status)).toEqual(reasons.map(() => 400))
    expect(reasons.map(({ detail }) => detail.replace(/^.* backup: /, ''))).toEqual([
      'it is in the data directory',
      'it is in the data directory',
      'it is in the data directory',
      'the data directory is in it',
      'it is not empty, and no backup',
      'it is not a folder',
      'it is the backup of another registry; one that was restored needs a folder of its own',
      'it is not empty, and no backup',
      'its path is not absolute',
    ])
    expect(await readdir(foreign)).toEqual(['thesis.txt'])
    expect(existsSync(path.join(dataDirectory, 'backup'))).toBe(false)
    expect(await verify(other.app)).toMatchObject(CLEAN)
  })

  it('takes a new file system for empty, and makes a registry on another one', async () => {
    const server = await registryWithImage()
    const [directory, dataDirectory] = [await temporaryDirectory(), await temporaryDirectory()]
    for (const root of [directory, dataDirectory]) await mkdir(path.join(root, 'lost+found'))

    const run = await backUp(server, directory)
    const { code } = await runBerth(['restore-backup', directory, '--data', dataDirectory])

    expect(run.status).toBe('done')
    expect(code).toBe(0)
    await expectImage(await startTestServer({ dataDirectory }), 'v1', LAYER)
  })

  it('leaves nothing half done behind when it fails', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    await pushBlob(server.app, APP, layerOf('new'))
    // In the way of the blob: nobody can write there.
    const inTheWay = blobFile(directory, sha256(layerOf('new')))
    await mkdir(path.join(inTheWay, 'full'), { recursive: true })
    const before = await filesOf(directory)

    const run = await backUp(server, directory)

    expect(run.status).toBe('failed')
    expect(await filesOf(directory)).toEqual(before)
    await expectImage(await restored(directory), 'v1', LAYER)
  })

  it('is one at a time; one that is refused makes nothing', async () => {
    const server = await registryWithImage()
    const [first, second] = [await newFolder(), await newFolder()]

    const answers = await Promise.all([refusalOf(server, first), refusalOf(server, second)])

    expect(answers.map(({ status }) => status)).toEqual([202, 409])
    expect(existsSync(first)).toBe(true)
    expect(existsSync(path.dirname(second))).toBe(false)
  })

  it('goes on with one that was interrupted, which has left the one before whole', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    const before = await describedIn(directory)
    await pushImage(server.app, APP, 'v2', { layers: [layerOf('new')] })
    // As far as it can come before it is complete.
    const database = before.complete?.database ?? ''
    const bytes = await readFile(path.join(directory, database))
    await writeFile(path.join(directory, 'berth.db.partial'), bytes.subarray(0, 5000))
    await writeFile(path.join(directory, 'berth-20200101T000000000Z.db'), bytes)
    await writeFile(path.join(directory, 'backup.json.partial'), '{')
    await mkdir(path.join(directory, 'partial'))
    await writeFile(path.join(directory, 'partial', 'half'), 'half')

    await expectImage(await restored(directory), 'v1', LAYER)
    await backUp(server, directory)

    const { complete } = await describedIn(directory)
    expect(await filesOf(directory)).toEqual(['backup.json', complete?.database].sort())
    await expectImage(await restored(directory), 'v2', layerOf('new'))
  })

  it('is made by berth backup, with a server and without one', async () => {
    const { server, dataDirectory } = await registryWithImage()
    const parent = await temporaryDirectory()

    const first = await runBerthProcess(['backup', 'mine', '--data', dataDirectory], {
      cwd: parent,
    })
    await server.close()
    const second = await runBerthProcess(['backup', 'mine', '--data', dataDirectory], {
      cwd: parent,
    })

    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(
      /^The backup has 1 blobs in files \(100 kB\) and a database of .*; 1 blobs are new, and 0 were removed\.\n$/,
    )
    expect(second).toMatchObject({ code: 0, stderr: '' })
    expect(second.stdout).toContain('; 0 blobs are new')
    await expectImage(await restored(path.join(parent, 'mine')), 'v1', LAYER)
  })
})

describe('berth restore-backup', () => {
  it('makes nothing of what is no backup, and touches no directory with something in it', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    const empty = await temporaryDirectory()
    const full = await temporaryDirectory()
    await writeFile(path.join(full, 'something'), '')

    const cases = [
      [empty, path.join(empty, 'new'), `there is no backup in ${empty}`],
      [directory, full, `${full} is not empty: a backup is restored into a new directory`],
      [
        directory,
        server.dataDirectory,
        `${server.dataDirectory} is not empty: a backup is restored into a new directory`,
      ],
    ] as const
    for (const [from, to, sentence] of cases) {
      const { code, stderr } = await runBerth(['restore-backup', from, '--data', to])
      expect({ code, stderr }).toEqual({ code: 1, stderr: `berth: ${sentence}\n` })
    }
    expect(await readdir(full)).toEqual(['something'])
    await expectImage(server, 'v1', LAYER)
  })

  it('finds what has rotted in the backup, and serves none of it', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    await rot(blobFile(directory, sha256(LAYER)))
    const dataDirectory = path.join(await temporaryDirectory(), 'data')

    const { code, stdout } = await runBerth(['restore-backup', directory, '--data', dataDirectory])

    expect(code).toBe(1)
    expect(stdout).toContain('1 blobs are damaged in the backup, and count as absent.')
    const copy = await startTestServer({ dataDirectory })
    const url = `/v2/${APP}/blobs/${sha256(LAYER)}`
    expect((await copy.app.inject({ method: 'GET', url })).statusCode).toBe(404)
    await pushBlob(copy.app, APP, LAYER)
    expect(await verify(copy.app, { content: true })).toMatchObject(CLEAN)
  })

  it('refuses a backup whose database is not the one that it was made with', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    const { complete } = await describedIn(directory)
    const name = complete?.database ?? ''
    const file = path.join(directory, name)
    const whole = await readFile(file)
    const flipped = Buffer.from(whole)
    flipped.writeUInt8(flipped.readUInt8(100) ^ 1, 100)

    const cases = [
      [(): Promise<void> => truncate(file, 0), `has 0 bytes instead of ${whole.length}`],
      [() => writeFile(file, flipped), 'has other bytes than it was made with'],
      [() => rm(file), 'is missing'],
    ] as const
    for (const [break_, reason] of cases) {
      await break_()
      const to = path.join(await temporaryDirectory(), 'new')
      const { code, stderr } = await runBerth(['restore-backup', directory, '--data', to])
      const sentence = `the backup in ${directory} is damaged: ${name} ${reason}`
      expect({ code, stderr }).toEqual({ code: 1, stderr: `berth: ${sentence}\n` })
      await expect(startTestServer({ dataDirectory: to })).rejects.toThrow(
        'has not come to its end',
      )
    }
  })

  it('makes a registry of its own, which the folder of the other refuses', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    const copy = await restored(directory)

    const { status, detail } = await refusalOf(copy, directory)

    expect(status).toBe(400)
    expect(detail).toContain('one that was restored needs a folder of its own')
    expect(await backUp(copy, await newFolder())).toMatchObject({ status: 'done' })
    expect(await backUp(server, directory)).toMatchObject({ report: { blobs: 1, removed: 0 } })
  })

  it('shares no file with the backup', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)

    const copy = await restored(directory)
    await truncate(blobFile(copy.dataDirectory, sha256(LAYER)), 10)

    await expectImage(await restored(directory), 'v1', LAYER)
  })

  it('has nothing of another one that was interrupted there', async () => {
    const [server, other] = [await registryWithImage(), await registryWithImage()]
    await pushBlob(other.app, APP, layerOf('of the other'))
    const [directory, ofOther] = [await newFolder(), await newFolder()]
    await backUp(server, directory)
    await backUp(other, ofOther)
    const dataDirectory = path.join(await temporaryDirectory(), 'new')
    await runBerth(['restore-backup', ofOther, '--data', dataDirectory])
    await rename(path.join(dataDirectory, 'berth.db'), path.join(dataDirectory, 'berth.db.partial'))
    await writeFile(path.join(dataDirectory, 'berth.restoring'), `${ofOther}\n`)

    const { code } = await runBerth(['restore-backup', directory, '--data', dataDirectory])

    expect(code).toBe(0)
    expect(existsSync(blobFile(dataDirectory, sha256(layerOf('of the other'))))).toBe(false)
    await expectImage(await startTestServer({ dataDirectory }), 'v1', LAYER)
  })

  it('goes on after it was interrupted; until then nothing serves what there is', async () => {
    const server = await registryWithImage()
    const directory = await newFolder()
    await backUp(server, directory)
    const dataDirectory = await temporaryDirectory()
    await writeFile(path.join(dataDirectory, 'berth.restoring'), `${directory}\n`)
    await writeFile(path.join(dataDirectory, 'berth.db.partial'), 'half')
    const half = blobFile(dataDirectory, sha256(LAYER))
    await mkdir(path.dirname(half), { recursive: true })
    await writeFile(half, 'x'.repeat(100_000))

    await expect(startTestServer({ dataDirectory })).rejects.toThrow(
      'run berth restore-backup again',
    )
    const again = await runBerth(['restore-backup', directory, '--data', dataDirectory])

    // What was there already is not taken for whole either.
    expect(again.code).toBe(0)
    await expectImage(await startTestServer({ dataDirectory }), 'v1', LAYER)
  })
})
