import Database from 'better-sqlite3'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { beforeEach, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import {
  ABSENT,
  ABSENT_SHA512,
  bytesOf,
  codesOf,
  CONFIG_TYPE,
  descriptor,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
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
import { ownName, sharedTestServer, startTestServer } from '../support/server.js'

const registry = sharedTestServer()

/** The repository of a test. */
let name = ''
beforeEach(() => {
  name = ownName()
})

/** So many tags of a manifest that is there. */
async function pushTags(
  app: FastifyInstance,
  digest: string,
  manifest: string,
  count: number,
): Promise<string[]> {
  const tags = Array.from({ length: count }, (_, index) => `n${10_000 + index}`)
  for (let at = 0; at < count; at += 100) {
    const query = `?tag=${tags.slice(at, at + 100).join('&tag=')}`
    expect((await putManifest(app, name, digest, manifest, { query })).statusCode).toBe(201)
  }
  return tags
}

/** How many rows of tags are in the database, and how many that tell of a removal. */
function removalsIn(dataDirectory: string): { left: number; removed: number } {
  const connection = new Database(path.join(dataDirectory, 'berth.db'), { readonly: true })
  try {
    return connection
      .prepare<[], { left: number; removed: number }>(
        `select (select count(*) from tags) as left,
           (select count(distinct tag) from history where to_digest is null and tag <> '') as removed`,
      )
      .get() as { left: number; removed: number }
  } finally {
    connection.close()
  }
}

describe('PUT of a manifest', () => {
  it('by tag answers with its digest, and GET gives back exactly these bytes', async () => {
    const { app } = registry
    const manifest = `${await prepareImage(app, name)}  \n`

    const put = await putManifest(app, name, 'v1', manifest)
    const digest = sha256(manifest)

    expect(put.statusCode).toBe(201)
    expect(put.headers).toMatchObject({
      location: `/v2/${name}/manifests/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
    })
    expect(put.headers['oci-subject']).toBeUndefined()
    for (const reference of ['v1', digest]) {
      const got = await app.inject(`/v2/${name}/manifests/${reference}`)
      expect(got.statusCode).toBe(200)
      expect(got.body).toBe(manifest)
      expect(got.headers).toMatchObject({
        'content-type': OCI_MANIFEST,
        'content-length': String(manifest.length),
        'docker-content-digest': digest,
        etag: `"${digest}"`,
      })
    }
  })

  it.each([
    [OCI_MANIFEST, { config: descriptor('{}', CONFIG_TYPE), layers: [] }],
    [OCI_MANIFEST, { config: descriptor('{}', CONFIG_TYPE), layers: null }],
    [DOCKER_MANIFEST, { config: descriptor('{}', CONFIG_TYPE), layers: [] }],
    [OCI_INDEX, { manifests: [] }],
    [DOCKER_MANIFEST_LIST, { manifests: [] }],
    [
      'application/vnd.oci.artifact.manifest.v1+json',
      { artifactType: 'application/x', blobs: [descriptor('{}', CONFIG_TYPE)] },
    ],
  ])('takes %s and gives it back with that very type', async (mediaType, members) => {
    const { app } = registry
    await pushBlob(app, name, '{}')
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType, ...members })

    const put = await putManifest(app, name, 'v1', manifest, {
      contentType: `${mediaType}; charset=utf-8`,
    })
    const got = await app.inject(`/v2/${name}/manifests/v1`)

    expect(put.statusCode).toBe(201)
    expect(got.headers['content-type']).toBe(mediaType)
    expect(got.body).toBe(manifest)
  })

  it('of a type that the specification has dropped is answered with a warning', async () => {
    const { app } = registry
    const mediaType = 'application/vnd.oci.artifact.manifest.v1+json'
    const manifest = JSON.stringify({ mediaType, blobs: [] })

    const put = await putManifest(app, name, 'v1', manifest, { contentType: mediaType })

    expect(put.statusCode).toBe(201)
    expect(put.headers.warning).toMatch(/^299 - "[^"]+"$/)
  })

  it('knows the type by mediaType when there is no Content-Type', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)

    const put = await app.inject({
      method: 'PUT',
      url: `/v2/${name}/manifests/v1`,
      payload: Buffer.from(manifest),
    })

    expect(put.statusCode).toBe(201)
    expect((await app.inject(`/v2/${name}/manifests/v1`)).headers['content-type']).toBe(
      OCI_MANIFEST,
    )
  })

  const image = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor('{}', CONFIG_TYPE),
    layers: [descriptor('layer', LAYER_TYPE)],
  }
  it.each([
    ['no JSON', '{', OCI_MANIFEST],
    ['nothing', '', OCI_MANIFEST],
    ['no object', '[]', OCI_MANIFEST],
    ['a schema 1 type', '{}', 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    ['schema 1 as JSON', '{"schemaVersion":1,"fsLayers":[]}', 'application/json'],
    ['an unknown type', '{}', 'application/vnd.example+json'],
    ['another type than it says', JSON.stringify(image), DOCKER_MANIFEST],
    ['schemaVersion 1', JSON.stringify({ ...image, schemaVersion: 1 }), OCI_MANIFEST],
    ['an image and an index at once', JSON.stringify({ ...image, manifests: [] }), OCI_MANIFEST],
    ['no config', JSON.stringify({ ...image, config: undefined }), OCI_MANIFEST],
    [
      'a malformed digest',
      JSON.stringify({ ...image, layers: [{ ...image.layers[0], digest: 'sha256:x' }] }),
      OCI_MANIFEST,
    ],
    [
      'a negative size',
      JSON.stringify({ ...image, layers: [{ ...image.layers[0], size: -1 }] }),
      OCI_MANIFEST,
    ],
    ['a malformed subject', JSON.stringify({ ...image, subject: {} }), OCI_MANIFEST],
    ['a key twice', JSON.stringify(image).replace('{', '{"config":{},'), OCI_MANIFEST],
    ['a nesting bomb', `{"a":${'['.repeat(100_000)}`, OCI_MANIFEST],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), OCI_MANIFEST],
  ])('refuses %s, and stores nothing', async (_what, manifest, contentType) => {
    const { app } = registry
    await prepareImage(app, name)

    const put = await putManifest(app, name, 'v1', manifest, { contentType })

    expect([put.statusCode, ...codesOf(put)]).toEqual([400, 'MANIFEST_INVALID'])
    expect((await app.inject(`/v2/${name}/manifests/v1`)).statusCode).toBe(404)
    expect((await app.inject(`/v2/${name}/manifests/${sha256(manifest)}`)).statusCode).toBe(404)
  })

  it('takes 4 MiB and refuses more with 413, announced or not', async () => {
    const { app, url } = registry
    const text = await prepareImage(app, name, { members: { annotations: { pad: '' } } })
    const padded = (length: number) =>
      text.replace('"pad":""', `"pad":"${'x'.repeat(length - text.length)}"`)
    const limit = 4 * 1024 * 1024

    const fits = await putManifest(app, name, 'v1', padded(limit))
    const announced = await putManifest(app, name, 'v2', padded(limit + 1))
    const streamed = await fetch(`${url}/v2/${name}/manifests/v2`, {
      method: 'PUT',
      headers: { 'content-type': OCI_MANIFEST },
      body: new Blob([padded(limit + 1)]).stream(),
      duplex: 'half',
    })

    expect(fits.statusCode).toBe(201)
    expect((await app.inject(`/v2/${name}/manifests/v1`)).body).toBe(padded(limit))
    expect([announced.statusCode, ...codesOf(announced)]).toEqual([413, 'SIZE_INVALID'])
    expect(streamed.status).toBe(413)
    expect((await app.inject(`/v2/${name}/manifests/v2`)).statusCode).toBe(404)
  })

  it('names every blob that is missing, once', async () => {
    const { app } = registry
    await pushBlob(app, name, '{}')
    const layers = ['a', 'b', 'a'].map((text) => descriptor(text, LAYER_TYPE))
    const manifest = JSON.stringify({ ...image, layers })

    const put = await putManifest(app, name, 'v1', manifest)

    const { errors } = put.json<{ errors: { code: string; detail: { digest: string } }[] }>()
    expect(put.statusCode).toBe(400)
    expect(errors.map(({ code, detail }) => [code, detail.digest])).toEqual([
      ['MANIFEST_BLOB_UNKNOWN', sha256('a')],
      ['MANIFEST_BLOB_UNKNOWN', sha256('b')],
    ])
    expect((await app.inject(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: [] })
  })

  it('does not count blobs of another repository', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, ownName())

    const put = await putManifest(app, name, 'v1', manifest)

    expect([put.statusCode, ...codesOf(put)]).toEqual([
      400,
      'MANIFEST_BLOB_UNKNOWN',
      'MANIFEST_BLOB_UNKNOWN',
    ])
    expect((await app.inject(`/v2/${name}/tags/list`)).statusCode).toBe(404)
  })

  it('takes a non-distributable layer with urls that nobody has pushed', async () => {
    const { app } = registry
    const type = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
    const layer = { ...descriptor('elsewhere', type), urls: ['https://example.com/layer'] }

    const external = await prepareImage(app, name, { members: { layers: [layer] } })
    const withoutUrls = await prepareImage(app, name, {
      members: { layers: [{ ...layer, urls: [] }] },
    })

    expect((await putManifest(app, name, 'v1', external)).statusCode).toBe(201)
    expect((await putManifest(app, name, 'v2', withoutUrls)).statusCode).toBe(400)
  })

  it.each([
    ['sha256', sha256],
    ['sha512', sha512],
  ])('by its %s digest keeps it under that digest', async (_algorithm, digestOf) => {
    const { app } = registry
    const manifest = await prepareImage(app, name)
    const digest = digestOf(manifest)

    const put = await putManifest(app, name, digest, manifest)

    expect(put.statusCode).toBe(201)
    expect(put.headers['docker-content-digest']).toBe(digest)
    expect(put.headers.location).toBe(`/v2/${name}/manifests/${digest}`)
    const got = await app.inject(`/v2/${name}/manifests/${digest}`)
    expect([got.body, got.headers['docker-content-digest']]).toEqual([manifest, digest])
  })

  it('keeps the addresses of one manifest in two algorithms apart', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)
    await putManifest(app, name, sha256(manifest), manifest)
    await putManifest(app, name, sha512(manifest), manifest)

    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${sha256(manifest)}` })

    expect((await app.inject(`/v2/${name}/manifests/${sha256(manifest)}`)).statusCode).toBe(404)
    expect((await app.inject(`/v2/${name}/manifests/${sha512(manifest)}`)).statusCode).toBe(200)
  })

  it('under a digest that is not its own is refused', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)

    const spaced = await putManifest(app, name, sha256(manifest), `${manifest}  `)
    const malformed = await putManifest(app, name, 'sha256:baddigeststring', manifest)
    const foreign = await putManifest(app, name, `blake3:${'0'.repeat(64)}`, manifest)

    for (const refused of [spaced, malformed, foreign]) {
      expect([refused.statusCode, ...codesOf(refused)]).toEqual([400, 'DIGEST_INVALID'])
    }
    expect((await app.inject(`/v2/${name}/manifests/${sha256(manifest)}`)).statusCode).toBe(404)
  })

  it.each(['.v1', '-v1', 'v+1', 'v 1', 'ä', 'x'.repeat(129)])('refuses the tag %s', async (tag) => {
    const { app } = registry
    const manifest = await prepareImage(app, name)

    const put = await putManifest(app, name, encodeURIComponent(tag), manifest)

    expect([put.statusCode, ...codesOf(put)]).toEqual([400, 'TAG_INVALID'])
  })

  it.each(['_', 'V1', 'v1.2.3-rc_1', 'latest', 'x'.repeat(128), 'sha256-abc.sig'])(
    'takes the tag %s',
    async (tag) => {
      const { app } = registry

      const { digest } = await pushImage(app, name, tag)

      const got = await app.inject(`/v2/${name}/manifests/${tag}`)
      expect(got.headers['docker-content-digest']).toBe(digest)
    },
  )

  it('may be repeated', async () => {
    const { app } = registry
    const { manifest, digest } = await pushImage(app, name, 'v1')

    const again = await putManifest(app, name, 'v1', manifest)
    const byDigest = await putManifest(app, name, digest, manifest)

    expect([again.statusCode, byDigest.statusCode]).toEqual([201, 201])
    expect((await app.inject(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: ['v1'] })
  })

  it('moves a tag, and leaves the old manifest under its digest', async () => {
    const { app } = registry
    const old = await pushImage(app, name, 'latest', { layers: ['old'] })

    const fresh = await pushImage(app, name, 'latest', { layers: ['new'] })

    const got = await app.inject(`/v2/${name}/manifests/latest`)
    expect(got.headers['docker-content-digest']).toBe(fresh.digest)
    expect((await app.inject(`/v2/${name}/manifests/${old.digest}`)).body).toBe(old.manifest)
  })

  it('of 32 writers to one tag ends with one of them, whole', async () => {
    const { app } = registry
    const images = await Promise.all(
      Array.from({ length: 32 }, (_, index) =>
        prepareImage(app, name, { layers: [`layer ${index}`] }),
      ),
    )

    const puts = await Promise.all(
      images.map((manifest) => putManifest(app, name, 'latest', manifest)),
    )

    const got = await app.inject(`/v2/${name}/manifests/latest`)
    expect(puts.map(({ statusCode }) => statusCode)).toEqual(images.map(() => 201))
    expect(images).toContain(got.body)
    expect(got.headers['docker-content-digest']).toBe(sha256(got.body))
    for (const manifest of images) {
      const one = await app.inject(`/v2/${name}/manifests/${sha256(manifest)}`)
      expect(one.body).toBe(manifest)
    }
  })
})

describe('tag parameters of a PUT by digest', () => {
  it('set every tag, and are named in OCI-Tag', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)
    const digest = sha512(manifest)
    const tags = Array.from({ length: 12 }, (_, index) => `v${index}`)
    const query = `?${tags.map((tag) => `tag=${tag}`).join('&')}`

    const put = await putManifest(app, name, digest, manifest, { query })

    expect(put.statusCode).toBe(201)
    expect(put.headers['oci-tag']).toBe(tags.join(', '))
    for (const tag of tags) {
      const got = await app.inject({ method: 'HEAD', url: `/v2/${name}/manifests/${tag}` })
      expect(got.headers['docker-content-digest']).toBe(digest)
    }
  })

  it('with one that is no tag store nothing', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)
    const digest = sha256(manifest)

    const put = await putManifest(app, name, digest, manifest, { query: '?tag=good&tag=.bad' })

    expect([put.statusCode, ...codesOf(put)]).toEqual([400, 'TAG_INVALID'])
    expect((await app.inject(`/v2/${name}/manifests/good`)).statusCode).toBe(404)
    expect((await app.inject(`/v2/${name}/manifests/${digest}`)).statusCode).toBe(404)
  })

  it('beyond a hundred are refused with 414', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)
    const parameters = (count: number) =>
      `?${Array.from({ length: count }, (_, i) => `tag=${'t'.repeat(120)}${i}`).join('&')}`

    const fits = await putManifest(app, name, sha256(manifest), manifest, {
      query: parameters(100),
    })
    const tooMany = await putManifest(app, name, sha256(manifest), manifest, {
      query: parameters(101),
    })

    expect(fits.statusCode).toBe(201)
    expect(tooMany.statusCode).toBe(414)
  })

  it('mean nothing on a PUT by tag', async () => {
    const { app } = registry
    const manifest = await prepareImage(app, name)

    const put = await putManifest(app, name, 'v1', manifest, { query: '?tag=other' })

    expect(put.statusCode).toBe(201)
    expect(put.headers['oci-tag']).toBeUndefined()
    expect((await app.inject(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: ['v1'] })
  })
})

describe('an index', () => {
  const child = { digest: ABSENT, size: 1 }

  it('holds manifests, blobs and other indexes', async () => {
    const { app } = registry
    const image = await pushImage(app, name)
    const cache = await pushBlob(app, name, 'a cache layer')
    const inner = indexOf([{ digest: image.digest, size: image.manifest.length }])
    await putManifest(app, name, sha256(inner), inner, { contentType: OCI_INDEX })

    const outer = indexOf([
      { digest: sha256(inner), size: inner.length, mediaType: OCI_INDEX },
      { digest: cache, size: 13, mediaType: LAYER_TYPE },
    ])
    const put = await putManifest(app, name, 'all', outer, { contentType: OCI_INDEX })

    expect(put.statusCode).toBe(201)
    expect((await app.inject(`/v2/${name}/manifests/all`)).body).toBe(outer)
  })

  it('with a child that is not here is refused by default', async () => {
    const { app } = registry

    const put = await putManifest(app, name, 'v1', indexOf([child]), { contentType: OCI_INDEX })

    expect([put.statusCode, ...codesOf(put)]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN'])
    expect(put.body).toContain(ABSENT)
  })

  it('may be sparse where the configuration says so', async () => {
    const { app } = await startTestServer({ config: { manifests: { indexChildren: 'none' } } })

    const put = await putManifest(app, name, 'v1', indexOf([child]), { contentType: OCI_INDEX })

    expect(put.statusCode).toBe(201)
  })

  it('needs only the children for listed platforms where the configuration lists them', async () => {
    const { app } = await startTestServer({
      config: { manifests: { indexChildren: 'listed', indexPlatforms: ['linux/amd64'] } },
    })
    const on = (architecture: string) =>
      indexOf([{ ...child, platform: { os: 'linux', architecture } } as typeof child])

    const listed = await putManifest(app, name, 'v1', on('amd64'), { contentType: OCI_INDEX })
    const other = await putManifest(app, name, 'v1', on('s390x'), { contentType: OCI_INDEX })

    expect(listed.statusCode).toBe(400)
    expect(other.statusCode).toBe(201)
  })
})

describe('a manifest with a subject', () => {
  it.each(['by tag', 'by digest'])('pushed %s is answered with OCI-Subject', async (how) => {
    const { app } = registry
    const subject = { mediaType: OCI_MANIFEST, digest: ABSENT_SHA512, size: 5 }
    const image = await prepareImage(app, name, { members: { subject } })
    const index = indexOf([], { subject })

    for (const [manifest, contentType] of [
      [image, OCI_MANIFEST],
      [index, OCI_INDEX],
    ] as const) {
      const reference = how === 'by tag' ? 'v1' : sha256(manifest)
      const put = await putManifest(app, name, reference, manifest, { contentType })

      expect(put.statusCode).toBe(201)
      expect(put.headers['oci-subject']).toBe(ABSENT_SHA512)
    }
  })
})

describe('reading a manifest', () => {
  it('answers HEAD with the headers of GET', async () => {
    const { app } = registry
    const { digest, manifest } = await pushImage(app, name, 'v1')

    for (const [reference, caching] of [
      ['v1', 'no-cache'],
      [digest, 'private, max-age=31536000, immutable'],
    ]) {
      const head = await app.inject({ method: 'HEAD', url: `/v2/${name}/manifests/${reference}` })
      expect(head.statusCode).toBe(200)
      expect(head.body).toBe('')
      expect(head.headers).toMatchObject({
        'content-type': OCI_MANIFEST,
        'content-length': String(manifest.length),
        'docker-content-digest': digest,
        etag: `"${digest}"`,
        'cache-control': caching,
      })
    }
  })

  it('gives what is stored, whatever Accept says', async () => {
    const { app } = registry
    const { digest, manifest } = await pushImage(app, name, 'v1')
    const index = indexOf([{ digest, size: manifest.length }])
    await putManifest(app, name, 'all', index, { contentType: OCI_INDEX })

    for (const accept of [DOCKER_MANIFEST, 'text/html', '*/*', `${OCI_INDEX}, ${OCI_MANIFEST}`]) {
      const got = await app.inject({
        url: `/v2/${name}/manifests/all`,
        headers: { accept },
      })
      expect([got.statusCode, got.headers['content-type']]).toEqual([200, OCI_INDEX])
    }
  })

  it('answers 304 to a client that has it', async () => {
    const { app } = registry
    const { digest } = await pushImage(app, name, 'v1')

    for (const method of ['GET', 'HEAD'] as const) {
      const response = await app.inject({
        method,
        url: `/v2/${name}/manifests/v1`,
        headers: { 'if-none-match': `"${digest}"` },
      })
      expect(response.statusCode).toBe(304)
      expect(response.body).toBe('')
      expect(response.headers['docker-content-digest']).toBe(digest)
    }
  })

  it('tells an unknown tag or digest from an unknown repository', async () => {
    const { app } = registry
    await pushImage(app, name, 'v1')

    for (const reference of ['v2', ABSENT, ABSENT_SHA512, `blake3:${'0'.repeat(64)}`]) {
      const response = await app.inject(`/v2/${name}/manifests/${reference}`)
      expect([response.statusCode, ...codesOf(response)]).toEqual([404, 'MANIFEST_UNKNOWN'])
    }
    const nowhere = await app.inject('/v2/team/none/manifests/v1')
    expect([nowhere.statusCode, ...codesOf(nowhere)]).toEqual([404, 'NAME_UNKNOWN'])
  })

  it('is refused for what is neither tag nor digest', async () => {
    const { app } = registry

    expect((await app.inject(`/v2/${name}/manifests/sha256:x`)).statusCode).toBe(400)
    expect((await app.inject(`/v2/${name}/manifests/.x`)).statusCode).toBe(400)
  })

  it('never gives bytes that do not have their digest, and heals with the next push', async () => {
    const { app, dataDirectory } = await startTestServer()
    const { digest, manifest } = await pushImage(app, name, 'v1')
    const database = new Database(path.join(dataDirectory, 'berth.db'))
    database.prepare('update manifest_contents set bytes = ?').run(Buffer.from('{"rotten":1}'))
    database.close()

    const byTag = await app.inject(`/v2/${name}/manifests/v1`)
    const head = await app.inject({ method: 'HEAD', url: `/v2/${name}/manifests/${digest}` })
    await putManifest(app, name, digest, manifest)
    const healed = await app.inject(`/v2/${name}/manifests/v1`)

    expect([byTag.statusCode, ...codesOf(byTag)]).toEqual([404, 'MANIFEST_UNKNOWN'])
    expect(head.statusCode).toBe(404)
    expect(healed.body).toBe(manifest)
  })
})

describe('DELETE of a manifest', () => {
  it('by digest takes every tag that points to it, and nothing else', async () => {
    const { app } = registry
    const { digest, manifest } = await pushImage(app, name, 'v1')
    await putManifest(app, name, 'also', manifest)
    const other = await pushImage(app, name, 'other', { layers: ['other'] })

    const response = await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })

    expect(response.statusCode).toBe(202)
    expect(response.headers['content-length']).toBe('0')
    for (const reference of ['v1', 'also', digest]) {
      expect((await app.inject(`/v2/${name}/manifests/${reference}`)).statusCode).toBe(404)
    }
    expect((await app.inject(`/v2/${name}/manifests/other`)).body).toBe(other.manifest)
    expect((await app.inject(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: ['other'] })
    expect((await app.inject(`/v2/${name}/blobs/${sha256('layer')}`)).statusCode).toBe(200)
  })

  it('by tag takes the tag alone', async () => {
    const { app } = registry
    const { digest, manifest } = await pushImage(app, name, 'v1')
    await putManifest(app, name, 'also', manifest)

    const response = await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/v1` })

    expect(response.statusCode).toBe(202)
    expect((await app.inject(`/v2/${name}/manifests/v1`)).statusCode).toBe(404)
    for (const reference of ['also', digest]) {
      expect((await app.inject(`/v2/${name}/manifests/${reference}`)).body).toBe(manifest)
    }
  })

  it('leaves the children of an index', async () => {
    const { app } = registry
    const { digest, manifest } = await pushImage(app, name)
    const index = indexOf([{ digest, size: manifest.length }])
    await putManifest(app, name, 'all', index, { contentType: OCI_INDEX })

    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${sha256(index)}` })

    expect((await app.inject(`/v2/${name}/manifests/${digest}`)).body).toBe(manifest)
  })

  it('leaves a repository that has no tag', async () => {
    const { app } = registry
    await pushImage(app, name, 'v1')

    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/v1` })

    expect((await app.inject(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: [] })
  })

  it('can be followed by the same push again', async () => {
    const { app } = registry
    for (let round = 0; round < 3; round++) {
      const { digest, manifest } = await pushImage(app, name, 'v1')
      expect((await app.inject(`/v2/${name}/manifests/v1`)).body).toBe(manifest)
      await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })
      expect((await app.inject(`/v2/${name}/manifests/v1`)).statusCode).toBe(404)
    }
  })

  it('by digest takes thousands of tags at once, and their history is written', async () => {
    const { app, dataDirectory } = await startTestServer()
    const { digest, manifest } = await pushImage(app, name)
    const tags = await pushTags(app, digest, manifest, 3_000)
    await pushImage(app, name, 'other', { layers: ['other'] })
    const list = async () => (await app.inject(`/v2/${name}/tags/list?n=2`)).json<object>()

    const [response, twice] = await Promise.all(
      [1, 2].map(() => app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })),
    )
    const listed = await list()
    const statuses = await Promise.all(
      [digest, tags[0], tags[1_500], tags[2_999]].map(async (reference) => {
        const answer = await app.inject(`/v2/${name}/manifests/${reference}`)
        return answer.statusCode
      }),
    )

    expect([response?.statusCode, twice?.statusCode]).toEqual([202, 404])
    expect(listed).toEqual({ name, tags: ['other'] })
    expect(statuses).toEqual([404, 404, 404, 404])
    await eventually(
      () => removalsIn(dataDirectory),
      ({ removed }) => removed === tags.length,
    )
    expect(removalsIn(dataDirectory)).toEqual({ left: 1, removed: tags.length })
    expect(await list()).toEqual({ name, tags: ['other'] })
  })

  it('takes its time also over a restart', async () => {
    const dataDirectory = await temporaryDirectory()
    const { app, server } = await startTestServer({ dataDirectory })
    const { digest, manifest } = await pushImage(app, name)
    const tags = await pushTags(app, digest, manifest, 2_000)
    // Nothing tidies up after a delete any more.
    await server.housekeeping.stop()
    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })
    await server.close()
    const before = removalsIn(dataDirectory)

    const { app: again } = await startTestServer({ dataDirectory })
    const listed = await again.inject(`/v2/${name}/tags/list`)

    expect(before).toEqual({ left: tags.length, removed: 0 })
    expect(listed.json()).toEqual({ name, tags: [] })
    await eventually(
      () => removalsIn(dataDirectory),
      ({ left, removed }) => left === 0 && removed === tags.length,
    )
  })

  it('is 404 for what is not there', async () => {
    const { app } = registry
    await pushImage(app, name, 'v1')

    for (const reference of ['v2', ABSENT]) {
      const response = await app.inject({
        method: 'DELETE',
        url: `/v2/${name}/manifests/${reference}`,
      })
      expect([response.statusCode, ...codesOf(response)]).toEqual([404, 'MANIFEST_UNKNOWN'])
    }
    const nowhere = await app.inject({ method: 'DELETE', url: '/v2/team/none/manifests/v1' })
    expect([nowhere.statusCode, ...codesOf(nowhere)]).toEqual([404, 'NAME_UNKNOWN'])
  })
})

describe('a repository', () => {
  it.each([
    'a',
    'a/b/c/d/e/f',
    'a.b/c_d/e__f/g---h',
    'manifests',
    'blobs/uploads',
    'a/tags/list',
    'tags/list/tags/list',
    'manifests/manifests/blobs/uploads/referrers',
    'x'.repeat(255),
  ])('can be called %s', async (repository) => {
    const { app } = registry

    const { digest, manifest } = await pushImage(app, repository, 'v1')

    expect((await app.inject(`/v2/${repository}/manifests/v1`)).body).toBe(manifest)
    expect((await app.inject(`/v2/${repository}/tags/list`)).json()).toEqual({
      name: repository,
      tags: ['v1'],
    })
    expect((await app.inject(`/v2/${repository}/blobs/${sha256('layer')}`)).body).toBe('layer')
    expect((await app.inject(`/v2/${repository}/referrers/${digest}`)).statusCode).toBe(200)
    const session = await app.inject({ method: 'POST', url: `/v2/${repository}/blobs/uploads/` })
    expect((await app.inject(String(session.headers.location))).statusCode).toBe(204)
  })
})

describe('a repository that is refused', () => {
  /** Has none. */
  const empty = sharedTestServer()

  it.each([
    'A',
    'a/B',
    'a//b',
    '-a',
    'a-',
    'a..b',
    'a___b',
    'a/_b',
    'a%2Fb',
    'a%20b',
    'a%00b',
    'ä',
    'x'.repeat(256),
  ])('cannot be called %s', async (repository) => {
    const { app } = empty
    const raw = repository === 'ä' ? '%C3%A4' : repository

    for (const [method, url] of [
      ['GET', `/v2/${raw}/manifests/v1`],
      ['HEAD', `/v2/${raw}/manifests/v1`],
      ['PUT', `/v2/${raw}/manifests/v1`],
      ['DELETE', `/v2/${raw}/manifests/v1`],
      ['GET', `/v2/${raw}/blobs/${ABSENT}`],
      ['DELETE', `/v2/${raw}/blobs/${ABSENT}`],
      ['POST', `/v2/${raw}/blobs/uploads/`],
      ['PATCH', `/v2/${raw}/blobs/uploads/00000000-0000-0000-0000-000000000000`],
      ['GET', `/v2/${raw}/tags/list`],
      ['GET', `/v2/${raw}/referrers/${ABSENT}`],
    ] as const) {
      const response = await app.inject({ method, url })
      expect(response.statusCode).toBe(400)
      if (method !== 'HEAD') expect(codesOf(response)).toEqual(['NAME_INVALID'])
    }
    expect((await app.inject('/v2/_catalog')).json()).toEqual({ repositories: [] })
  })
})

describe('a large image', () => {
  it('has its manifest accepted with thousands of layers', async () => {
    const { app } = registry
    const layer = await pushBlob(app, name, bytesOf(100))
    const manifest = await prepareImage(app, name, {
      members: {
        layers: Array.from({ length: 5000 }, () => ({
          mediaType: LAYER_TYPE,
          digest: layer,
          size: 100,
        })),
      },
    })

    expect((await putManifest(app, name, 'v1', manifest)).statusCode).toBe(201)
  })
})
