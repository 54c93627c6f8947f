import { describe, expect, it } from 'vitest'
import {
  ABSENT,
  descriptor,
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  putManifest,
  sha256,
} from '../support/images.js'
import { answerOf, ask, problemOf, walkPages } from '../support/management.js'
import { startTestServer } from '../support/server.js'

const AT = Date.UTC(2026, 0, 2)
const DAY = 24 * 60 * 60 * 1000
const APP = '/repositories/team%2Fapp'

interface Item {
  readonly digest: string
}

describe('the manifests of a repository', () => {
  it('are told with what they hold, and what a delete takes along', async () => {
    const { app } = await startTestServer({ now: () => AT })
    const { digest, manifest } = await pushImage(app, 'team/app', 'v1')
    await putManifest(app, 'team/app', 'v0', manifest)
    const index = indexOf([descriptor(manifest, OCI_MANIFEST)])
    await putManifest(app, 'team/app', 'all', index, { contentType: OCI_INDEX })
    await pushImage(app, 'team/app', undefined, {
      members: { subject: descriptor(manifest, OCI_MANIFEST) },
    })

    const details = await answerOf(app, 'GET', `${APP}/manifests/${digest}`)

    expect(details).toMatchObject({
      digest,
      mediaType: OCI_MANIFEST,
      sizeBytes: manifest.length,
      pushedAt: '2026-01-02T00:00:00.000Z',
      pushedBy: 'anonymous',
      tagged: true,
      hasMoreReferences: false,
      tags: ['v0', 'v1'],
      hasMoreTags: false,
      heldBy: [sha256(index)],
      hasMoreHolders: false,
      referrerCount: 1,
    })
    expect(details).toMatchObject({
      references: [
        { digest: sha256('{}'), kind: 'config', sizeBytes: 2 },
        { digest: sha256('layer'), kind: 'layer', sizeBytes: 5 },
      ].toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
    })
  })

  it.each([1, 2, 4])('are walked by cursors of pages of %i', async (limit) => {
    const { app } = await startTestServer()
    const digests = []
    for (const config of ['1', '2', '3']) {
      digests.push((await pushImage(app, 'team/app', undefined, { config })).digest)
    }

    const { items } = await walkPages<Item>(app, `${APP}/manifests`, limit)

    expect(items.map(({ digest }) => digest)).toEqual(digests.toSorted())
  })

  it.each([1, 60, 1000])('have tags by pages of %i, however many', async (limit) => {
    const { app } = await startTestServer()
    const { digest, manifest } = await pushImage(app, 'team/app')
    const tags = Array.from({ length: 120 }, (_, index) => `t${String(index).padStart(3, '0')}`)
    for (const some of [tags.slice(0, 100), tags.slice(100)]) {
      const query = `?${some.map((tag) => `tag=${tag}`).join('&')}`
      await putManifest(app, 'team/app', digest, manifest, { query })
    }

    const { items } = await walkPages<string>(app, `${APP}/manifests/${digest}/tags`, limit)
    const deletion = await answerOf<object>(app, 'DELETE', `${APP}/manifests/${digest}`)

    expect(items).toEqual(tags)
    expect(deletion).toMatchObject({ tags: tags.slice(0, 100), more: true })
    const left = await answerOf(app, 'GET', `${APP}/tags`)
    expect(left).toEqual({ items: [] })
  })

  it('that were deleted are listed until they cannot come back', async () => {
    let at = AT
    const { app } = await startTestServer({ now: () => at, config: { undo: { days: 7 } } })
    const first = await pushImage(app, 'team/app', 'v1', { config: '1' })
    const second = await pushImage(app, 'team/app', 'v2', { config: '2' })
    const deletion = await answerOf(app, 'DELETE', `${APP}/manifests/${first.digest}`)
    at += DAY
    await answerOf(app, 'DELETE', `${APP}/manifests/${second.digest}`)
    const deleted = async (limit: number) => {
      const { items } = await walkPages<Item>(app, `${APP}/manifests?deleted=true`, limit)
      return items
    }

    expect(deletion).toEqual({
      tags: ['v1'],
      more: false,
      restorableUntil: '2026-01-09T00:00:00.000Z',
    })
    expect(await answerOf(app, 'GET', `${APP}/manifests`)).toEqual({ items: [] })
    for (const limit of [1, 2]) {
      expect(await deleted(limit)).toMatchObject([
        { digest: second.digest, deletedAt: '2026-01-03T00:00:00.000Z', deletedBy: 'anonymous' },
        { digest: first.digest, goesAt: '2026-01-09T00:00:00.000Z' },
      ])
    }
    at = AT + 7 * DAY
    expect((await deleted(10)).map(({ digest }) => digest)).toEqual([second.digest])
    at += DAY
    expect(await deleted(10)).toEqual([])
  })

  it('are refused where they are none, or not any more', async () => {
    const { app } = await startTestServer()
    const { digest } = await pushImage(app, 'team/app', 'v1')
    await answerOf(app, 'DELETE', `${APP}/manifests/${digest}`)
    const codeOf = async (method: 'GET' | 'DELETE', path: string) =>
      problemOf(await ask(app, method, path)).code

    for (const unknown of [digest, ABSENT]) {
      expect(await codeOf('GET', `${APP}/manifests/${unknown}`)).toBe('MANIFEST_UNKNOWN')
      expect(await codeOf('GET', `${APP}/manifests/${unknown}/tags`)).toBe('MANIFEST_UNKNOWN')
      expect(await codeOf('DELETE', `${APP}/manifests/${unknown}`)).toBe('MANIFEST_UNKNOWN')
    }
    expect(await codeOf('GET', `${APP}/manifests/v1`)).toBe('DIGEST_INVALID')
    expect(await codeOf('DELETE', `${APP}/manifests/v1`)).toBe('DIGEST_INVALID')
    expect(await codeOf('GET', `/repositories/x/manifests`)).toBe('NAME_UNKNOWN')
  })
})
