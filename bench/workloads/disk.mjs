import { diskUsage } from '../disk.mjs'
import { sizeText } from './large-stores.mjs'

const connections = 8

export const disk = {
  name: 'disk',
  title: 'Disk space of images of three layers of 4 KiB, once each',
  columns: {
    megabytes: { heading: 'MB' },
    inodes: { heading: 'inodes' },
    runningMegabytes: { heading: 'MB, running' },
    pushedPerSecond: { heading: 'pushed/s' },
  },
  ratios: { megabytes: 'MB', inodes: 'inodes' },

  async measure(run) {
    const count = sizeText(run.options.images)
    await row(run, `${count}, layers shared by all`, { sharesLayers: true })
    await row(run, `${count}, everything their own`, {})
  },
}

/** Into repositories of a hundred images each. */
function row(run, name, shape) {
  return run.row(
    run.ownTargets.map((target) => ({ target })),
    {
      name,
      rounds: 1,
      async cell({ target }) {
        const data = run.workspace.newFolder(target.name)
        const running = await run.on([{ target, data }], async ([server]) => {
          const limits = { count: run.options.images }
          const job = { prefix: 'bench/disk', perRepository: 100, connections, limits, ...shape }
          const { count, seconds } = await run.load(server, 'images', job)
          return {
            pushedPerSecond: count / seconds,
            runningMegabytes: diskUsage(data).bytes / 1e6,
          }
        })
        const { bytes, inodes } = diskUsage(data)
        run.workspace.remove(data)
        return { megabytes: bytes / 1e6, inodes, ...running }
      },
    },
  )
}
