import { afterAll, describe, expect, it } from 'vitest'
import { dayMs } from '../../src/times.js'
import { Client, imageOf } from './support/client.js'
import { GARBAGE, type GarbageKind } from './support/garbage.js'
import { Lanes } from './support/lanes.js'
import { OPERATIONS } from './support/operations.js'
import { Track, type Call, type StopPoint } from './support/track.js'
import { run, type Trial } from './support/trial.js'
import type { World } from './support/world.js'

const wanted = process.env['BERTH_TEST_INTERLEAVINGS']

/**
 * Also what comes to the same as something else: before and after each call, and not only after those
 * that have found or changed something; and each operation with each kind of garbage.
 */
const triesAll = wanted === 'all'

/** Otherwise of five points one, another one with the next operation: a few seconds. */
const triesEach = triesAll || wanted === 'each'

/** What any collecting asks of the stores. */
const ALWAYS = [
  ...['expireUploads', 'listUploadRemains', 'removeDeletedTags', 'listFileRemovals'],
  ...['planCollection', 'beginRun', 'collect', 'forgetHistory'],
].map((method) => `metadata.${method}`)

/** What nobody but the history of runs can tell from nothing. */
const BOOKKEEPING = new Set(['metadata.beginRun', 'metadata.forgetHistory'])

const lanes = new Lanes()
afterAll(() => lanes.close())

/** Where a piece of work is stopped that asks these things of the stores. */
function pointsOf(calls: readonly Call[], stopped: Trial['stopped']): Trial['at'][] {
  const sides = calls.flatMap((call, index) =>
    (['before', 'after'] as const).map((side) => ({ call, index, side })),
  )
  if (triesAll) return sides
  // Before a call it is as it was after the one before. That the operation comes wholly before or
  // wholly after is tried where the other one is stopped.
  if (stopped === 'operation') return sides.filter(({ side }) => side === 'after').slice(0, -1)
  return sides.filter(
    ({ call, index, side }) =>
      (side === 'before' && index === 0) ||
      (side === 'after' && !call.isIdle && !BOOKKEEPING.has(call.name)),
  )
}

function titleOf({ operation, stopped, at }: Trial): string {
  const who = stopped === 'gc' ? 'collecting' : 'that'
  const where = at
    ? `${who} stops ${at.side} call ${at.index}, ${at.call.name}`
    : `${who} ends first`
  return `${operation.title}; ${where}`
}

async function tryAll(kind: GarbageKind): Promise<{ names: Set<string>; failures: string[] }> {
  const names = new Set<string>()
  const failures: string[] = []
  const attempt = async (trials: readonly Trial[], done: (trial: Trial, calls: Call[]) => void) => {
    const thrown = await lanes.forEach(trials, async (world, trial) => {
      try {
        done(trial, await run(world, trial))
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        throw new Error(`${titleOf(trial)}: ${message}`, { cause: error })
      }
    })
    failures.push(...thrown.map(String))
  }
  const whole = OPERATIONS.filter(({ relies }) => triesAll || kind.tries.includes(relies)).flatMap(
    (operation) => (['gc', 'operation'] as const).map((stopped) => ({ kind, operation, stopped })),
  )
  const trials: Trial[] = []
  await attempt(whole, (trial, calls) => {
    if (trial.stopped === 'gc') for (const { name } of calls) names.add(name)
    const points = pointsOf(calls, trial.stopped)
    const turn = whole.indexOf(trial)
    const some = triesEach ? points : points.filter((_, index) => (index + turn) % 5 === 0)
    trials.push(...some.map((at) => ({ ...trial, at })))
  })
  await attempt(trials, () => undefined)
  return { names, failures }
}

describe('whatever comes between collecting and what is done with the same digests', () => {
  for (const kind of GARBAGE) {
    it(`keeps what was acknowledged, and nothing else: ${kind.title}`, async () => {
      const { names, failures } = await tryAll(kind)

      expect(failures.slice(0, 5)).toEqual([])
      expect([...names]).toEqual(expect.arrayContaining([...ALWAYS, ...kind.calls]))
    }, 600_000)
  }
})

describe('an upload that is cancelled while it ends', () => {
  it('is there or is not, and leaves nothing behind, wherever it is', async () => {
    const image = imageOf('cancelled')
    const [, blob] = image.needs
    const name = 'team/cancelled'
    const half = blob.bytes.byteLength >> 1

    const cancelAt = async (world: World, at?: StopPoint): Promise<Call[]> => {
      const client = new Client(world)
      const location = await client.openUpload(name)
      await client.append(location, blob.bytes.subarray(0, half))
      const track = new Track(at)
      const ended = track.follow(() =>
        client.request('PUT', `${location}?digest=${blob.digest}`, [201, 400, 404], {
          body: blob.bytes.subarray(half),
        }),
      )
      await Promise.race([track.stopped, ended])
      const cancelled = await client.request('DELETE', location, [204, 404])
      track.goOn()
      const { status } = await ended

      expect(`${cancelled.status} ${status}`).toMatch(/^(204 40[04]|404 201)$/)
      if (status === 201) client.hasBlob(name, blob)
      await world.tidyUp('asked')
      await client.requireServed()
      expect([...(await world.state.findings()), ...(await world.verify())]).toEqual([])
      await client.deleteRepository(name)
      world.wait(60 * dayMs)
      await world.tidyUp('asked')
      expect(world.state.remains()).toEqual([])
      return track.calls
    }
    const points: StopPoint[] = []
    await lanes.forEach(['all of it'], async (world) => {
      const calls = await cancelAt(world)
      points.push(
        ...calls.flatMap((_, index) => [
          { index, side: 'before' as const },
          { index, side: 'after' as const },
        ]),
      )
    })
    const failures = await lanes.forEach(
      points,
      async (world, at) => void (await cancelAt(world, at)),
    )

    expect(points.length).toBeGreaterThan(8)
    expect(failures).toEqual([])
  }, 60_000)
})
