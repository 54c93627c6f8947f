import { figuresOf, loadColumns } from '../figures.mjs'
import { accountStore, bearerHeaders, passwordHeader, tokenHeader } from './account-store.mjs'

const connections = 32

/** As image pulls of a few clients make; more would wait for each other, and hide other waits. */
const pullConnections = 8

/** As many as a busy team pulls. */
const imagesMax = 400

/** Who logs in at once. */
const stormMax = 100

/** One after the other; each user logs in once, as a password that was right is remembered. */
const storms = 2

/** The p99 is measured for so many times as long as small requests: as long as the logins take. */
const stormTimes = 3

/** A run may take longer than a bearer token usually lasts. */
const settings = { BERTH_ACCESS_MODE: 'accounts', BERTH_ACCESS_TOKEN_SECONDS: '3600' }

/** Clients of the same server, which differ in what they show of themselves. */
const anonymous = 'berth, anonymous'
const bearer = 'berth, Bearer'
const token = 'berth, token'
const password = 'berth, password'

export const accounts = {
  name: 'accounts',
  title: 'Pulls with and without accounts, and beside logins',

  async measure(run) {
    const target = run.ownTargets.find(({ isOurs }) => isOurs)
    if (target === undefined) return
    const storm = Math.min(stormMax, run.options.images)
    const store = await accountStore(run, {
      target,
      imageCount: Math.min(imagesMax, run.options.images),
      userCount: storm * storms,
    })
    await run.section(requests, () => measureRequests(run, target, store))
    await run.section(logins, () => measureLogins(run, target, { store, storm }))
  },
}

const requests = {
  name: 'accounts',
  title: `Pulls from an open registry (berth), and from one with accounts: ${connections} connections; ×: to anonymous`,
  columns: loadColumns,
  ratios: { cpuSeconds: 'CPU' },
  comparedTo: anonymous,
  alsoMeasures: [anonymous, bearer, token, password],
}

function measureRequests(run, target, store) {
  const places = [
    { target, data: run.stores.copyOf(store.data) },
    { target: target.with(settings), data: run.stores.copyOf(store.data) },
  ]
  return run.on(places, async ([open, withAccounts]) => {
    const bearers = await bearerHeaders(withAccounts, store)
    const as = (name) => ({ ...withAccounts, target: { ...withAccounts.target, name } })
    /** What each shows, by the repository that it asks for. */
    const clients = new Map([
      [open, () => ''],
      [as(anonymous), () => ''],
      [as(bearer), (repository) => bearers.get(repository)],
      [as(token), () => tokenHeader(store.token)],
      [as(password), () => passwordHeader],
    ])
    const job = (running, requestsOf) => ({
      requests: store.images.flatMap((image) =>
        requestsOf(image).map((request) => ({
          ...request,
          headers: accept + clients.get(running)(image.repository),
        })),
      ),
      connections,
      limits: { seconds: run.options.seconds },
    })
    // Else the first line of the first row would pay for compiling what all of them use.
    for (const running of clients.keys()) {
      for (const { requestsOf } of rows)
        await run.load(running, 'requests', job(running, requestsOf))
    }
    for (const { name, requestsOf } of rows) {
      await run.loadRow([...clients.keys()], {
        name,
        unit: 'requests',
        work: (running) => ({ load: 'requests', job: job(running, requestsOf) }),
      })
    }
  })
}

const accept = 'Accept: application/vnd.oci.image.manifest.v1+json\r\n'

const rows = [
  { name: 'GET manifest by tag', requestsOf: (image) => [manifestOf(image)] },
  { name: 'HEAD blob', requestsOf: (image) => [{ ...blobsOf(image)[0], method: 'HEAD' }] },
  { name: 'GET blob of 4 KiB', requestsOf: (image) => [blobsOf(image)[0]] },
  {
    name: 'manifest, config, three layers',
    requestsOf: (image) => [manifestOf(image), ...blobsOf(image)],
  },
]

function manifestOf({ repository, tag }) {
  return { path: `/v2/${repository}/manifests/${tag}` }
}

function blobsOf({ repository, blobs }) {
  return blobs.map((digest) => ({ path: `/v2/${repository}/blobs/${digest}` }))
}

const besideLogins = 'berth, logins'

const logins = {
  name: 'accounts-logins',
  title: `GET manifest by tag with a bearer token, ${pullConnections} connections: quietly, and beside logins; ×: to quietly`,
  columns: { ...loadColumns, checked: { heading: 'logins' } },
  ratios: { p99Ms: 'p99' },
  comparedTo: 'berth',
  alsoMeasures: [besideLogins],
}

/** Each round has a server that remembers no password yet. */
function measureLogins(run, target, { store, storm }) {
  const withAccounts = target.with(settings)
  const quiet = { target: withAccounts, data: run.stores.copyOf(store.data) }
  const stormy = {
    target: { ...withAccounts, name: besideLogins },
    data: run.stores.copyOf(store.data),
  }
  return run.row([quiet, stormy], {
    name: `${storm} password checks at once`,
    unit: 'requests',
    cell: (place) =>
      run.on([place], async ([running]) => {
        const bearers = await bearerHeaders(running, store)
        const job = {
          requests: store.images.map((image) => ({
            ...manifestOf(image),
            headers: accept + bearers.get(image.repository),
          })),
          connections: pullConnections,
        }
        const { seconds } = run.options
        await run.load(running, 'requests', { ...job, limits: { seconds } })
        const { summary, cost } = await run.measure(running, 'requests-and-logins', {
          ...job,
          limits: { seconds: seconds * stormTimes },
          logins: place === stormy ? store.logins : [],
          storm,
        })
        return { ...figuresOf('requests', summary, cost), checked: summary.checked }
      }),
  })
}
