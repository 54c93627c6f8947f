import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { hexOf, type Digest } from '../../src/oci/digest.js'
import {
  ABSENT,
  bytesOf,
  codesOf,
  prepareImage,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
  sha512,
} from '../support/images.js'
import { ownName, sharedTestServer, startTestServer } from '../support/server.js'

const registry = sharedTestServer()

/** The repository of a test that pushes more than the others do, or deletes. */
let name = ''
beforeEach(() => {
  name = ownName()
})

const big = bytesOf(100_000)

/** Where a blob that is not inline lies. */
function fileOf(dataDirectory: string, digest: Digest): string {
  const hex = hexOf(digest)
  return path.join(dataDirectory, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

describe.each([
  ['inline', bytesOf(1000)],
  ['in a file', big],
])('a blob that is kept %s', (_where, bytes) => {
  const digest = sha256(bytes)
  const url = `/v2/team/app/blobs/${digest}`

  it('comes back byte by byte, with the headers clients need', async () => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject(url)

    expect(response.statusCode).toBe(200)
    expect(response.rawPayload.equals(bytes)).toBe(true)
    expect(response.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(bytes.length),
      'docker-content-digest': digest,
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'cache-control': 'private, max-age=31536000, immutable',
      'docker-distribution-api-version': 'registry/2.0',
    })
    expect(response.headers['content-encoding']).toBeUndefined()
  })

  it('answers HEAD with the headers of GET and no body', async () => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({ method: 'HEAD', url })

    expect(response.statusCode).toBe(200)
    expect(response.body).toBe('')
    expect(response.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(bytes.length),
      'docker-content-digest': digest,
      'accept-ranges': 'bytes',
    })
  })

  it.each([
    ['bytes=0-9', 0, 9],
    ['bytes=10-', 10, bytes.length - 1],
    ['bytes=0-', 0, bytes.length - 1],
    ['bytes=-5', bytes.length - 5, bytes.length - 1],
    [`bytes=5-${bytes.length + 100}`, 5, bytes.length - 1],
    [`bytes=-${bytes.length * 2}`, 0, bytes.length - 1],
    ['Bytes = 3-3', 3, 3],
  ])('gives the part that %s asks for', async (range, first, last) => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({ url, headers: { range } })

    expect(response.statusCode).toBe(206)
    expect(response.headers['content-range']).toBe(`bytes ${first}-${last}/${bytes.length}`)
    expect(response.headers['content-length']).toBe(String(last - first + 1))
    expect(response.rawPayload.equals(bytes.subarray(first, last + 1))).toBe(true)
  })

  it.each([
    'bytes=500-0',
    `bytes=${bytes.length}-`,
    'bytes=99999999-',
    'bytes=-0',
    'bytes=a-b',
    'bytes=-',
    'bytes=',
    'bytes=1-2-3',
    'bytes=0x1-2',
    'bytes=1e3-',
    'bytes=99999999999999999999-',
  ])('refuses %s with 416, the size, and the length of the error itself', async (range) => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({ url, headers: { range } })

    expect(response.statusCode).toBe(416)
    expect(codesOf(response)).toEqual(['RANGE_INVALID'])
    expect(response.headers['content-range']).toBe(`bytes */${bytes.length}`)
    expect(response.headers['content-length']).toBe(String(response.rawPayload.length))
  })

  it('answers several ranges with all of them', async () => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({ url, headers: { range: 'bytes=0-9, 20-29,-10' } })

    expect(response.statusCode).toBe(206)
    expect(response.headers['content-length']).toBe(String(response.rawPayload.length))
    const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(
      String(response.headers['content-type']),
    )?.[1]
    const part = (first: number, last: number) =>
      `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
      `Content-Range: bytes ${first}-${last}/${bytes.length}\r\n\r\n` +
      bytes.subarray(first, last + 1).toString('latin1')
    expect(response.rawPayload.toString('latin1')).toBe(
      part(0, 9) +
        part(20, 29) +
        part(bytes.length - 10, bytes.length - 1) +
        `\r\n--${boundary}--\r\n`,
    )
  })

  it.each([
    ['another unit', 'lines=1-2'],
    ['parts that overlap to more than the whole', 'bytes=0-,0-'],
    ['more parts than a client has a reason to ask for', `bytes=${'0-0,'.repeat(1024)}1-1`],
  ])('answers %s with the whole blob', async (_case, range) => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({ url, headers: { range } })

    expect(response.statusCode).toBe(200)
    expect(response.rawPayload.equals(bytes)).toBe(true)
  })

  it.each([`"${digest}"`, digest, `W/"${digest}"`, '*', `"other", "${digest}"`])(
    'answers 304 to If-None-Match: %s',
    async (ifNoneMatch) => {
      const { app } = registry
      await pushBlob(app, 'team/app', bytes)

      for (const method of ['GET', 'HEAD'] as const) {
        const response = await app.inject({
          method,
          url,
          headers: { 'if-none-match': ifNoneMatch, range: 'bytes=0-1' },
        })

        expect(response.statusCode).toBe(304)
        expect(response.body).toBe('')
        expect(response.headers.etag).toBe(`"${digest}"`)
      }
    },
  )

  it('answers 200 to an If-None-Match of something else', async () => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({ url, headers: { 'if-none-match': `"${ABSENT}"` } })

    expect(response.statusCode).toBe(200)
  })

  it.each([
    [`"${digest}"`, 206],
    [`W/"${digest}"`, 200],
    [`"${ABSENT}"`, 200],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 200],
  ])('takes If-Range: %s as a condition for the range', async (ifRange, status) => {
    const { app } = registry
    await pushBlob(app, 'team/app', bytes)

    const response = await app.inject({
      url,
      headers: { range: 'bytes=0-9', 'if-range': ifRange },
    })

    expect(response.statusCode).toBe(status)
  })
})

describe('reading a blob', () => {
  it('is 404 in a repository that does not have it, also when another has', async () => {
    const { app } = registry
    const digest = await pushBlob(app, name, 'bytes')
    const other = ownName()
    await pushBlob(app, other, 'other bytes')

    const elsewhere = await app.inject(`/v2/${other}/blobs/${digest}`)
    const nowhere = await app.inject(`/v2/${ownName()}/blobs/${digest}`)
    const absent = await app.inject(`/v2/${name}/blobs/${ABSENT}`)

    expect(elsewhere.statusCode).toBe(404)
    expect(codesOf(elsewhere)).toEqual(['BLOB_UNKNOWN'])
    expect(nowhere.statusCode).toBe(404)
    expect(codesOf(nowhere)).toEqual(['NAME_UNKNOWN'])
    expect(absent.statusCode).toBe(404)
  })

  it('is 400 for a malformed digest, and 404 for an algorithm nobody here can compute', async () => {
    const { app } = registry
    await pushBlob(app, name, 'bytes')

    for (const digest of ['sha256:abc', `sha256:${'A'.repeat(64)}`, 'nonsense', 'sha256:', ':x']) {
      const response = await app.inject(`/v2/${name}/blobs/${digest}`)
      expect(response.statusCode).toBe(400)
      expect(codesOf(response)).toEqual(['DIGEST_INVALID'])
    }
    const foreign = await app.inject(`/v2/${name}/blobs/blake3:${'0'.repeat(64)}`)
    expect(foreign.statusCode).toBe(404)
  })

  it('does not serve manifests as blobs, nor blobs as manifests', async () => {
    const { app } = registry
    const { digest } = await pushImage(app, name, 'v1')

    expect((await app.inject(`/v2/${name}/blobs/${digest}`)).statusCode).toBe(404)
    expect((await app.inject(`/v2/${name}/manifests/${sha256('layer')}`)).statusCode).toBe(404)
  })

  it('knows a blob by its sha512 digest where it was pushed so', async () => {
    const { app } = registry
    const digest = sha512(big)
    await pushBlob(app, name, big, digest)

    const response = await app.inject(`/v2/${name}/blobs/${digest}`)

    expect(response.statusCode).toBe(200)
    expect(response.headers['docker-content-digest']).toBe(digest)
    expect(response.rawPayload.equals(big)).toBe(true)
    expect((await app.inject(`/v2/${name}/blobs/${sha256(big)}`)).statusCode).toBe(404)
  })

  it('takes a digest that is percent-encoded in the path', async () => {
    const { app } = registry
    const digest = await pushBlob(app, name, 'bytes')

    const response = await app.inject(`/v2/${name}/blobs/${encodeURIComponent(digest)}`)

    expect(response.statusCode).toBe(200)
  })

  it('serves the empty blob, and has no range of it', async () => {
    const { app } = registry
    const digest = await pushBlob(app, name, '')
    const url = `/v2/${name}/blobs/${digest}`

    const whole = await app.inject(url)
    const part = await app.inject({ url, headers: { range: 'bytes=0-' } })

    expect(whole.statusCode).toBe(200)
    expect(whole.headers['content-length']).toBe('0')
    expect(part.statusCode).toBe(416)
    expect(part.headers['content-range']).toBe('bytes */0')
  })
})

describe('a blob file that is damaged', () => {
  it.each([
    ['missing', (file: string) => rm(file)],
    ['too short', (file: string) => truncate(file, 10)],
    ['empty', (file: string) => truncate(file, 0)],
    ['too long', (file: string) => writeFile(file, Buffer.concat([big, big]))],
    [
      'a folder',
      async (file: string) => {
        await rm(file)
        await mkdir(path.join(file, 'inside'), { recursive: true })
      },
    ],
    [
      'not to be opened',
      async (file: string) => {
        await rm(file)
        await symlink(file, file)
      },
    ],
  ])(
    'when %s is never answered with 200, counts as absent, and heals with the next push',
    async (_how, damage) => {
      const { app, dataDirectory } = registry
      // Nobody else has these.
      const bytes = bytesOf(100_000, name)
      const digest = await pushBlob(app, name, bytes)
      const url = `/v2/${name}/blobs/${digest}`
      await damage(fileOf(dataDirectory, digest))

      const read = await app.inject(url)
      const head = await app.inject({ method: 'HEAD', url })
      await pushBlob(app, name, bytes)
      const healed = await app.inject(url)

      expect(read.statusCode).toBe(404)
      expect(codesOf(read)).toEqual(['BLOB_UNKNOWN'])
      expect(read.body).not.toContain(dataDirectory)
      expect(head.statusCode).toBe(404)
      expect(healed.statusCode).toBe(200)
      expect(healed.rawPayload.equals(bytes)).toBe(true)
    },
  )
})

describe('a blob whose file a server in front sends', () => {
  const digest = sha256(big)
  const url = `/v2/team/app/blobs/${digest}`

  const behind = (accelRedirect: string) => ({ config: { storage: { accelRedirect } } })
  const server = sharedTestServer(behind('/berth-blobs'))
  beforeEach(() => pushBlob(server.app, 'team/app', big))

  it.each(['/berth-blobs', '/berth-blobs/', '/a/b-c_d.e'])(
    'is answered with its place below %s and no bytes, whatever ranges are wanted',
    async (prefix) => {
      const { app, dataDirectory } = await startTestServer(behind(prefix))
      await pushBlob(app, 'team/app', big)
      const wanted = [{}, { range: 'bytes=0-9' }, { range: 'bytes=0-9,20-29' }]

      const responses = await Promise.all(wanted.map((headers) => app.inject({ url, headers })))

      for (const { statusCode, headers, rawPayload } of responses) {
        expect(statusCode).toBe(200)
        expect(rawPayload.length).toBe(0)
        expect(headers).toMatchObject({
          'content-type': 'application/octet-stream',
          'content-length': '0',
          'docker-content-digest': digest,
          etag: `"${digest}"`,
          'cache-control': 'private, max-age=31536000, immutable',
          'docker-distribution-api-version': 'registry/2.0',
        })
        const below = path.relative(
          path.join(dataDirectory, 'blobs'),
          fileOf(dataDirectory, digest),
        )
        expect(headers['x-accel-redirect']).toBe(`${prefix.replace(/\/$/, '')}/${below}`)
      }
    },
  )

  it('is found by its sha512 digest as well', async () => {
    const { app } = server
    const other = sha512(big)
    await pushBlob(app, 'team/app', big, other)

    const { headers } = await app.inject(`/v2/team/app/blobs/${other}`)

    const hex = hexOf(other)
    expect(headers['x-accel-redirect']).toBe(`/berth-blobs/sha512/${hex.slice(0, 2)}/${hex}`)
  })

  it('is answered with its bytes when it is inline', async () => {
    const { app } = server
    const small = await pushBlob(app, 'team/app', 'small')

    const response = await app.inject(`/v2/team/app/blobs/${small}`)

    expect(response.body).toBe('small')
    expect(response.headers).not.toHaveProperty('x-accel-redirect')
  })

  it.each([{ 'if-match': '"x"' }, { 'if-unmodified-since': 'Sat, 21 Nov 2026 00:00:00 GMT' }])(
    'is answered with its bytes when that server would refuse: %j',
    async (headers) => {
      const { app } = server

      const response = await app.inject({ url, headers })

      expect(response.rawPayload.equals(big)).toBe(true)
      expect(response.headers).not.toHaveProperty('x-accel-redirect')
    },
  )

  it('is told about and refused as ever', async () => {
    const { app } = server

    const head = await app.inject({ method: 'HEAD', url })
    const known = await app.inject({ url, headers: { 'if-none-match': `"${digest}"` } })
    const outside = await app.inject({ url, headers: { range: 'bytes=999999-' } })
    const unknown = await app.inject(`/v2/team/app/blobs/${ABSENT}`)

    const answers = [head, known, outside, unknown]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 304, 416, 404])
    expect(head.headers['content-length']).toBe(String(big.length))
    expect(outside.headers['content-range']).toBe(`bytes */${big.length}`)
    for (const { headers } of answers) expect(headers).not.toHaveProperty('x-accel-redirect')
  })

  it.each([
    ['missing', (file: string) => rm(file)],
    ['too short', (file: string) => truncate(file, 10)],
  ])('is 404 when it is %s, counts as absent, and heals with the next push', async (_, damage) => {
    const { app, dataDirectory } = await startTestServer(behind('/berth-blobs'))
    await pushBlob(app, 'team/app', big)
    await damage(fileOf(dataDirectory, digest))

    const read = await app.inject(url)
    const head = await app.inject({ method: 'HEAD', url })
    await pushBlob(app, 'team/app', big)
    const healed = await app.inject(url)

    expect([read.statusCode, ...codesOf(read)]).toEqual([404, 'BLOB_UNKNOWN'])
    expect(read.headers).not.toHaveProperty('x-accel-redirect')
    expect(head.statusCode).toBe(404)
    expect(healed.headers).toHaveProperty('x-accel-redirect')
  })
})

describe('DELETE of a blob', () => {
  it('takes it from this repository alone', async () => {
    const { app } = registry
    const digest = await pushBlob(app, name, 'bytes')
    const other = ownName()
    await pushBlob(app, other, 'bytes')

    const response = await app.inject({ method: 'DELETE', url: `/v2/${name}/blobs/${digest}` })

    expect(response.statusCode).toBe(202)
    expect(response.headers['content-length']).toBe('0')
    expect((await app.inject(`/v2/${name}/blobs/${digest}`)).statusCode).toBe(404)
    expect((await app.inject(`/v2/${other}/blobs/${digest}`)).statusCode).toBe(200)
  })

  it('can be followed by the same push again', async () => {
    const { app } = registry
    for (let round = 0; round < 3; round++) {
      const digest = await pushBlob(app, name, '{}')
      const url = `/v2/${name}/blobs/${digest}`
      expect((await app.inject({ method: 'DELETE', url })).statusCode).toBe(202)
      expect((await app.inject(url)).statusCode).toBe(404)
    }
  })

  it('is 404 for what is not there', async () => {
    const { app } = registry
    await pushBlob(app, name, 'bytes')

    const blob = await app.inject({ method: 'DELETE', url: `/v2/${name}/blobs/${ABSENT}` })
    const nowhere = await app.inject({ method: 'DELETE', url: `/v2/${ownName()}/blobs/${ABSENT}` })

    expect([blob.statusCode, ...codesOf(blob)]).toEqual([404, 'BLOB_UNKNOWN'])
    expect([nowhere.statusCode, ...codesOf(nowhere)]).toEqual([404, 'NAME_UNKNOWN'])
  })

  it('is refused with 405 while a manifest needs the blob, and possible after it', async () => {
    const { app } = registry
    const { digest } = await pushImage(app, name, 'v1')
    const url = `/v2/${name}/blobs/${sha256('layer')}`

    const refused = await app.inject({ method: 'DELETE', url })
    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })
    const done = await app.inject({ method: 'DELETE', url })

    expect([refused.statusCode, ...codesOf(refused)]).toEqual([405, 'UNSUPPORTED'])
    expect(refused.body).toContain(digest)
    expect(done.statusCode).toBe(202)
  })

  it('is possible although a manifest needs the blob when the configuration says so', async () => {
    const { app } = await startTestServer({ config: { deletes: { referencedBlobs: 'allow' } } })
    await pushImage(app, name, 'v1')

    const response = await app.inject({
      method: 'DELETE',
      url: `/v2/${name}/blobs/${sha256('layer')}`,
    })

    expect(response.statusCode).toBe(202)
  })

  it('leaves a mounted blob where it was mounted', async () => {
    const { app } = registry
    const digest = await pushBlob(app, name, 'bytes')
    const copy = ownName()
    await app.inject({
      method: 'POST',
      url: `/v2/${copy}/blobs/uploads/?mount=${digest}&from=${name}`,
    })

    await app.inject({ method: 'DELETE', url: `/v2/${name}/blobs/${digest}` })

    expect((await app.inject(`/v2/${copy}/blobs/${digest}`)).body).toBe('bytes')
  })
})

describe('a push against a delete of the same blob', () => {
  it('leaves either a manifest whose blobs are there, or none', async () => {
    const { app } = registry
    for (let round = 0; round < 20; round++) {
      const manifest = await prepareImage(app, name)
      const layer = `/v2/${name}/blobs/${sha256('layer')}`

      const [put, removal] = await Promise.all([
        putManifest(app, name, 'v1', manifest),
        app.inject({ method: 'DELETE', url: layer }),
      ])

      const pulled = await app.inject(`/v2/${name}/manifests/v1`)
      if (put.statusCode === 201) {
        expect(removal.statusCode).toBe(405)
        expect(pulled.statusCode).toBe(200)
        expect((await app.inject(layer)).statusCode).toBe(200)
      } else {
        expect(removal.statusCode).toBe(202)
        expect(codesOf(put)).toEqual(['MANIFEST_BLOB_UNKNOWN'])
        expect(pulled.statusCode).toBe(404)
      }
      await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${sha256(manifest)}` })
    }
  })
})
