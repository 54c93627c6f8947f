import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { environmentWithout, ServerProcess } from './server-process.mjs'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** The variables that `npm start` sets where nobody else has. */
const startEnvironment = Object.fromEntries(
  [...startScript().matchAll(/(\w+)=\$\{\1:-(\w+)\}/g)].map(([, name, value]) => [name, value]),
)

/** Berth as a person would run it: what was built, with its default settings. */
export const berth = berthWith({ name: 'berth' })

/** The same, and Node.js notes where the time goes, which takes some itself. */
export const profiledBerth = (nodeOptions) => berthWith({ name: 'berth', nodeOptions })

/** The same where the kernel cannot help, as behind TLS or without the optional package. */
export const berthWithoutSendfile = berthWith({
  name: 'berth, no sendfile',
  settings: { BERTH_STORAGE_SENDFILE: 'false' },
})

/** The same, and each blob is hashed while it is read. */
export const berthVerifyingReads = berthWith({
  name: 'berth, verifyReads',
  settings: { BERTH_STORAGE_VERIFY_READS: 'true' },
})

function berthWith({ name, nodeOptions = [], settings = {}, ca }) {
  return {
    name,
    isOurs: true,
    ca,

    /** The same with other settings. */
    with: (others) => berthWith({ name, nodeOptions, settings: { ...settings, ...others }, ca }),

    /** The same over TLS alone. */
    overTls: ({ certificateFile, keyFile, caText }) =>
      berthWith({
        name,
        nodeOptions,
        settings: {
          ...settings,
          BERTH_HTTP_TLS_MODE: 'only',
          BERTH_HTTP_TLS_CERTIFICATE_FILE: certificateFile,
          BERTH_HTTP_TLS_KEY_FILE: keyFile,
        },
        ca: caText,
      }),

    /** @param {string} data - its data directory */
    start(workspace, data) {
      return ServerProcess.start(workspace, {
        name: 'berth',
        command: process.execPath,
        args: [...nodeOptions, main, 'serve', '--host', '127.0.0.1', '--port', '0', '--data', data],
        env: { ...environmentWithout('BERTH_'), ...startEnvironment, ...settings },
        listening: /^Berth listens on https?:\/\/\S+:(\d+)$/m,
      })
    },

    /** Where the files of its blobs are. */
    blobsIn: (data) => path.join(data, 'blobs'),
  }
}

function startScript() {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).scripts
    .start
}
