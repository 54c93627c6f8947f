import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { answerOf, walkPages } from '../support/management.js'
import { startTestServer } from '../support/server.js'

interface Run {
  readonly id: number
  readonly kind: string
}

/** A registry that has had a run of each kind, and one that was cut short. */
async function startWithRuns() {
  const dataDirectory = await temporaryDirectory()
  const store = await SqliteMetadataStore.open({ file: path.join(dataDirectory, 'berth.db') })
  const ids = []
  for (const kind of ['gc', 'verify', 'gc', 'retention', 'backup'] as const) {
    const id = await store.beginRun({
      ...{ kind, at: 0, identity: 'operator' },
      options: { dryRun: true },
      report: {},
    })
    ids.push(id)
  }
  const [first = 0] = ids
  await store.recordRun({ id: first, status: 'done', report: { bytes: 5 }, finishedAt: 2000 })
  await store.close()
  return { ...(await startTestServer({ dataDirectory })), ids }
}

describe('GET /api/v1/runs', () => {
  it.each([1, 2, 5])('lists all, or those of a kind, the latest first: by %i', async (limit) => {
    const { app, ids } = await startWithRuns()

    const all = await walkPages<Run>(app, '/runs', limit)
    const gc = await walkPages<Run>(app, '/runs?kind=gc', limit)

    expect(all.items.map(({ id }) => id)).toEqual(ids.toReversed())
    expect(gc.items.map(({ id }) => id)).toEqual([ids[2], ids[0]])
  })
})

describe('a long report', () => {
  const lists = {
    findings: [{ kind: 'blob-missing' }],
    wouldRemove: [{ kind: 'blob' }],
    planned: { tags: 1, repositories: [{ repository: 'app', tags: 1, tagsOfAll: 1 }] },
  }

  it('is whole where its run is asked for, and has no lists among others', async () => {
    const dataDirectory = await temporaryDirectory()
    const store = await SqliteMetadataStore.open({ file: path.join(dataDirectory, 'berth.db') })
    const run = { kind: 'gc', at: 0, identity: 'operator', options: {} } as const
    const id = await store.beginRun({ ...run, report: { ...lists, findingCount: 1 } })
    await store.close()
    const { app } = await startTestServer({ dataDirectory })

    const whole = await answerOf<object>(app, 'GET', `/runs/${id}`)
    const all = await walkPages<object>(app, '/runs', 10)
    const ofKind = await walkPages<object>(app, '/runs?kind=gc', 10)

    expect(whole).toMatchObject({ report: { ...lists, findingCount: 1 } })
    const brief = { ...whole, report: { findingCount: 1, planned: { tags: 1 } } }
    expect(all.items).toEqual([brief])
    expect(ofKind.items).toEqual([brief])
  })
})

describe('GET /api/v1/runs/{id}', () => {
  it('tells how a run has ended', async () => {
    const { app, ids } = await startWithRuns()

    expect(await answerOf(app, 'GET', `/runs/${ids[0]}`)).toEqual({
      id: ids[0],
      kind: 'gc',
      status: 'done',
      startedAt: '1970-01-01T00:00:00.000Z',
      finishedAt: '1970-01-01T00:00:02.000Z',
      startedBy: 'operator',
      options: { dryRun: true },
      report: { bytes: 5 },
    })
    expect(await answerOf(app, 'GET', `/runs/${ids[1]}`)).toMatchObject({ status: 'stopped' })
  })
})
