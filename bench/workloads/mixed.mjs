import { loadColumns, loadRatios } from '../figures.mjs'
import { pushedBlob } from './pushed-blob.mjs'

const connections = 8

/** What is there to be pulled. */
const there = { images: 100, blobs: 20 }

const blobBytes = 2 ** 20

export const mixed = {
  name: 'mixed',
  title: `Three pulls to one push, ${connections} connections`,
  columns: loadColumns,
  ratios: loadRatios,

  async measure(run) {
    await run.onEmptyStores(async (servers) => {
      const images = new Map()
      const blobPaths = new Map()
      for (const running of servers) {
        images.set(running, await pushedImages(run, running))
        blobPaths.set(running, await pushedBlobs(run, running))
      }
      await row(run, servers, 'images of three layers of 4 KiB', (running) => ({
        images: images.get(running),
      }))
      await row(run, servers, 'blobs of 1 MiB', (running) => ({
        blobPaths: blobPaths.get(running),
        blobBytes,
      }))
    })
  },
}

function row(run, servers, name, contents) {
  const limits = { seconds: run.options.seconds }
  const repository = `bench/mixed-${process.pid}`
  return run.loadRow(servers, {
    name,
    unit: 'requests',
    warmsUp: true,
    work: (running) => ({
      load: 'mixed',
      job: { repository, connections, limits, ...contents(running) },
    }),
  })
}

async function pushedImages(run, running) {
  const { images } = await run.load(running, 'images', {
    prefix: `bench/there-${process.pid}`,
    connections,
    limits: { count: Math.min(there.images, run.options.images) },
  })
  return images
}

async function pushedBlobs(run, running) {
  const repository = `bench/there-${process.pid}/blobs`
  const paths = []
  for (let index = 0; index < Math.min(there.blobs, run.options.images); index++) {
    paths.push(await pushedBlob(run, running, repository, blobBytes))
  }
  return paths
}
