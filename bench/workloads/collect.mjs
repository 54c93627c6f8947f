import { setTimeout as delay } from 'node:timers/promises'
import { deleteImages } from '../stores/berth-store.mjs'
import {
  deletedImages,
  imageDigest,
  imageTag,
  manyTags,
  taggedImage,
  taggedImages,
} from '../stores/image-store.mjs'
import { beginGcRun } from '../targets/gc-runs.mjs'
import { sizeText } from './large-stores.mjs'

/** Of each kind. */
const deletesMax = 500

const pushConnections = 4

/** Pushes are measured for so many times as long as small requests: a hundredth is to be many. */
const pushTimes = 10

/** How long a server is left alone before its memory counts as that of an idle one. */
const settleSecondsMax = 1

/**
 * Each server has a copy of the store that it was measured on before, and collects nothing but when
 * it is told to.
 */
export const collect = {
  name: 'collect',
  title: 'Deletes and garbage collection, in a store of images with shared layers',

  async measure(run) {
    const target = run.ownTargets.find(({ isOurs }) => isOurs)
    if (target === undefined) return
    const onDemand = target.with({ BERTH_GC_ENABLED: 'false' })
    const { collected: images, tags } = run.options
    const store = await run.stores.of(target, { images, tags })
    const withDeleted = async (every, work) => {
      const data = run.stores.copyOf(store)
      await deleteImages(data, images, every)
      await work({ target: onDemand, data })
      run.workspace.remove(data)
    }

    await run.section(runs, async () => {
      const data = run.stores.copyOf(store)
      await runRow(run, { target: onDemand, data }, `all in use, ${sizeText(images)} images`, {
        request: { now: true },
        removes: 0,
      })
      run.workspace.remove(data)
      await withDeleted(2, (place) =>
        runRow(run, place, 'every other one deleted', {
          request: { confirm: true },
          removes: deletedImages(images, 2).length,
        }),
      )
      await withDeleted(1, async (place) => {
        await runRow(run, place, 'all deleted, what would go', { request: { dryRun: true } })
        await runRow(run, place, 'all deleted', { request: { confirm: true }, removes: images })
      })
    })
    await run.section(pushes, () => withDeleted(1, (place) => measurePushes(run, place)))
    await run.section(deletes, () => measureDeletes(run, { target: onDemand, data: store }))
  },
}

const runs = {
  name: 'collect-runs',
  title: 'Runs of gc, once each: images of 10 references, a fifth of their layers their own',
  columns: {
    cpuSeconds: { heading: 'CPU s' },
    seconds: { heading: 'seconds' },
    residentMiB: { heading: 'idle RSS MiB' },
    peakMiB: { heading: 'peak RSS MiB' },
  },
  ratios: {},
}

function runRow(run, place, name, { request, removes }) {
  return run.row([place], {
    name,
    rounds: 1,
    cell: () =>
      run.on([place], async ([running]) => {
        const { usage } = running.server
        await delay(Math.min(settleSecondsMax, run.options.seconds) * 1000)
        const { residentMiB } = usage
        usage.resetPeak()
        const before = usage.snapshot()
        const startedAt = performance.now()
        const { removed } = await (await beginGcRun(running, request)).ended()
        const seconds = (performance.now() - startedAt) / 1000
        const cpuSeconds = usage.cpuSecondsSince(before)
        if (removes !== undefined && removed.manifests !== removes) {
          throw new Error(`gc has removed ${removed.manifests} manifests instead of ${removes}`)
        }
        return { cpuSeconds, seconds, residentMiB, peakMiB: usage.peakMiB }
      }),
  })
}

const pushes = {
  name: 'collect-pushes',
  title: `Pushes of images of three layers of 4 KiB, ${pushConnections} connections, and GET /v2/ beside them`,
  columns: {
    count: { heading: 'images' },
    p50Ms: { heading: 'p50 ms' },
    p99Ms: { heading: 'p99 ms' },
    p99Ratio: { heading: 'p99 ×' },
    longestPingMs: { heading: 'longest GET ms' },
    peakMiB: { heading: 'peak RSS MiB' },
  },
  ratios: {},
}

function measurePushes(run, place) {
  return run.on([place], async ([running]) => {
    let used = 0
    const push = (times) =>
      run.measure(running, 'pushes-and-pings', {
        prefix: `bench/pushed-${process.pid}-${++used}`,
        connections: pushConnections,
        limits: { seconds: run.options.seconds * times },
      })
    const row = async (name, usualP99Ms) => {
      let p99Ms
      await run.row([running], {
        name,
        rounds: 1,
        cell: async () => {
          const { summary, cost } = await push(pushTimes)
          p99Ms = summary.p99Ms
          const { count, p50Ms, longestPingMs } = summary
          const p99Ratio = p99Ms / (usualP99Ms ?? p99Ms)
          return { count, p50Ms, p99Ms, p99Ratio, longestPingMs, peakMiB: cost.peakMiB }
        },
      })
      return p99Ms
    }

    // For just-in-time compilers and caches.
    await push(1)
    const usualP99Ms = await row('nothing is collected')
    const gc = await beginGcRun(running, { confirm: true })
    await row('all deleted images are being collected', usualP99Ms)
    if (await gc.isOver()) run.say('the run of gc was over before the pushes were')
    await gc.ended()
  })
}

const deletes = {
  name: 'collect-deletes',
  title: 'Deletes one by one, 1 connection',
  columns: {
    rate: { heading: 'rate', unit: 'rate' },
    p50Ms: { heading: 'p50 ms' },
    p99Ms: { heading: 'p99 ms' },
    longestMs: { heading: 'longest ms' },
    cpuSeconds: { heading: 'CPU s', unit: 'per' },
    peakMiB: { heading: 'peak RSS MiB' },
  },
  ratios: {},
}

function measureDeletes(run, place) {
  const { collected: images, tags, rounds } = run.options
  const tagged = taggedImages(images)
  const perRound = Math.min(deletesMax, Math.floor(tagged / (4 * rounds)))
  const row = (servers, name, references) =>
    run.loadRow(servers, {
      name,
      unit: 'requests',
      work: (_, round) => {
        const requests = references(round).map((reference) => ({
          method: 'DELETE',
          path: `/v2/${manyTags}/manifests/${reference}`,
        }))
        const limits = { count: requests.length }
        return { load: 'requests', job: { requests, status: 202, connections: 1, limits } }
      },
    })
  const inRound = (round) =>
    Array.from({ length: perRound }, (_, index) => round * perRound + index)
  return run.on([place], async (servers) => {
    const of = `of ${sizeText(tags)}`
    await row(servers, `tag ${of}`, (round) => inRound(round).map(imageTag))
    const digest = (number) => imageDigest(taggedImage(number), images)
    await row(servers, `digest of ${sizeText(Math.ceil(tags / tagged))} ${of} tags`, (round) =>
      inRound(round).map((number) => digest(rounds * perRound + number)),
    )
    // What is held by older images alone is found behind all that was deleted.
    await row(servers, 'digest, the newest first', (round) =>
      inRound(round).map((number) => digest(tagged - 1 - number)),
    )
  })
}
