import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('load-main.mjs', import.meta.url))

/**
 * Runs a client of a server in a process of its own, so that what the client costs is in no figure
 * of the server's.
 *
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string} load - the name of a file in `loads/`
 * @param {object} job - what that file's `run` takes
 * @returns {Promise<any>} what it returns
 */
export function runLoad(workspace, load, job) {
  return new Promise((resolve, reject) => {
    const child = workspace.adopt(fork(main, { execArgv: [] }))
    child.once('message', ({ result, error }) => {
      if (error === undefined) resolve(result)
      else reject(new Error(error))
    })
    child.once('exit', () => reject(new Error(`the load ${load} ended without a result`)))
    child.send({ load, job })
  })
}
