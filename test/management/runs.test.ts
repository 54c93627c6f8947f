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
