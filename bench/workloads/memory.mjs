import { setTimeout as delay } from 'node:timers/promises'
import { sizeText } from './large-stores.mjs'
import { pushedBlob } from './pushed-blob.mjs'

const mebibyte = 2 ** 20

/** How long a server is left alone before its memory counts as that of an idle one. */
const settleSecondsMax = 3

const readersSeconds = 8
const readBytesMax = 100 * mebibyte

/**
 * Each row has servers of its own, which have done nothing before: what a process once had it may
 * keep.
 */
export const memory = {
  name: 'memory',
  title: 'Memory, once each',
  columns: {
    residentMiB: { heading: 'idle RSS MiB' },
    peakMiB: { heading: 'peak RSS MiB' },
    cpuSeconds: { heading: 'CPU s' },
    seconds: { heading: 'seconds' },
  },
  ratios: { residentMiB: 'idle', peakMiB: 'peak' },

  async measure(run) {
    const { uploads, upload, readers, blob } = run.options
    run.workspace.requireSpace(uploads * upload * mebibyte * 1.1)
    await row(run, `${uploads} uploads of ${sizeText(upload)} MiB`, () => ({
      load: 'pushes',
      job: {
        repository: `bench/uploads-${process.pid}`,
        way: 'docker',
        sizeBytes: upload * mebibyte,
        connections: uploads,
        limits: { count: uploads },
      },
    }))

    const readBytes = Math.min(readBytesMax, blob * mebibyte)
    await row(
      run,
      `${readers} slow readers of ${sizeText(readBytes / mebibyte)} MiB`,
      async (running) => {
        const path = await pushedBlob(run, running, `bench/readers-${process.pid}`, readBytes)
        const seconds = Math.min(readersSeconds, run.options.seconds * 8)
        return { load: 'slow-readers', job: { path, readers, seconds } }
      },
    )
  },
}

/** @param {(running: import('../run.mjs').Running) => Promise<{ load: string, job: object }>} work */
function row(run, name, work) {
  return run.row(
    run.targets.map((target) => ({ target })),
    {
      name,
      rounds: 1,
      cell: ({ target }) =>
        run.onEmptyStores(
          async ([running]) => {
            await delay(Math.min(settleSecondsMax, run.options.seconds) * 1000)
            const { residentMiB } = running.server.usage
            const { load, job } = await work(running)
            const { summary, cost } = await run.measure(running, load, job)
            return { ...cost, residentMiB, seconds: summary.seconds }
          },
          [target],
        ),
    },
  )
}
