import { loadColumns, loadRatios } from '../figures.mjs'
import { image, repositoryName, TAGGED, tagName } from '../stores/names.mjs'
import { largeStore, middleStore, sizeText, smallStore } from './large-stores.mjs'

const pageSize = 100

/**
 * The version of docker-registry that Debian has answers with all tags, whatever page it is asked
 * for, and knows no referrers.
 */
export const pages = {
  name: 'pages',
  title: `Pages of ${pageSize}, 1 connection`,
  columns: loadColumns,
  ratios: loadRatios,

  async measure(run) {
    const small = smallStore(run.options)
    const middle = middleStore(run.options)
    const large = largeStore(run.options)
    await measureOn(run, run.ownTargets, small, listsOf(small))
    await measureOn(run, run.ownTargets, middle, listsOf(middle))
    const ours = run.ownTargets.filter(({ isOurs }) => isOurs)
    await measureOn(run, ours, large, { ...listsOf(large), ...referrersOf(large) })
  },
}

async function measureOn(run, targets, sizes, lists) {
  const places = []
  for (const target of targets) places.push({ target, data: await run.stores.of(target, sizes) })
  await run.on(places, async (servers) => {
    for (const [name, path] of Object.entries(lists)) {
      await run.loadRow(servers, {
        name,
        unit: 'requests',
        warmsUp: true,
        work: () => ({
          load: 'requests',
          job: {
            requests: [{ path }],
            connections: 1,
            limits: { seconds: run.options.seconds },
          },
        }),
      })
    }
  })
}

function listsOf({ repositories, tags }) {
  const names = [...named(repositories, repositoryName), TAGGED].sort()
  return {
    ...pagesOf(`of ${sizeText(tags)} tags`, `/v2/${TAGGED}/tags/list`, named(tags, tagName).sort()),
    ...pagesOf(`of ${sizeText(repositories)} repositories`, '/v2/_catalog', names),
  }
}

function referrersOf({ referrers }) {
  const path = `/v2/${TAGGED}/referrers/${image(TAGGED).digest}`
  return {
    [`all of ${sizeText(referrers)} referrers`]: path,
    [`first of ${sizeText(referrers)} referrers`]: `${path}?n=${pageSize}`,
  }
}

/** The first, the middle and the last page of a list in order. */
function pagesOf(name, path, entries) {
  const behind = (index) => `${path}?n=${pageSize}&last=${encodeURIComponent(entries[index])}`
  return {
    [`first ${name}`]: `${path}?n=${pageSize}`,
    [`middle ${name}`]: behind(Math.floor(entries.length / 2)),
    [`last ${name}`]: behind(Math.max(0, entries.length - pageSize - 1)),
  }
}

function named(count, name) {
  return Array.from({ length: count }, (_, index) => name(index))
}
