import type { FastifyInstance } from 'fastify'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Digest } from '../../src/oci/digest.js'
import {
  ABSENT,
  codesOf,
  CONFIG_TYPE,
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  prepareImage,
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
  name = ownName()
})

interface ReferrersIndex {
  schemaVersion: number
  mediaType: string
  manifests: { digest: string; mediaType: string; size: number; artifactType?: string }[]
}

async function list(app: FastifyInstance, subject: string, query = '') {
  const response = await app.inject(`/v2/${name}/referrers/${subject}${query}`)
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-type']).toBe(OCI_INDEX)
  const index = response.json<ReferrersIndex>()
  expect([index.schemaVersion, index.mediaType]).toEqual([2, OCI_INDEX])
  return { headers: response.headers, manifests: index.manifests }
}

/** Pushes a manifest that refers to a subject, by its digest. */
async function refer(
  app: FastifyInstance,
  subject: string,
  members: object = {},
): Promise<{ digest: Digest; size: number }> {
  const manifest = await prepareImage(app, name, {
    members: { subject: { mediaType: OCI_MANIFEST, digest: subject, size: 1 }, ...members },
  })
  const put = await putManifest(app, name, sha256(manifest), manifest)
  expect(put.statusCode).toBe(201)
  return { digest: sha256(manifest), size: manifest.length }
}

const digestsOf = ({ manifests }: { manifests: { digest: string }[] }) =>
  manifests.map(({ digest }) => digest)

describe('the referrers list', () => {
  it('is empty, never 404, for a subject or a repository nobody knows', async () => {
    const { app } = registry

    expect((await list(app, ABSENT)).manifests).toEqual([])
    await pushImage(app, name, 'v1')
    expect((await list(app, ABSENT)).manifests).toEqual([])
    expect((await list(app, `blake3:${'0'.repeat(64)}`)).manifests).toEqual([])
  })

  it('is 400 for a malformed digest', async () => {
    const { app } = registry

    for (const digest of ['nonsense', 'sha256:x', 'latest']) {
      const response = await app.inject(`/v2/${name}/referrers/${digest}`)
      expect([response.statusCode, ...codesOf(response)]).toEqual([400, 'DIGEST_INVALID'])
    }
  })

  it('says of each referrer what the specification asks for, and no more', async () => {
    const { app } = registry
    const own = await refer(app, ABSENT, {
      artifactType: 'application/x.sbom',
      annotations: { key: 'value', __proto__: 'x' },
    })
    const byConfig = await refer(app, ABSENT)
    const index = indexOf([], { subject: { mediaType: OCI_MANIFEST, digest: ABSENT, size: 1 } })
    await putManifest(app, name, 'index', index, { contentType: OCI_INDEX })

    const { manifests } = await list(app, ABSENT)

    const find = (digest: string) => manifests.find((entry) => entry.digest === digest)
    expect(manifests).toHaveLength(3)
    expect(find(own.digest)).toEqual({
      mediaType: OCI_MANIFEST,
      digest: own.digest,
      size: own.size,
      artifactType: 'application/x.sbom',
      annotations: { key: 'value' },
    })
    expect(find(byConfig.digest)).toEqual({
      mediaType: OCI_MANIFEST,
      digest: byConfig.digest,
      size: byConfig.size,
      artifactType: CONFIG_TYPE,
    })
    expect(find(sha256(index))).toEqual({
      mediaType: OCI_INDEX,
      digest: sha256(index),
      size: index.length,
    })
  })

  it('has the children of an index that refer themselves', async () => {
    const { app } = registry
    const child = await refer(app, ABSENT)
    const index = indexOf([child], {
      subject: { mediaType: OCI_MANIFEST, digest: ABSENT, size: 1 },
    })
    await putManifest(app, name, sha256(index), index, { contentType: OCI_INDEX })

    expect(digestsOf(await list(app, ABSENT)).sort()).toEqual([child.digest, sha256(index)].sort())
  })

  it('filters by the computed artifact type, by any of several, with + raw or encoded', async () => {
    const { app } = registry
    const sbom = await refer(app, ABSENT, { artifactType: 'application/x.sbom+json' })
    const signature = await refer(app, ABSENT, { artifactType: 'application/x.signature' })
    const byConfig = await refer(app, ABSENT)

    const filtered = async (query: string) => {
      const { headers, manifests } = await list(app, ABSENT, query)
      expect(headers['oci-filters-applied']).toBe('artifactType')
      return digestsOf({ manifests })
    }

    expect(await filtered('?artifactType=application/x.sbom%2Bjson')).toEqual([sbom.digest])
    expect(await filtered('?artifactType=application/x.sbom+json')).toEqual([sbom.digest])
    expect(await filtered(`?artifactType=${encodeURIComponent(CONFIG_TYPE)}`)).toEqual([
      byConfig.digest,
    ])
    expect(
      await filtered(
        '?artifactType=application/x.sbom%2Bjson&artifactType=application/x.signature',
      ),
    ).toEqual([sbom.digest, signature.digest].sort())
    expect(await filtered('?artifactType=none/such')).toEqual([])
  })

  it('is whole and unmarked when the filter is empty', async () => {
    const { app } = registry
    await refer(app, ABSENT)

    const { headers, manifests } = await list(app, ABSENT, '?artifactType=&other=x')

    expect(manifests).toHaveLength(1)
    expect(headers['oci-filters-applied']).toBeUndefined()
  })

  it.each([1, 2, 3, 7])('has every referrer once in pages of %i', async (n) => {
    const { app } = registry
    const expected: string[] = []
    for (let index = 0; index < 7; index++) {
      const { digest } = await refer(app, ABSENT, { annotations: { index: String(index) } })
      expected.push(digest)
    }

    const found: string[] = []
    let query: string | undefined = `?n=${n}&artifactType=${encodeURIComponent(CONFIG_TYPE)}`
    while (query !== undefined) {
      const page = await list(app, ABSENT, query)
      expect(page.headers['oci-filters-applied']).toBe('artifactType')
      found.push(...digestsOf(page))
      query = /<[^?]*(\?[^>]*)>; rel="next"/.exec(String(page.headers.link))?.[1]
    }

    expect(found).toEqual(expected.sort())
  })

  it('ends a page before it grows beyond what clients read', async () => {
    const { app } = registry
    for (let index = 0; index < 3; index++) {
      await refer(app, ABSENT, {
        annotations: { index: String(index), pad: 'x'.repeat(1_900_000) },
      })
    }

    const response = await app.inject(`/v2/${name}/referrers/${ABSENT}`)

    expect(response.rawPayload.length).toBeLessThan(4 * 1024 * 1024)
    expect(response.json<ReferrersIndex>().manifests).toHaveLength(2)
    expect(response.headers.link).toMatch(/rel="next"/)
  })

  it('keeps subjects apart by repository and algorithm', async () => {
    const { app } = registry
    const { manifest } = await pushImage(app, name, 'v1')
    const referrer = await refer(app, sha512(manifest))

    expect(digestsOf(await list(app, sha512(manifest)))).toEqual([referrer.digest])
    expect((await list(app, sha256(manifest))).manifests).toEqual([])
    const other = await app.inject(`/v2/team/other/referrers/${sha512(manifest)}`)
    expect(other.json<ReferrersIndex>().manifests).toEqual([])
  })

  it('loses a referrer with its deletion, and keeps it without its subject', async () => {
    const { app } = registry
    const subject = await pushImage(app, name, 'v1')
    const kept = await refer(app, subject.digest)
    const removed = await refer(app, subject.digest, { artifactType: 'application/x' })

    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${removed.digest}` })
    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${subject.digest}` })

    expect(digestsOf(await list(app, subject.digest))).toEqual([kept.digest])
  })

  it('shows what a client listed under the fallback tag, once, and only while it is here', async () => {
    const { app } = registry
    const both = await refer(app, ABSENT)
    const listed = await pushImage(app, name, undefined, {
      members: { artifactType: 'application/x.old' },
    })
    const gone = await pushImage(app, name, undefined, { layers: ['gone'] })
    const entries = [both, listed, gone].map(({ digest }) => ({ digest, size: 1 }))
    const fallbackTag = ABSENT.replace(':', '-')
    await putManifest(app, name, fallbackTag, indexOf(entries), { contentType: OCI_INDEX })
    await app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${gone.digest}` })

    const { manifests } = await list(app, ABSENT)
    const filtered = await list(app, ABSENT, '?artifactType=application/x.old')

    expect(digestsOf({ manifests })).toEqual([both.digest, listed.digest].sort())
    expect(digestsOf(filtered)).toEqual([listed.digest])
    const tags = (await app.inject(`/v2/${name}/tags/list`)).json<{ tags: string[] }>().tags
    expect(tags).toEqual([fallbackTag])
  })
})
