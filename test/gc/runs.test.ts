import path from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { Runs } from '../../src/gc/runs.js'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { RunProgress } from '../../src/metadata/runs.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../support/directories.js'

/** Runs whose rows are in a store that lets a test in between a row's end and whoever wrote it. */
async function startRuns(onRecorded: (progress: RunProgress) => Promise<void>) {
  const file = path.join(await temporaryDirectory(), 'berth.db')
  const store = await SqliteMetadataStore.open({ file })
  onTestFinished(() => store.close())
  const metadata = new Proxy<MetadataStore>(store, {
    get(target, name: keyof MetadataStore) {
      if (name !== 'recordRun') return memberOf(target, name)
      return async (progress: RunProgress) => {
        await target.recordRun(progress)
        await onRecorded(progress)
      }
    },
  })
  const audit = { note: () => undefined }
  const options = { metadata, audit, log: pino({ level: 'silent' }), now: Date.now }
  const runs = new Runs('gc', { ...options, onDurabilityLost: () => undefined })
  return { runs, store }
}

/** A member as the store itself has it. */
function memberOf(store: MetadataStore, name: keyof MetadataStore): unknown {
  const member: unknown = Reflect.get(store, name)
  return typeof member === 'function' ? (member.bind(store) as unknown) : member
}

const nothing = async () => ({ status: 'done', report: {} }) as const
const failing = async () => {
  throw new Error('broken')
}

it.each([
  ['done', nothing],
  ['failed', failing],
])('lets the next one begin as soon as anybody can read that one has %s', async (_, work) => {
  const begun: Promise<unknown>[] = []
  const { runs } = await startRuns(async () => {
    if (begun.length === 0) begun.push(runs.begin({}, 'second', {}, nothing))
  })

  const { ended } = await runs.begin({}, 'first', {}, work)
  await ended.catch(() => undefined)

  expect(await Promise.all(begun)).toMatchObject([{ id: 2 }])
})

it('say how far they have come, while they are under way and when they fail', async () => {
  const { runs, store } = await startRuns(async () => undefined)
  const underWay: unknown[] = []
  const { ended } = await runs.begin({}, 'tester', {}, async ({ progress }) => {
    await progress({ removed: 1 })
    underWay.push(...(await store.listRuns({ limit: 1 })))
    await progress({ removed: 2 })
    throw new Error('broken')
  })
  await ended.catch(() => undefined)

  expect(underWay).toMatchObject([{ status: 'running', report: { removed: 1 } }])
  expect(await store.listRuns({ limit: 1 })).toMatchObject([
    { status: 'failed', report: { removed: 2, message: 'broken' } },
  ])
})

it('are closed when the rows of what has ended are written', async () => {
  let isWritten = false
  const { runs, store } = await startRuns(async () => {
    await store.listRuns({ limit: 1 })
    isWritten = true
  })
  await runs.begin({}, 'tester', {}, nothing)

  await runs.close()

  expect(isWritten).toBe(true)
  expect(await store.listRuns({ limit: 1 })).toMatchObject([{ status: 'done' }])
})
