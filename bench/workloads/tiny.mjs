import { loadColumns, loadRatios } from '../figures.mjs'
import { countSyncs } from '../sync-count.mjs'

const connections = 8

/** Enough that what a server syncs now and then by itself does not show. */
const countedImages = 200

export const tiny = {
  name: 'tiny',
  title: `Pushes of images of three layers of 4 KiB, ${connections} connections`,
  columns: { ...loadColumns, syncs: { heading: 'syncs/image' } },
  ratios: loadRatios,

  async measure(run) {
    const rows = [
      { name: 'each into a new repository', perRepository: 1 },
      { name: 'all into one repository' },
    ]
    await run.onEmptyStores(async (servers) => {
      for (const { name, ...shape } of rows) await row(run, servers, name, shape)
    })
  },
}

function row(run, servers, name, shape) {
  let used = 0
  const load = (limits) => ({
    prefix: `bench/tiny-${process.pid}-${shape.perRepository ?? 'all'}-${++used}`,
    connections,
    limits,
    ...shape,
  })
  return run.loadRow(servers, {
    name,
    unit: 'images',
    warmsUp: true,
    work: () => ({ load: 'images', job: load({ seconds: run.options.seconds }) }),
    extra: async (running) => {
      const count = Math.min(countedImages, run.options.images)
      const push = () => run.load(running, 'images', load({ count }))
      try {
        const syncs = await countSyncs(run.workspace, running.server.pid, push)
        return { syncs: syncs / count }
      } catch (error) {
        run.say(`the syncs of ${running.target.name} are not counted: ${error.message}`)
        return {}
      }
    },
  })
}
