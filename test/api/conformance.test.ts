import type { FastifyInstance } from 'fastify'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Digest } from '../../src/oci/digest.js'
import {
  ABSENT,
  bytesOf,
  CONFIG_TYPE,
  descriptor,
  indexOf,
  LAYER_TYPE,
  OCI_INDEX,
  OCI_MANIFEST,
  prepareImage,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
  sha512,
} from '../support/images.js'
import { ownName, sharedTestServer } from '../support/server.js'

const registry = sharedTestServer()

/** The repository of a test. */
let name = ''
beforeEach(() => {
  name = ownName('conformance/suite')
})

/** The ways a client can bring a blob; each gives the answer to its last request. */
const UPLOADS: Record<
  string,
  (
    app: FastifyInstance,
    bytes: Buffer,
    digest: string,
  ) => Promise<{
    statusCode: number
    headers: Record<string, unknown>
  }>
> = {
  async 'a single POST'(app, bytes, digest) {
    return app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?digest=${encodeURIComponent(digest)}`,
      payload: bytes,
    })
  },
  async 'POST and PUT'(app, bytes, digest) {
    return finish(app, await begin(app), bytes, digest)
  },
  async 'a streamed PATCH'(app, bytes, digest) {
    const location = await begin(app)
    const { headers } = await app.inject({ method: 'PATCH', url: location, payload: bytes })
    return finish(app, String(headers.location), undefined, digest)
  },
  async 'one chunk'(app, bytes, digest) {
    return finish(app, await chunk(app, await begin(app), bytes, 0), undefined, digest)
  },
  async chunks(app, bytes, digest) {
    const half = Math.floor(bytes.length / 2)
    const first = await chunk(app, await begin(app), bytes.subarray(0, half), 0)
    const second = await chunk(app, first, bytes.subarray(half), half)
    return finish(app, second, undefined, digest)
  },
}

async function begin(app: FastifyInstance): Promise<string> {
  const { headers } = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })
  return String(headers.location)
}

async function chunk(
  app: FastifyInstance,
  url: string,
  bytes: Buffer,
  firstByte: number,
): Promise<string> {
  if (bytes.length === 0) return url
  const response = await app.inject({
    method: 'PATCH',
    url,
    payload: bytes,
    headers: { 'content-range': `${firstByte}-${firstByte + bytes.length - 1}` },
  })
  expect(response.statusCode).toBe(202)
  return String(response.headers.location)
}

/** As Go clients do: the digest is added to the query of whatever the Location was. */
function finish(
  app: FastifyInstance,
  location: string,
  payload: Buffer | undefined,
  digest: string,
) {
  const url = new URL(location, 'http://registry')
  url.searchParams.set('digest', digest)
  return app.inject({
    method: 'PUT',
    url: `${url.pathname}${url.search}`,
    ...(payload && { payload }),
  })
}

/** What the official suite insists on beyond the text of the specification, number by number. */
describe('the conformance suite', () => {
  it('1: asks for the referrers of a random digest in a repository that does not exist', async () => {
    const { app } = registry

    const referrers = await app.inject(`/v2/${name}/referrers/${ABSENT}`)
    const tags = await app.inject(`/v2/${name}/tags/list`)

    expect(referrers.statusCode).toBe(200)
    expect(referrers.json()).toEqual({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
    expect([200, 404]).toContain(tags.statusCode)
  })

  it.each(Object.entries(UPLOADS))(
    '2, 3, 7: fetches the Location of every blob brought by %s, in both algorithms',
    async (_way, upload) => {
      const { app } = registry
      for (const bytes of [Buffer.alloc(0), Buffer.from('{}'), bytesOf(500), bytesOf(150_000)]) {
        for (const digest of [sha256(bytes), sha512(bytes)]) {
          const pushed = await upload(app, bytes, digest)
          const read = await app.inject(String(pushed.headers['location']))

          expect(pushed.statusCode).toBe(201)
          expect(pushed.headers['docker-content-digest']).toBe(digest)
          expect(read.rawPayload.equals(bytes)).toBe(true)
          expect(read.headers['docker-content-digest']).toBe(digest)
          const removed = await app.inject({ method: 'DELETE', url: `/v2/${name}/blobs/${digest}` })
          expect(removed.statusCode).toBe(202)
        }
      }
    },
  )

  it('2, 3: fetches the Location of manifests and mounts, in both algorithms', async () => {
    const { app } = registry
    for (const digestOf of [sha256, sha512]) {
      const config = await pushBlob(app, name, '{}', digestOf('{}'))
      const mounted = await app.inject({
        method: 'POST',
        url: `/v2/${name}/copy/blobs/uploads/?mount=${config}&from=${name}`,
      })
      expect((await app.inject(String(mounted.headers.location))).body).toBe('{}')

      const image = JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: { mediaType: CONFIG_TYPE, digest: config, size: 2 },
        layers: [],
      })
      const index = indexOf([{ digest: digestOf(image), size: image.length }])
      for (const [text, contentType] of [
        [image, OCI_MANIFEST],
        [index, OCI_INDEX],
      ] as const) {
        const put = await putManifest(app, name, digestOf(text), text, { contentType })
        const read = await app.inject(String(put.headers.location))
        expect(read.body).toBe(text)
        expect(read.headers['content-type']).toBe(contentType)
        expect(read.headers['docker-content-digest']).toBe(digestOf(text))
      }
    }
  })

  it('4: sends chunks out of order, and goes on in the same session', async () => {
    const { app } = registry
    const bytes = bytesOf(1000)
    const location = await begin(app)

    const patch = await app.inject({
      method: 'PATCH',
      url: location,
      payload: bytes.subarray(500),
      headers: { 'content-range': '500-999' },
    })
    const put = await app.inject({
      method: 'PUT',
      url: `${location}?digest=${sha256(bytes)}`,
      payload: bytes.subarray(500),
      headers: { 'content-range': '500-999' },
    })
    const status = await app.inject(location)
    const first = await chunk(app, location, bytes.subarray(0, 500), 0)
    const done = await finish(app, first, bytes.subarray(500), sha256(bytes))

    expect([patch.statusCode, put.statusCode, status.statusCode]).toEqual([416, 416, 204])
    expect(status.headers.range).toMatch(/^0-\d+$/)
    expect(done.statusCode).toBe(201)
  })

  it('5: mounts a blob that the source lacks, and uploads it in the session it gets', async () => {
    const { app } = registry

    const mount = await app.inject({
      method: 'POST',
      url: `/v2/${name}/blobs/uploads/?mount=${sha256('x')}&from=team/source`,
    })
    const done = await finish(app, String(mount.headers.location), Buffer.from('x'), sha256('x'))

    expect([mount.statusCode, done.statusCode]).toEqual([202, 201])
  })

  it('6: asks for ranges, of which some are not there', async () => {
    const { app } = registry
    const bytes = bytesOf(1000)
    const digest = await pushBlob(app, name, bytes)
    const range = (text: string) =>
      app.inject({ url: `/v2/${name}/blobs/${digest}`, headers: { range: text } })

    const part = await range('bytes=10-19')

    expect(part.statusCode).toBe(206)
    expect(part.headers['content-range']).toBe('bytes 10-19/1000')
    expect(part.headers['content-length']).toBe('10')
    expect((await range('bytes=500-0')).statusCode).toBe(416)
    expect((await range('bytes=1000-1001')).statusCode).toBe(416)
  })

  it.each(Object.entries(UPLOADS))('8: brings a wrong digest by %s', async (_way, upload) => {
    const { app } = registry

    for (const digest of [ABSENT, sha512('other'), 'sha256:baddigeststring']) {
      expect((await upload(app, bytesOf(500), digest)).statusCode).toBe(400)
    }
  })

  it('8: pushes a manifest with two more spaces under its old digest', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)

    const spaced = await putManifest(app, name, sha256(manifest), `${manifest}  `)
    const malformed = await putManifest(app, name, 'sha256:baddigeststring', manifest)

    expect([spaced.statusCode, malformed.statusCode]).toEqual([400, 400])
  })

  it('9: pushes an index with a subject by tag, whose children have it as well', async () => {
    const { app } = registry
    const subject = descriptor('the subject', OCI_MANIFEST)
    const children = []
    for (const layer of ['a', 'b']) {
      const { digest, manifest } = await pushImage(app, name, undefined, {
        layers: [layer],
        members: { subject },
      })
      children.push({ digest, size: manifest.length })
    }
    const index = indexOf(children, { subject })

    const put = await putManifest(app, name, 'signed', index, { contentType: OCI_INDEX })
    const { manifests } = (await app.inject(`/v2/${name}/referrers/${subject.digest}`)).json<{
      manifests: { digest: Digest }[]
    }>()

    expect(put.headers['oci-subject']).toBe(subject.digest)
    expect(manifests.map(({ digest }) => digest)).toEqual(
      [sha256(index), ...children.map(({ digest }) => digest)].sort(),
    )
  })

  it('10: pushes manifests of every odd kind', async () => {
    const { app } = registry
    const external = {
      ...descriptor('never uploaded', 'application/vnd.oci.image.layer.nondistributable.v1.tar'),
      urls: ['https://example.com/layer'],
    }
    const inner = indexOf([])
    await putManifest(app, name, sha256(inner), inner, { contentType: OCI_INDEX })
    const nested = indexOf([{ digest: sha256(inner), size: inner.length, mediaType: OCI_INDEX }])
    const odd = {
      'non-distributable layers': { layers: [external] },
      'unknown members': { 'org.example': [{ x: 1 }], layers: [] },
      'inline data': {
        layers: [{ ...descriptor('layer', LAYER_TYPE), data: 'bGF5ZXI=' }],
      },
      'no layers': { layers: [] },
      'nearly 4 MB': { annotations: { pad: 'x'.repeat(3_920_000) } },
    }

    for (const [tag, members] of Object.entries(odd)) {
      const manifest = await prepareImage(app, name, { members })
      const put = await putManifest(app, name, tag.replaceAll(' ', '_'), manifest)
      expect([tag, put.statusCode]).toEqual([tag, 201])
      expect((await app.inject(String(put.headers.location))).body).toBe(manifest)
    }
    for (const index of [inner, nested]) {
      const put = await putManifest(app, name, 'index', index, { contentType: OCI_INDEX })
      expect(put.statusCode).toBe(201)
    }
  })

  it('11: sends Accept as two header lines', async () => {
    const { app, url } = registry
    await pushImage(app, name, 'v1')

    const response = await fetch(`${url}/v2/${name}/manifests/v1`, {
      headers: [
        ['Accept', OCI_INDEX],
        ['Accept', OCI_MANIFEST],
      ],
    })

    expect(response.headers.get('content-type')).toBe(OCI_MANIFEST)
  })

  it('12: deletes tags, then manifests with parents first, then blobs', async () => {
    const { app } = registry
    const { digest, manifest } = await pushImage(app, name, 'v1')
    const index = indexOf([{ digest, size: manifest.length }])
    await putManifest(app, name, 'all', index, { contentType: OCI_INDEX })

    for (const path of [
      'manifests/v1',
      'manifests/all',
      `manifests/${sha256(index)}`,
      `manifests/${digest}`,
      `blobs/${sha256('layer')}`,
      `blobs/${sha256('{}')}`,
    ]) {
      const url = `/v2/${name}/${path}`
      const removed = await app.inject({ method: 'DELETE', url })
      expect([path, removed.statusCode]).toEqual([path, 202])
      expect((await app.inject({ method: 'HEAD', url })).statusCode).toBe(404)
    }
  })
})
