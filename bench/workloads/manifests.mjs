import { loadColumns, loadRatios } from '../figures.mjs'

const connections = 32

/** As many images as a busy team pulls. */
const seed = { images: 400, perRepository: 20 }

const accept = 'Accept: application/vnd.oci.image.manifest.v1+json\r\n'
const absent = `sha256:${'0'.repeat(64)}`

export const manifests = {
  name: 'manifests',
  title: `Manifests and what is not there, ${connections} connections`,
  columns: loadColumns,
  ratios: loadRatios,

  async measure(run) {
    await run.onEmptyStores(async (servers) => {
      const images = new Map()
      for (const running of servers) images.set(running, await seeded(run, running))
      for (const { name, status, request } of rows) {
        await run.loadRow(servers, {
          name,
          unit: 'requests',
          warmsUp: true,
          work: (running) => ({
            load: 'requests',
            job: {
              requests: images.get(running).map(request),
              status,
              connections,
              limits: { seconds: run.options.seconds },
            },
          }),
        })
      }
    })
  },
}

async function seeded(run, running) {
  const count = Math.min(seed.images, run.options.images)
  const { images } = await run.load(running, 'images', {
    prefix: `bench/manifests-${process.pid}`,
    perRepository: seed.perRepository,
    connections: 8,
    limits: { count },
  })
  return images
}

/** Each made of an image that was pushed. */
const rows = [
  row('GET manifest by tag', 200, ({ repository, tag }) => get(`${repository}/manifests/${tag}`)),
  row('GET manifest by digest', 200, ({ repository, digest }) =>
    get(`${repository}/manifests/${digest}`),
  ),
  row('HEAD manifest by tag', 200, ({ repository, tag }) => head(`${repository}/manifests/${tag}`)),
  row('HEAD manifest by digest', 200, ({ repository, digest }) =>
    head(`${repository}/manifests/${digest}`),
  ),
  row('HEAD blob', 200, ({ repository, blobs }) => head(`${repository}/blobs/${blobs[0]}`)),
  row('404: no such repository', 404, ({ tag }) => get(`bench/nowhere/manifests/${tag}`)),
  row('404: no such tag', 404, ({ repository }) => get(`${repository}/manifests/never`)),
  row('404: no such blob', 404, ({ repository }) => head(`${repository}/blobs/${absent}`)),
]

function row(name, status, request) {
  return { name, status, request }
}

function get(path) {
  return { method: 'GET', path: `/v2/${path}`, headers: accept }
}

function head(path) {
  return { method: 'HEAD', path: `/v2/${path}`, headers: accept }
}
