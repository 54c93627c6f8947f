import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { sha256 } from '../support/images.js'
import { startBerth, type Berth } from './support/berth.js'
import { Daemon } from './support/daemon.js'
import { newFile } from './support/images.js'

const name = 'team/app'

async function send({ url }: Berth, method: string, path: string, body?: Buffer) {
  const answer = await fetch(`${url}${path}`, {
    method,
    ...(body && { body: new Uint8Array(body) }),
  })
  await answer.arrayBuffer()
  return answer
}

async function open(berth: Berth): Promise<string> {
  const opened = await send(berth, 'POST', `/v2/${name}/blobs/uploads/`)
  return String(opened.headers.get('location'))
}

/** Counts the calls of the process that wait for the disk, and those that open an upload's file. */
async function watchCalls({ pid }: Berth) {
  const output = path.join(await temporaryDirectory(), 'strace')
  const tracer = await Daemon.start(
    'strace',
    ['-f', '-p', String(pid), '-e', 'trace=fsync,fdatasync,openat', '-o', output],
    { isReady: (daemon) => daemon.output.includes('attached') },
  )
  onTestFinished(() => tracer.stop())
  const count = async (pattern: RegExp) =>
    (await readFile(output, 'utf8')).split('\n').filter((line) => pattern.test(line)).length
  return { syncs: () => count(/ f(?:data)?sync\(/), files: () => count(/openat\(.*\/uploads\//) }
}

describe('an upload of few bytes', () => {
  it('waits for the disk when it becomes a blob, not before, and has no file', async () => {
    const berth = await startBerth()
    const { syncs, files } = await watchCalls(berth)
    const bytes = newFile(4096)

    const location = await open(berth)
    const patched = await send(berth, 'PATCH', location, bytes)
    const syncsBefore = await syncs()
    const done = await send(berth, 'PUT', `${location}?digest=${sha256(bytes)}`)

    expect([patched.status, done.status]).toEqual([202, 201])
    expect(syncsBefore).toBe(0)
    expect(await eventually(syncs, (count) => count > 0)).toBe(1)
    expect(await files()).toBe(0)
  })

  it('goes on after the process was killed', async () => {
    const berth = await startBerth()
    const bytes = newFile(4096)
    const location = await open(berth)
    await send(berth, 'PATCH', location, bytes.subarray(0, 1000))

    await berth.kill()
    const next = await startBerth({ dataDirectory: berth.dataDirectory })
    const status = await send(next, 'GET', location)
    await send(next, 'PATCH', location, bytes.subarray(1000))
    const done = await send(next, 'PUT', `${location}?digest=${sha256(bytes)}`)

    expect([status.status, status.headers.get('range')]).toEqual([204, '0-999'])
    expect(done.status).toBe(201)
  })
})

describe('an upload of many bytes', () => {
  it('waits for the disk before it has a file, so that none is ever forgotten', async () => {
    const berth = await startBerth()
    const { syncs, files } = await watchCalls(berth)
    const bytes = newFile(200_000)

    const location = await open(berth)
    const patched = await send(berth, 'PATCH', location, bytes)

    expect(patched.status).toBe(202)
    expect(await eventually(files, (count) => count > 0)).toBe(1)
    expect(await syncs()).toBe(1)
    await send(berth, 'DELETE', location)
    expect(await readdir(path.join(berth.dataDirectory, 'uploads'))).toEqual([])
  })
})
