import { setTimeout as delay } from 'node:timers/promises'
import { ServerProcess } from '../server-process.mjs'

/** Long enough for what a start leaves to do. */
const settleMs = 500

export const startUp = {
  name: 'start-up',
  title: 'Starting on the large store',
  promise: 'a start never walks the store',
  columns: { readyMs: 'ready ms', cpuSeconds: 'CPU s', residentMiB: 'idle RSS MiB' },

  async measure({ workspace, options, largeStore }) {
    const { directory } = await largeStore()
    const starts = Math.max(1, Math.round(options.seconds))
    const measure = (data) => medianStart(workspace, data, starts)
    return [
      { name: 'empty store', ...(await measure(workspace.folder('empty-store'))) },
      { name: 'large store', ...(await measure(directory)) },
    ]
  },
}

async function medianStart(workspace, data, starts) {
  const figures = []
  for (let start = 0; start < starts; start++) {
    const server = await ServerProcess.start(workspace, { data })
    await delay(settleMs)
    const { startMs: readyMs, cpuSeconds, residentMiB } = server
    figures.push({ readyMs, cpuSeconds, residentMiB })
    await server.stop()
  }
  return figures.sort((a, b) => a.readyMs - b.readyMs)[Math.floor(starts / 2)]
}
