import { describe, expect, it } from 'vitest'
import type { CollectReport } from '../../src/gc/collector.js'
import { eventually } from '../support/eventually.js'
import { pushImage } from '../support/images.js'
import { answerOf, ask, problemOf } from '../support/management.js'
import { startTestServer } from '../support/server.js'

const APP = 'team/app'

interface Run {
  readonly id: number
  readonly status: string
  readonly report: CollectReport
}

type App = Parameters<typeof ask>[0]

/** A run to its end. */
async function collect(app: App, body: object): Promise<Run> {
  const { id } = await answerOf<Run>(app, 'POST', '/gc/runs', body)
  return eventually(
    () => answerOf<Run>(app, 'GET', `/runs/${id}`),
    ({ status }) => status !== 'running',
  )
}

describe('runs of gc', () => {
  it('say what would go and why, stop at the brake, and free it when that is confirmed', async () => {
    const { app } = await startTestServer({ config: { undo: { days: 0 } } })
    const { digest } = await pushImage(app, APP, 'v1')
    await app.inject({ method: 'DELETE', url: `/v2/${APP}/manifests/${digest}` })

    const dry = await collect(app, { now: true, dryRun: true })
    expect(dry.report.wouldRemove?.[0]).toMatchObject({
      ...{ kind: 'manifest', repository: APP, digest, reason: 'manifest deleted' },
    })
    const braked = await collect(app, { now: true })
    expect(braked).toMatchObject({ status: 'braked', report: { removed: { blobs: 0 } } })
    const done = await collect(app, { now: true, confirm: true })
    expect(done).toMatchObject({ status: 'done', report: { removed: { manifests: 1, blobs: 2 } } })

    expect(await answerOf(app, 'GET', '/gc')).toMatchObject({
      ...{ enabled: true, undoDays: 0, brakePercent: 25, isRunning: false },
      lastRun: { id: done.id, status: 'done' },
    })
  })

  it('are one at a time, and are asked for what they know', async () => {
    const { app } = await startTestServer()

    const [first, second] = await Promise.all([
      ask(app, 'POST', '/gc/runs', { body: { dryRun: true } }),
      ask(app, 'POST', '/gc/runs', { body: { dryRun: true } }),
    ])
    expect([first.statusCode, second.statusCode].sort()).toEqual([202, 409])

    const unknown = await ask(app, 'POST', '/gc/runs', { body: { everything: true } })
    expect(unknown.statusCode).toBe(400)
    expect(problemOf(unknown).detail).toContain('everything')
  })
})

describe('usage', () => {
  it('is added up once for all who ask while it is, and once more for those who want it fresh', async () => {
    const { server } = await startTestServer()
    const { usage } = server.maintenance

    const first = usage.measure({ fresh: false })
    const fresh = Array.from({ length: 20 }, () => usage.measure({ fresh: true }))
    const figures = await Promise.all([first, ...fresh, usage.measure({ fresh: false })])

    expect(new Set(figures).size).toBe(2)
    expect(new Set(figures.slice(1, -1)).size).toBe(1)
    expect(figures[1]).not.toBe(figures[0])
  })

  it('tells what is stored, what is on its way out, and when that goes', async () => {
    const now = Date.now()
    const { app } = await startTestServer({ now: () => now })
    await pushImage(app, APP, 'v1', { layers: ['a'.repeat(100_000)] })
    await pushImage(app, 'team/other', 'v1', { layers: ['b'.repeat(100_000)] })
    await answerOf(app, 'DELETE', '/repositories/team%2Fother?confirm=team%2Fother')

    const usage = await answerOf<Record<string, unknown>>(app, 'GET', '/usage?fresh=true')

    expect(usage).toMatchObject({
      ...{ fileBytes: 200_000, blobCount: 3, manifestCount: 2, collectableBytes: 0 },
      goes: [
        { bytes: 0 },
        { by: new Date(now + 7 * 86_400_000).toISOString(), bytes: expect.any(Number) as number },
        {},
      ],
    })
    // The shared config stays.
    expect(usage['windowBytes']).toBeGreaterThan(100_000)
    expect(usage['windowBytes']).toBeLessThan(101_000)
  })
})
