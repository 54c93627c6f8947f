import { spawnSync } from 'node:child_process'
import { loadColumns, loadRatios } from '../figures.mjs'
import { removeLargeFiles } from '../disk.mjs'
import { blobSizes, bytesPerRound, connectionsText } from './blob-sizes.mjs'

const gibibyte = 2 ** 30

/** By the names that `loads/blob-push.mjs` has for them. */
const ways = { docker: 'as docker', monolithic: 'in one PUT', parts: 'in parts' }

/**
 * docker sends HTTP chunks of 32 KiB, as whatever is written in Go does; so there is no row of its
 * own for such chunks.
 */
export const pushes = {
  name: 'pushes',
  title: `Pushes of blobs that share nothing: as docker (POST, PATCH in 32 KiB chunks, PUT),
in one PUT (POST, PUT with a length), in parts (POST, PATCH of each 16 MiB, PUT)`,
  columns: loadColumns,
  ratios: loadRatios,

  async measure(run) {
    await run.onEmptyStores(async (servers) => {
      for (const [way, title] of Object.entries(ways)) {
        for (const size of blobSizes(run.options)) {
          for (const connections of connectionCounts(size)) {
            await row(run, servers, { way, title, size, connections })
          }
        }
      }
    })
  },
}

/** Sixty-four large uploads at once are a matter of memory, and measured there. */
function connectionCounts({ isTimed }) {
  return isTimed ? [1, 8, 64] : [1, 8]
}

async function row(run, servers, { way, title, size, connections }) {
  const { seconds, gib, rounds } = run.options
  const count = Math.max(connections, Math.round(bytesPerRound(run.options) / size.bytes / 2))
  run.workspace.requireSpace(count * size.bytes + gibibyte)
  await run.loadRow(servers, {
    name: `${title}: ${size.name}, ${connectionsText(connections)}`,
    unit: size.unit,
    warmsUp: size.isTimed,
    // What moves more than all rounds should is measured once.
    rounds: !size.isTimed && count * size.bytes > gib * gibibyte ? 1 : rounds,
    work: () => ({
      load: 'pushes',
      job: {
        repository: `bench/pushes-${process.pid}`,
        way,
        sizeBytes: size.bytes,
        connections,
        limits: size.isTimed ? { seconds } : { count },
      },
    }),
    after: forgetPushed,
  })
}

/** So that the disk does not fill up, and none pays for what another has left to be written. */
function forgetPushed({ target, data }) {
  if (data !== undefined) removeLargeFiles(target.blobsIn(data))
  spawnSync('sync')
}
