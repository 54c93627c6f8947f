import { loadColumns, loadRatios } from '../figures.mjs'
import { wholeTagEvery } from '../stores/docker-registry-store.mjs'
import { carrierName, image, TAGGED, tagName } from '../stores/names.mjs'
import { carrierStore, middleStore, sizeText } from './large-stores.mjs'

/** Of one round. */
const deletesMax = 100

/** The version of docker-registry that Debian has cannot delete a tag. */
export const deletes = {
  name: 'deletes',
  title: 'Deletes, 1 connection',
  columns: loadColumns,
  ratios: loadRatios,

  async measure(run) {
    const { middle, rounds } = run.options
    const ours = run.ownTargets.filter(({ isOurs }) => isOurs)
    const of = `of ${sizeText(middle)}`

    await onStores(run, run.ownTargets, middleStore(run.options), async (servers) => {
      const indexes = Array.from(
        { length: Math.floor(middle / wholeTagEvery) },
        (_, index) => index * wholeTagEvery,
      )
      const perRound = Math.min(deletesMax, Math.floor(indexes.length / rounds))
      const paths = (round) => indexes.slice(round * perRound, (round + 1) * perRound)
      await row(run, servers, `digest of one tag ${of}`, (round) =>
        paths(round).map((index) =>
          manifestPath(TAGGED, image(`${TAGGED}:${tagName(index)}`).digest),
        ),
      )
      // Those next to them are there yet.
      await row(run, onlyOurs(servers), `tag ${of}, each on its manifest`, (round) =>
        paths(round).map((index) => manifestPath(TAGGED, tagName(index + 1))),
      )
    })

    await onStores(run, ours, carrierStore(run.options), async (servers) => {
      await row(run, servers, `tag ${of}, all on one manifest`, (round) =>
        Array.from({ length: Math.min(deletesMax, middle) }, (_, index) =>
          manifestPath(carrierName(round), tagName(index)),
        ),
      )
      await row(run, servers, `digest of all ${of} tags`, (round) => [
        manifestPath(carrierName(round), image(carrierName(round)).digest),
      ])
    })
  },
}

function onlyOurs(servers) {
  return servers.filter(({ target }) => target.isOurs)
}

async function onStores(run, targets, sizes, work) {
  const places = []
  for (const target of targets) places.push({ target, data: await run.stores.of(target, sizes) })
  await run.on(places, work)
}

/** @param {(round: number) => readonly string[]} paths - each of them is there once */
function row(run, servers, name, paths) {
  return run.loadRow(servers, {
    name,
    unit: 'requests',
    work: (_, round) => {
      const requests = paths(round).map((path) => ({ method: 'DELETE', path }))
      return {
        load: 'requests',
        job: {
          requests,
          status: 202,
          connections: 1,
          limits: { seconds: run.options.seconds, count: requests.length },
        },
      }
    },
  })
}

function manifestPath(repository, reference) {
  return `/v2/${repository}/manifests/${reference}`
}
