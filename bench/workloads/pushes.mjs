import { ServerProcess } from '../server-process.mjs'
import { measureRequests, requestColumns } from './requests.mjs'

const connections = 8

export const pushes = {
  name: 'pushes',
  title: `Pushes of small images into the large store, ${connections} connections`,
  promise: 'each acknowledged when it is on disk',
  columns: requestColumns,

  async measure({ workspace, options, largeStore }) {
    const { directory } = await largeStore()
    const server = await ServerProcess.start(workspace, { data: directory })
    const job = { connections, seconds: options.seconds }
    await measureRequests(workspace, server, 'push', { ...job, seconds: options.seconds / 2 })
    const figures = await measureRequests(workspace, server, 'push', job)
    await server.stop()
    return [{ name: '3 layers of 4 KiB', ...figures }]
  },
}
