import { describe, expect, it } from 'vitest'
import { OCI_MANIFEST, pushImage, putManifest } from '../support/images.js'
import { answerOf, ask, operatorTokenIn, problemOf, walkPages } from '../support/management.js'
import { startTestServer } from '../support/server.js'

const AT = Date.UTC(2026, 0, 2)
const now = () => AT
const APP = '/repositories/team%2Fapp'

describe('the tags of a repository', () => {
  it('are told with what they point to', async () => {
    const { app } = await startTestServer({ now })
    const { digest, manifest } = await pushImage(app, 'team/app', 'v1')

    const tag = await answerOf(app, 'GET', `${APP}/tags/v1`)

    expect(tag).toEqual({
      name: 'v1',
      digest,
      mediaType: OCI_MANIFEST,
      sizeBytes: manifest.length,
      updatedAt: '2026-01-02T00:00:00.000Z',
      updatedBy: 'anonymous',
    })
    expect(await answerOf(app, 'GET', `${APP}/tags`)).toEqual({ items: [tag] })
  })

  it.each([1, 2, 5])('are walked by cursors of pages of %i', async (limit) => {
    const { app } = await startTestServer()
    const { manifest } = await pushImage(app, 'team/app', 'b')
    for (const tag of ['a', 'A', '_', 'b.1']) await putManifest(app, 'team/app', tag, manifest)

    const { items } = await walkPages<{ name: string }>(app, `${APP}/tags`, limit)

    expect(items.map(({ name }) => name)).toEqual(['A', '_', 'a', 'b', 'b.1'])
  })

  it('go alone when they are deleted', async () => {
    const { app } = await startTestServer({ now, config: { undo: { days: 7 } } })
    const { manifest } = await pushImage(app, 'team/app', 'v1')
    await putManifest(app, 'team/app', 'v2', manifest)

    const deletion = await answerOf(app, 'DELETE', `${APP}/tags/v1`)

    expect(deletion).toEqual({
      tags: ['v1'],
      more: false,
      restorableUntil: '2026-01-09T00:00:00.000Z',
    })
    expect((await app.inject('/v2/team/app/manifests/v1')).statusCode).toBe(404)
    expect((await app.inject('/v2/team/app/manifests/v2')).statusCode).toBe(200)
    expect(problemOf(await ask(app, 'DELETE', `${APP}/tags/v1`)).code).toBe('MANIFEST_UNKNOWN')
  })

  it('are refused where they are none', async () => {
    const { app } = await startTestServer()
    await pushImage(app, 'team/app', 'v1')

    expect(problemOf(await ask(app, 'GET', `${APP}/tags/-`)).code).toBe('TAG_INVALID')
    expect(problemOf(await ask(app, 'GET', `${APP}/tags/v2`)).code).toBe('MANIFEST_UNKNOWN')
    expect(problemOf(await ask(app, 'GET', '/repositories/x/tags')).code).toBe('NAME_UNKNOWN')
    expect(problemOf(await ask(app, 'GET', `${APP}/tags/a%2Fb`)).code).toBe('TAG_INVALID')
  })
})

describe.each([
  ['access.mode readOnly', { access: { mode: 'readOnly' } }, 'the registry is read-only'],
  ['deletes.enabled false', { deletes: { enabled: false } }, 'deleting is switched off'],
] as const)('with %s', (_, config, sentence) => {
  it('nobody but the operator deletes', async () => {
    const open = await startTestServer()
    await pushImage(open.app, 'team/app', 'v1')
    await open.server.close()
    const { dataDirectory } = open
    const { app } = await startTestServer({ dataDirectory, config })

    const refused = await ask(app, 'DELETE', `${APP}/tags/v1`)

    expect(refused.statusCode).toBe(403)
    expect(problemOf(refused)).toMatchObject({ code: 'DENIED' })
    expect(problemOf(refused).detail).toMatch(sentence)
    expect((await ask(app, 'GET', `${APP}/tags/v1`)).statusCode).toBe(200)

    const token = operatorTokenIn(dataDirectory)
    expect((await ask(app, 'DELETE', `${APP}/tags/v1`, { token })).statusCode).toBe(200)
    const { items } = await answerOf<{ items: { by: string }[] }>(app, 'GET', `${APP}/history`)
    expect(items[0]?.by).toBe('operator')
  })
})
