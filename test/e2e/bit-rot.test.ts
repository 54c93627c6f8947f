import { once } from 'node:events'
import { chmod, mkdir, open, rm, stat, truncate } from 'node:fs/promises'
import path from 'node:path'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { RawConnection } from '../support/raw-connection.js'
import { runBerth, startBerth, type Berth, type BerthOptions } from './support/berth.js'
import { Daemon } from './support/daemon.js'
import { Docker } from './support/docker.js'
import { MIB, newFile, writeBuildContext } from './support/images.js'
import { getManifest, walk } from './support/walk.js'

let docker: Docker

beforeAll(async () => {
  docker = await Docker.start()
  return () => docker.stop()
})

/** An image that docker has pushed, and the file of its layer. */
interface Pushed {
  readonly berth: Berth
  readonly image: string
  readonly url: string
  readonly file: string
}

async function pushImage(options: BerthOptions = {}, sizeBytes = MIB): Promise<Pushed> {
  const berth = await startBerth(options)
  const image = `${berth.host}/team/app:1`
  await docker.build(image, await writeBuildContext({ files: [newFile(sizeBytes)] }))
  await docker.run('push', image)
  const { document } = await getManifest(berth.url, 'team/app', '1')
  const digest = document.layers?.[0]?.digest ?? ''
  const hex = digest.slice('sha256:'.length)
  const file = path.join(berth.dataDirectory, 'blobs/sha256', hex.slice(0, 2), hex)
  return { berth, image, url: `${berth.url}/v2/team/app/blobs/${digest}`, file }
}

/** What a client makes of a blob: the status, or that the connection was cut. */
async function read(url: string, method = 'GET'): Promise<number | 'cut'> {
  const response = await fetch(url, { method })
  return response.arrayBuffer().then(
    () => response.status,
    () => 'cut',
  )
}

/** A push with docker alone makes good what has rotted, and a docker without it can pull. */
async function expectHealing({ berth, image, url }: Pushed): Promise<void> {
  await docker.run('push', image)
  expect(await read(url)).toBe(200)
  expect([...(await walk(berth.url)).keys()]).toEqual(['team/app:1'])
  await docker.run('image', 'rm', image)
  await docker.removeAllImages()
  await docker.run('pull', image)
}

async function flip(file: string, position: number): Promise<void> {
  const handle = await open(file, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, position)
  await handle.write(Buffer.from([~(byte[0] ?? 0) & 0xff]), 0, 1, position)
  await handle.close()
}

describe('a file that rots under a running registry', () => {
  it.each([
    ['loses its end', (file: string) => truncate(file, 500_000)],
    ['loses its last byte', async (file: string) => truncate(file, (await stat(file)).size - 1)],
    ['loses its content', (file: string) => truncate(file, 0)],
    ['grows', async (file: string) => truncate(file, (await stat(file)).size + 1)],
    ['is gone', (file: string) => rm(file)],
    ['is gone with its folder', (file: string) => rm(path.dirname(file), { recursive: true })],
    [
      'becomes a folder',
      async (file: string) => {
        await rm(file)
        await mkdir(path.join(file, 'inside'), { recursive: true })
      },
    ],
  ])('is never served when it %s, and healed by docker push', async (_, damage) => {
    const pushed = await pushImage()
    await damage(pushed.file)

    const reads = [await read(pushed.url), await read(pushed.url, 'HEAD'), await read(pushed.url)]

    expect(reads).toEqual([404, 404, 404])
    await expectHealing(pushed)
  })

  it('is never served when nobody may read it, and healed by docker push', async () => {
    const pushed = await pushImage({ obeysModes: true })
    await chmod(pushed.file, 0o000)

    const reads = [await read(pushed.url), await read(pushed.url, 'HEAD')]

    expect(reads).toEqual([404, 404])
    await expectHealing(pushed)
  })

  it('ends the connection when it is cut during a download', async () => {
    const pushed = await pushImage({}, 32 * MIB)
    const { size } = await stat(pushed.file)
    const connection = await RawConnection.open(pushed.berth.port)
    connection.write(`GET ${new URL(pushed.url).pathname} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await once(connection.socket, 'data')
    connection.socket.pause()

    await truncate(pushed.file, 0)
    connection.socket.resume()
    await connection.closed()
    const next = [await read(pushed.url, 'HEAD'), await read(pushed.url)]

    expect(connection.received).toMatch(/^HTTP\/1\.1 200 /)
    expect(connection.received.length).toBeLessThan(size)
    expect(next).toEqual([404, 404])
    await expectHealing(pushed)
  })

  it.each([
    ['opened', 'openat', 404],
    ['read', 'sendfile,pread64', 'cut'],
  ])('is never served when the disk fails as it is %s', async (_, calls, first) => {
    const pushed = await pushImage()
    const disk = await failingCalls(pushed, calls)

    const reads = [await read(pushed.url), await read(pushed.url, 'HEAD')]
    await disk.stop()

    expect(reads).toEqual([first, 404])
    await expectHealing(pushed)
  })
})

describe('a byte that flips under a running registry', () => {
  const settings = { BERTH_STORAGE_VERIFY_READS: 'true' }

  it.each([0, 0.5, 1])('never reaches a client in a whole blob, at %d of it', async (share) => {
    const pushed = await pushImage({ settings })
    const { size } = await stat(pushed.file)
    await flip(pushed.file, Math.floor((size - 1) * share))

    const reads = [await read(pushed.url), await read(pushed.url, 'HEAD'), await read(pushed.url)]

    expect(reads).toEqual(['cut', 404, 404])
    await expectHealing(pushed)
  })

  it('fails docker pull, which gets it right after the next push', async () => {
    const pushed = await pushImage({ settings })
    const { image } = pushed
    await docker.run('tag', image, 'kept:1')
    await docker.run('image', 'rm', image)
    const elsewhere = await Docker.start()
    try {
      await flip(pushed.file, 1000)

      const failed = await elsewhere.attempt('pull', image)
      await docker.run('tag', 'kept:1', image)
      await docker.run('push', image)
      const pulled = await elsewhere.attempt('pull', image)

      expect([failed.succeeded, pulled.succeeded], pulled.report).toEqual([false, true])
    } finally {
      await elsewhere.stop()
    }
  })
})

describe('berth verify --content', () => {
  it('finds a byte that has flipped, and has docker push heal it', async () => {
    const pushed = await pushImage()
    const { berth, image, url, file } = pushed
    await flip(file, 1000)

    const quick = await runBerth('verify', '--data', berth.dataDirectory)
    const thorough = await runBerth('verify', '--content', '--data', berth.dataDirectory)
    const reads = [await read(url), await read(url, 'HEAD')]
    const needed = await runBerth('verify', '--data', berth.dataDirectory)

    expect([quick.succeeded, thorough.succeeded, needed.succeeded]).toEqual([true, false, false])
    expect(thorough.stdout).toMatch(
      /^blob-content: .*; push an image that has it again: team\/app:1$/m,
    )
    expect(needed.stdout).toMatch(/^blob-absent: /m)
    expect(reads).toEqual([404, 404])
    await docker.run('push', image)
    const healed = await runBerth('verify', '--content', '--data', berth.dataDirectory)
    expect(healed.succeeded, healed.report).toBe(true)
    await expectHealing(pushed)
  })

  it('finds a row of a manifest that has flipped, and has docker push heal it', async () => {
    const { berth: before, image, url, file } = await pushImage()
    await before.kill()
    // Nobody has read it by now, so that nobody has it in memory.
    const { port, dataDirectory } = before
    const berth = await startBerth({ port, dataDirectory })
    const database = new Database(path.join(dataDirectory, 'berth.db'), { timeout: 10_000 })
    database.exec(
      `update manifest_contents set bytes = cast(replace(bytes, 'layers', 'Layers') as blob)`,
    )
    database.close()

    const manifestUrl = `${berth.url}/v2/team/app/manifests/1`
    const reads = [await read(manifestUrl), await read(manifestUrl, 'HEAD')]
    const found = await runBerth('verify', '--content', '--data', dataDirectory)

    expect(reads).toEqual([404, 404])
    expect(found.stdout).toMatch(/^manifest-content: .*; push it again: team\/app:1$/m)
    await docker.run('push', image)
    const healed = await runBerth('verify', '--content', '--data', dataDirectory)
    expect(healed.succeeded, healed.report).toBe(true)
    await expectHealing({ berth, image, url, file })
  })

  it('repairs what lost its bytes as far as that can be, and docker push does the rest', async () => {
    const pushed = await pushImage()
    const { berth, image, file } = pushed
    await truncate(file, 10)

    const repaired = await runBerth('verify', '--repair', '--data', berth.dataDirectory)

    expect(repaired.succeeded).toBe(false)
    expect(repaired.stdout).toMatch(/^blob-size: /m)
    await docker.run('push', image)
    const healed = await runBerth('verify', '--content', '--data', berth.dataDirectory)
    expect(healed.succeeded, healed.report).toBe(true)
    await expectHealing(pushed)
  })
})

/** From now on the kernel answers these calls with an input/output error, for this file alone. */
async function failingCalls({ berth, file }: Pushed, calls: string): Promise<Daemon> {
  const output = path.join(await temporaryDirectory(), 'strace')
  return Daemon.start(
    'strace',
    [
      ...['-f', '-p', String(berth.pid), '-P', file, '-o', output],
      ...['-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO`],
    ],
    { isReady: (daemon) => daemon.output.includes('attached') },
  )
}
