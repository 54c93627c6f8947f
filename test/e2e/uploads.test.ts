import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../support/images.js'
import { startBerth, type Berth } from './support/berth.js'
import { newFile } from './support/images.js'
import { systemCallsDuring } from './support/system-calls.js'

const repository = 'team/app'

async function send({ url }: Berth, method: string, path: string, body?: Buffer) {
  const answer = await fetch(`${url}${path}`, {
    method,
    ...(body && { body: new Uint8Array(body) }),
  })
  await answer.arrayBuffer()
  return answer
}

async function open(berth: Berth): Promise<string> {
  const opened = await send(berth, 'POST', `/v2/${repository}/blobs/uploads/`)
  return String(opened.headers.get('location'))
}

/** How often the process waits for the disk meanwhile, and opens the file of an upload. */
async function countsDuring(berth: Berth, work: () => Promise<unknown>) {
  const calls = await systemCallsDuring(berth, ['fsync', 'fdatasync', 'openat'], work)
  const files = calls.filter(({ opened }) => opened?.includes('/uploads/'))
  const syncs = calls.filter(({ name }) => name !== 'openat')
  return { syncs: syncs.length, files: files.length }
}

describe('an upload of few bytes', () => {
  it('waits for the disk when it becomes a blob, not before, and has no file', async () => {
    const berth = await startBerth()
    const bytes = newFile(4096)
    let location = ''
    const statuses: number[] = []

    const before = await countsDuring(berth, async () => {
      location = await open(berth)
      statuses.push((await send(berth, 'PATCH', location, bytes)).status)
    })
    const then = await countsDuring(berth, async () => {
      statuses.push((await send(berth, 'PUT', `${location}?digest=${sha256(bytes)}`)).status)
    })

    expect(statuses).toEqual([202, 201])
    expect(before).toEqual({ syncs: 0, files: 0 })
    expect(then).toEqual({ syncs: 1, files: 0 })
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
    const bytes = newFile(200_000)
    let location = ''
    let status = 0

    const counts = await countsDuring(berth, async () => {
      location = await open(berth)
      status = (await send(berth, 'PATCH', location, bytes)).status
    })
    await send(berth, 'DELETE', location)

    expect(status).toBe(202)
    expect(counts).toEqual({ syncs: 1, files: 1 })
    expect(await readdir(path.join(berth.dataDirectory, 'uploads'))).toEqual([])
  })
})
