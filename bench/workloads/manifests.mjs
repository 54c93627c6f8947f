import { ServerProcess } from '../server-process.mjs'
import { measureRequests, requestColumns } from './requests.mjs'

const connections = 32

/** As many images as a busy team pulls. */
const pathsMax = 2000

export const manifests = {
  name: 'manifests',
  title: `GET of manifests by tag, ${connections} connections`,
  promise: '10,000 a second on one core: at most 0.1 CPU s/1000',
  columns: requestColumns,

  async measure({ workspace, options, largeStore }) {
    const { directory, repositories } = await largeStore()
    const server = await ServerProcess.start(workspace, { data: directory })
    // Of the whole store, so that no page of the database is asked for again and again.
    const step = Math.max(1, Math.floor(repositories.length / pathsMax))
    const paths = repositories
      .filter((name, index) => index % step === 0 && !name.startsWith('bench/'))
      .map((name) => `/v2/${name}/manifests/latest`)
    const job = { paths, connections, seconds: options.seconds }
    // The first time is for the just-in-time compiler and the page cache.
    await measureRequests(workspace, server, 'get', job)
    const figures = await measureRequests(workspace, server, 'get', job)
    await server.stop()
    return [{ name: 'by tag', ...figures }]
  },
}
