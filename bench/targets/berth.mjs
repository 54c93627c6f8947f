import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { environmentWithout, ServerProcess } from './server-process.mjs'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Berth as a person would run it: what was built, with its default settings. */
export const berth = berthWith('berth', {})

/** The same where the kernel cannot help, as behind TLS or without the optional package. */
export const berthWithoutSendfile = berthWith('berth, no sendfile', {
  BERTH_STORAGE_SENDFILE: 'false',
})

function berthWith(name, settings) {
  return {
    name,
    isOurs: true,

    /** @param {string} data - its data directory */
    start(workspace, data) {
      return ServerProcess.start(workspace, {
        name: 'berth',
        command: process.execPath,
        args: [main, 'serve', '--host', '127.0.0.1', '--port', '0', '--data', data],
        env: { ...environmentWithout('BERTH_'), ...settings },
        listening: /^Berth listens on http:\/\/\S+:(\d+)$/m,
      })
    },

    /** Where the files of its blobs are. */
    blobsIn: (data) => path.join(data, 'blobs'),
  }
}
