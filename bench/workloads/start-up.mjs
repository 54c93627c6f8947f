import { setTimeout as delay } from 'node:timers/promises'
import { largeStore, middleStore, sizeText } from './large-stores.mjs'

/** Long enough for what a start leaves to do. */
const settleSecondsMax = 1

export const startUp = {
  name: 'start-up',
  title: 'Starts, and the memory soon after',
  columns: {
    readyMs: { heading: 'ready ms' },
    cpuSeconds: { heading: 'CPU s' },
    residentMiB: { heading: 'idle RSS MiB' },
  },
  ratios: { readyMs: 'ready', cpuSeconds: 'CPU', residentMiB: 'RSS' },

  async measure(run) {
    const empty = run.ownTargets.map((target) => ({
      target,
      data: run.workspace.newFolder('empty-store'),
    }))
    await row(run, 'empty store', empty)
    const middle = middleStore(run.options)
    await row(run, storeText(middle), await placesOf(run, run.ownTargets, middle))
    const large = largeStore(run.options)
    const ours = run.ownTargets.filter(({ isOurs }) => isOurs)
    await row(run, storeText(large), await placesOf(run, ours, large))
  },
}

async function row(run, name, places) {
  await run.row(places, {
    name,
    cell: (place) =>
      run.on([place], async ([{ server }]) => {
        await delay(Math.min(settleSecondsMax, run.options.seconds) * 1000)
        return {
          readyMs: server.startMs,
          // From its first moment.
          cpuSeconds: server.usage.cpuSecondsSince({ coarse: 0, fine: 0 }),
          residentMiB: server.usage.residentMiB,
        }
      }),
  })
}

async function placesOf(run, targets, sizes) {
  const places = []
  for (const target of targets) places.push({ target, data: await run.stores.of(target, sizes) })
  return places
}

function storeText({ repositories, tags }) {
  return `${sizeText(repositories)} repositories, ${sizeText(tags)} tags`
}
