import { readdir, readlink, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { sha256 } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { startBerth, type Berth } from './support/berth.js'
import { Daemon } from './support/daemon.js'
import { MIB, newFile } from './support/images.js'
import { run } from './support/run.js'
import { leaveFree, noFloor, smallDisk } from './support/small-disk.js'
import { systemCallsDuring } from './support/system-calls.js'

const name = 'team/app'

interface Pushed {
  readonly status: number
  readonly digest: string
  readonly text: string
}

/** One blob by one request. */
async function push({ url }: Berth, bytes: Buffer): Promise<Pushed> {
  const digest = sha256(bytes)
  const response = await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: new Uint8Array(bytes),
  })
  return { status: response.status, digest, text: await response.text() }
}

async function read({ url }: Berth, digest: string): Promise<{ status: number; digest: string }> {
  const response = await fetch(`${url}/v2/${name}/blobs/${digest}`)
  return { status: response.status, digest: sha256(Buffer.from(await response.arrayBuffer())) }
}

function openSession({ url }: Berth): Promise<Response> {
  return fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST' })
}

/** Sends a body with its length to a session, and asks the session what it has. */
async function patch(
  berth: Berth,
  sizeBytes: number,
): Promise<{ status: number; received: string | null }> {
  const opened = await openSession(berth)
  const location = `${berth.url}${opened.headers.get('location')}`
  const { status } = await fetch(location, { method: 'PATCH', body: new Uint8Array(sizeBytes) })
  const session = await fetch(location)
  return { status, received: session.headers.get('range') }
}

describe('a disk that is full', () => {
  it('refuses pushes with 507 and a sentence, serves reads, and recovers with room', async () => {
    const disk = await smallDisk(24 * MIB)
    const ballast = path.join(disk, 'ballast')
    await writeFile(ballast, newFile(8 * MIB))
    const berth = await startBerth({ dataDirectory: path.join(disk, 'data'), settings: noFloor })
    const kept: string[] = []

    let refused: Pushed | undefined
    for (const size of [MIB, 40_000, 400]) {
      for (refused = undefined; refused === undefined;) {
        const pushed = await push(berth, newFile(size))
        if (pushed.status === 201) kept.push(pushed.digest)
        else refused = pushed
      }
      expect(refused.status).toBe(507)
      expect(JSON.parse(refused.text)).toMatchObject({
        errors: [{ message: expect.stringMatching(/no space left/) as string }],
      })
      expect(refused.text).not.toContain(disk)
    }
    const ready = await fetch(`${berth.url}/readyz`)
    const alive = await fetch(`${berth.url}/healthz`)
    for (const digest of kept) expect(await read(berth, digest)).toEqual({ status: 200, digest })

    await rm(ballast)
    const again = await push(berth, newFile(MIB))
    const small = await push(berth, newFile(400))

    expect([ready.status, alive.status]).toEqual([503, 200])
    expect([again.status, small.status]).toEqual([201, 201])
  })

  it('has kept nothing of an upload that did not fit', async () => {
    const disk = await smallDisk(16 * MIB)
    const berth = await startBerth({ dataDirectory: path.join(disk, 'data'), settings: noFloor })

    const tooLarge = await push(berth, newFile(20 * MIB))
    const fits = await push(berth, newFile(8 * MIB))

    expect([tooLarge.status, fits.status]).toEqual([507, 201])
  })
})

describe('a disk that is nearly full', () => {
  it('takes no uploads, ends pushes that are nearly done, and reads, deletes and recovers', async () => {
    const disk = await smallDisk(64 * MIB)
    const berth = await startBerth({ dataDirectory: path.join(disk, 'data') })
    const blob = await push(berth, newFile(300_000))
    const config = await push(berth, Buffer.from('{}'))
    const spare = await push(berth, newFile(1000))
    const layer = { mediaType: 'application/octet-stream', digest: blob.digest, size: 300_000 }
    const put = async (tag: string) => {
      const type = 'application/vnd.oci.image.manifest.v1+json'
      const response = await fetch(`${berth.url}/v2/${name}/manifests/${tag}`, {
        method: 'PUT',
        headers: { 'Content-Type': type },
        body: JSON.stringify({
          schemaVersion: 2,
          mediaType: type,
          config: { mediaType: 'application/json', digest: config.digest, size: 2 },
          layers: [layer],
          annotations: { tag },
        }),
      })
      return response.status
    }
    const remove = async (what: string) =>
      (await fetch(`${berth.url}/v2/${name}/${what}`, { method: 'DELETE' })).status
    const tryToOpen = async () => (await openSession(berth)).text()
    // Asked again and again by what writes nothing: it takes a second until the disk is looked at.
    const seeRoom = (room: RegExp) => eventually(tryToOpen, (answer) => room.test(answer))

    // The floor is a tenth of the disk: 6.7 MB.
    await leaveFree(disk, 5 * MIB)
    // Until then sessions are opened, and the database grows.
    await seeRoom(/has [345](\.\d)? MB of disk space left/)
    const large = await push(berth, newFile(100_000))
    const small = await push(berth, newFile(100))
    const nearlyDone = await put('v1')
    await leaveFree(disk, 2 * MIB)
    await seeRoom(/has [12](\.\d)? MB of disk space left/)
    const tooLate = await put('v2')
    const readable = await read(berth, blob.digest)
    const deleted = [await remove('manifests/v1'), await remove(`blobs/${spare.digest}`)]
    await leaveFree(disk, 30 * MIB)
    await seeRoom(/^$/)
    const again = await push(berth, newFile(100_000))
    const known = await patch(berth, 25 * MIB)

    expect([large.status, small.status]).toEqual([507, 507])
    expect(JSON.parse(large.text)).toMatchObject({
      errors: [
        {
          code: 'UNAVAILABLE',
          message: expect.stringMatching(/ MB of disk space left and keeps 6\.7 MB/) as string,
        },
      ],
    })
    expect([nearlyDone, tooLate]).toEqual([201, 507])
    expect(readable).toEqual({ status: 200, digest: blob.digest })
    expect(deleted).toEqual([202, 202])
    expect(again.status).toBe(201)
    expect(known).toEqual({ status: 507, received: '0-0' })
  })
})

describe('a log that cannot be written', () => {
  it('stops neither the registry nor its end', async () => {
    const dataDirectory = await temporaryDirectory()
    const berth = await startBerth({ dataDirectory, logTo: '/dev/full' })

    const pushed = await push(berth, newFile(1000))
    const statuses = new Set<number>()
    for (let count = 0; count < 50; count++) {
      statuses.add((await read(berth, pushed.digest)).status)
    }
    const code = await berth.stop()

    expect(pushed.status).toBe(201)
    expect([...statuses]).toEqual([200])
    expect(code).toBe(0)
  })
})

describe('a file system that writes and reads less at once than it is asked to', () => {
  it.each(['true', 'false'])('takes and gives every byte, sendfile %s', async (sendfile) => {
    const control = path.join(await temporaryDirectory(), 'fiu')
    const berth = await startBerth({
      settings: {
        BERTH_STORAGE_SENDFILE: sendfile,
        // What fiu-run sets; it would stand between the test and the process.
        LD_PRELOAD: '/usr/lib/fiu/fiu_run_preload.so /usr/lib/fiu/fiu_posix_preload.so',
        FIU_CTRL_FIFO: control,
      },
    })
    for (const call of ['pwrite', 'pread']) {
      const shortens = `enable_random name=posix/io/rw/${call}/reduce,probability=0.3`
      await run('fiu-ctrl', ['-f', control, '-c', shortens, String(berth.pid)])
    }
    const blobs = Array.from({ length: 4 }, (_, index) => newFile(16 * MIB + index))
    let pushed: Pushed[] = []
    let pulled: { status: number; digest: string }[] = []

    const calls = await systemCallsDuring(berth, ['pwrite64', 'pread64'], async () => {
      pushed = await Promise.all(blobs.map((bytes) => push(berth, bytes)))
      pulled = await Promise.all(pushed.map(({ digest }) => read(berth, digest)))
    })

    const writes = calls.filter(
      ({ name, args }) => name === 'pwrite64' && args.includes('/uploads/'),
    )
    expect(writes.length).toBeGreaterThan((4 * 16 * MIB) / (256 * 1024) + 10)
    expect(pushed.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    expect(pulled).toEqual(pushed.map(({ digest }) => ({ status: 200, digest })))
  })
})

describe('a process that has as many files open as it may', () => {
  it('answers 503 and takes no blob for damaged', async () => {
    const berth = await startBerth()
    const { digest } = await push(berth, newFile(200_000))
    const connection = await RawConnection.open(berth.port)
    const ask = async () => {
      connection.write(`GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
      return connection.answer()
    }
    const before = await ask()
    await eventually(
      () => openBlobs(berth),
      (count) => count === 0,
    )

    await allowDescriptors(berth, await descriptorsOf(berth))
    const refused = await ask()
    await allowDescriptors(berth, 1000)
    const after = await ask()

    expect([before.status, refused.status, after.status]).toEqual([200, 503, 200])
    expect(refused.head).toMatch(/^retry-after: \d+$/im)
    expect(JSON.parse(refused.body)).toMatchObject({
      errors: [{ code: 'UNAVAILABLE', message: expect.stringMatching(/too many files/) as string }],
    })
    expect(sha256(Buffer.from(after.body, 'latin1'))).toBe(digest)
  })
})

describe('a sync that fails', () => {
  it.each([
    ['a file', 100_000],
    ['the database', 1000],
  ])('of %s ends the process before anything is acknowledged', async (_what, size) => {
    const dataDirectory = await temporaryDirectory()
    const berth = await startBerth({ dataDirectory })
    const before = await push(berth, newFile(size))
    const lost = newFile(size)

    await failSyncs(berth)
    const answer = await push(berth, lost).catch((error: unknown) => error)
    const code = await berth.exitCode()

    expect(before.status).toBe(201)
    expect(answer).toBeInstanceOf(Error)
    expect(code).toBe(1)
    const next = await startBerth({ dataDirectory })
    expect(await read(next, before.digest)).toEqual({ status: 200, digest: before.digest })
    expect((await push(next, lost)).status).toBe(201)
  })
})

async function openBlobs({ pid, dataDirectory }: Berth): Promise<number> {
  const folder = `/proc/${pid}/fd`
  const files = await Promise.all(
    (await readdir(folder)).map((descriptor) =>
      readlink(path.join(folder, descriptor)).catch(() => ''),
    ),
  )
  return files.filter((file) => file.startsWith(path.join(dataDirectory, 'blobs'))).length
}

/** The numbers are given from the smallest on, so up to the largest there may be free ones. */
async function descriptorsOf({ pid }: Berth): Promise<number> {
  const open = (await readdir(`/proc/${pid}/fd`)).map(Number)
  for (let free = 0; ; free++) {
    if (!open.includes(free)) return free
  }
}

async function allowDescriptors({ pid }: Berth, count: number): Promise<void> {
  await run('prlimit', ['--pid', String(pid), `--nofile=${count}:4096`])
}

/** From now on the kernel answers every sync of the process with an input/output error. */
async function failSyncs({ pid }: Berth): Promise<void> {
  const output = path.join(await temporaryDirectory(), 'strace')
  const syncs = 'fsync,fdatasync'
  const tracer = await Daemon.start(
    'strace',
    [
      '-f',
      '-p',
      String(pid),
      '-e',
      `trace=${syncs}`,
      '-e',
      `inject=${syncs}:error=EIO`,
      '-o',
      output,
    ],
    { isReady: (daemon) => daemon.output.includes('attached') },
  )
  onTestFinished(() => tracer.stop())
}
