import { stat, truncate } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { hexOf, type Digest } from '../../src/oci/digest.js'
import { temporaryDirectory } from '../support/directories.js'
import { ABSENT, bytesOf, sha256 } from '../support/images.js'
import { startBerth, type Berth } from './support/berth.js'
import { MIB, newFile, writeLayout } from './support/images.js'
import { startNginx } from './support/nginx.js'
import { copy } from './support/skopeo.js'
import { walk } from './support/walk.js'

const settings = { BERTH_STORAGE_ACCEL_REDIRECT: '/berth-blobs' }

const large = bytesOf(3 * MIB + 17)
const small = bytesOf(1000, 'small')
const largeUrl = `/v2/team/app/blobs/${sha256(large)}`
const smallUrl = `/v2/team/app/blobs/${sha256(small)}`

/** What an answer about a blob may tell a client. */
const HEADERS = [
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'docker-content-digest',
  'docker-distribution-api-version',
  'etag',
  'last-modified',
]

const REQUESTS: readonly [url: string, headers: Record<string, string>, method?: string][] = [
  [largeUrl, {}],
  [largeUrl, {}, 'HEAD'],
  [largeUrl, { Range: 'bytes=0-0' }],
  [largeUrl, { Range: 'bytes=1000000-2000000' }],
  [largeUrl, { Range: 'bytes=3000000-' }],
  [largeUrl, { Range: 'bytes=-5' }],
  [largeUrl, { Range: 'bytes=0-99999999' }],
  [largeUrl, { Range: 'bytes=99999999-' }],
  [largeUrl, { Range: 'bytes=b-a' }],
  [largeUrl, { Range: 'bytes=0-9', 'If-Range': `"${sha256(large)}"` }],
  [largeUrl, { Range: 'bytes=0-9', 'If-Range': '"of something else"' }],
  [largeUrl, { Range: 'bytes=0-9', 'If-Range': new Date().toUTCString() }],
  [largeUrl, { 'If-None-Match': `"${sha256(large)}"` }],
  [largeUrl, { 'If-None-Match': sha256(large) }],
  [largeUrl, { 'If-None-Match': '"of something else"' }],
  [largeUrl, { 'If-Modified-Since': new Date(Date.now() + 60_000).toUTCString() }],
  [largeUrl, { 'If-Unmodified-Since': new Date(0).toUTCString() }],
  [largeUrl, { 'If-Match': `"${sha256(large)}"` }],
  [largeUrl, { 'Accept-Encoding': 'gzip' }],
  [smallUrl, {}],
  [smallUrl, {}, 'HEAD'],
  [smallUrl, { Range: 'bytes=10-19' }],
  [`/v2/team/app/blobs/${ABSENT}`, {}],
  [`/v2/team/app/blobs/${ABSENT}`, {}, 'HEAD'],
  [`/v2/team/none/blobs/${sha256(large)}`, {}],
]

async function pushBlob(url: string, bytes: Buffer): Promise<void> {
  const response = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${sha256(bytes)}`, {
    method: 'POST',
    body: bytes,
  })
  expect(response.status).toBe(201)
}

/** Each answer in full: its status, what it says of the blob, and a digest of its bytes. */
function answersOf(url: string) {
  return Promise.all(
    REQUESTS.map(async ([target, headers, method = 'GET']) => {
      const response = await fetch(`${url}${target}`, { headers, method })
      const body = Buffer.from(await response.arrayBuffer())
      // A part speaks for itself: nginx says this of the whole only.
      const names = response.status === 206 ? HEADERS : [...HEADERS, 'accept-ranges']
      const said = names.map((name) => [name, response.headers.get(name)])
      return { target, headers, method, status: response.status, said, body: sha256(body) }
    }),
  )
}

function fileOf({ dataDirectory }: Berth, digest: Digest): string {
  const hex = hexOf(digest)
  return path.join(dataDirectory, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

describe('behind nginx that sends the files', () => {
  it('clients get the same answers as from the registry itself', async () => {
    const dataDirectory = await temporaryDirectory()
    const alone = await startBerth({ dataDirectory })
    await pushBlob(alone.url, large)
    await pushBlob(alone.url, small)
    const expected = await answersOf(alone.url)
    await alone.kill()

    const berth = await startBerth({ dataDirectory, settings })
    const nginx = await startNginx(berth)
    const answers = await answersOf(nginx.url)
    const direct = await fetch(`${berth.url}${largeUrl}`)

    expect(answers).toEqual(expected)
    expect(answers[0]).toMatchObject({ status: 200, body: sha256(large) })
    // The bytes have not come from the registry.
    const hex = hexOf(sha256(large))
    const place = `/berth-blobs/sha256/${hex.slice(0, 2)}/${hex}`
    expect(direct.headers.get('x-accel-redirect')).toBe(place)
    expect((await direct.arrayBuffer()).byteLength).toBe(0)
  })

  it('several ranges come in one answer', async () => {
    const nginx = await startNginx(await startBerth({ settings }))
    await pushBlob(nginx.url, large)

    const response = await fetch(`${nginx.url}${largeUrl}`, {
      headers: { Range: 'bytes=0-99,1000000-1000099,-100' },
    })
    const body = Buffer.from(await response.arrayBuffer())

    expect(response.status).toBe(206)
    expect(response.headers.get('content-type')).toMatch(/^multipart\/byteranges; boundary=/)
    expect(response.headers.get('etag')).toBe(`"${sha256(large)}"`)
    for (const part of [
      large.subarray(0, 100),
      large.subarray(1_000_000, 1_000_100),
      large.subarray(-100),
    ]) {
      expect(body.includes(part)).toBe(true)
    }
    expect(body.length).toBeLessThan(1500)
  })

  it('when a file was written is not taken for a version of its content', async () => {
    const berth = await startBerth({ settings })
    const nginx = await startNginx(berth)
    await pushBlob(nginx.url, large)
    const written = (await stat(fileOf(berth, sha256(large)))).mtime.toUTCString()

    const unlessModified = await fetch(`${nginx.url}${largeUrl}`, {
      headers: { 'If-Modified-Since': written },
    })
    const range = await fetch(`${nginx.url}${largeUrl}`, {
      headers: { Range: 'bytes=0-9', 'If-Range': written },
    })

    expect([unlessModified.status, range.status]).toEqual([200, 200])
    for (const { headers } of [unlessModified, range]) {
      expect(headers.get('last-modified')).toBeNull()
    }
  })

  it('a damaged blob is 404, and heals with the next push', async () => {
    const berth = await startBerth({ settings })
    const nginx = await startNginx(berth)
    await pushBlob(nginx.url, large)
    await truncate(fileOf(berth, sha256(large)), 1000)

    const read = await fetch(`${nginx.url}${largeUrl}`)
    const error: unknown = await read.json()
    const head = await fetch(`${nginx.url}${largeUrl}`, { method: 'HEAD' })
    await pushBlob(nginx.url, large)
    const healed = await fetch(`${nginx.url}${largeUrl}`)

    expect(read.status).toBe(404)
    expect(error).toMatchObject({ errors: [{ code: 'BLOB_UNKNOWN' }] })
    expect(head.status).toBe(404)
    expect(Buffer.from(await healed.arrayBuffer()).equals(large)).toBe(true)
  })

  it('nobody reads a file without asking the registry', async () => {
    const nginx = await startNginx(await startBerth({ settings }))
    await pushBlob(nginx.url, large)
    const hex = hexOf(sha256(large))

    for (const target of ['', 'sha256/', `sha256/${hex.slice(0, 2)}/${hex}`]) {
      const response = await fetch(`${nginx.url}/berth-blobs/${target}`)
      expect(response.status).toBe(404)
      expect((await response.text()).length).toBeLessThan(1000)
    }
  })

  it('skopeo pushes and pulls', async () => {
    const { url, host } = await startNginx(await startBerth({ settings }))
    const { source } = await writeLayout([newFile(5 * MIB), newFile(200_000), newFile()])
    const back = `oci:${await temporaryDirectory()}:image`

    await copy(source, `docker://${host}/team/app:1`)
    await copy(`docker://${host}/team/app:1`, back)
    await copy(back, `docker://${host}/team/again:1`)

    const contents = await walk(url)
    expect([...contents.keys()]).toEqual(['team/again:1', 'team/app:1'])
    expect(contents.get('team/again:1')).toBe(contents.get('team/app:1'))
  })
})
