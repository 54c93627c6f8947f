import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('load-main.mjs', import.meta.url))

/**
 * All clients of a run, in one process of their own, so that what they cost is in no figure of a
 * server's.
 */
export class LoadGenerator {
  #workspace
  #child

  /** @param {import('./workspace.mjs').Workspace} workspace */
  constructor(workspace) {
    this.#workspace = workspace
  }

  /**
   * Runs one load against one server.
   *
   * @param {string} load - the name of a file in `loads/`
   * @param {object} job - what that file's `prepare` takes
   * @param {() => void} [onStart] - called when everything is ready, right before the work begins
   * @returns {Promise<any>} its summary, and `clientCpuSeconds`
   * @throws {Error} when a request failed
   */
  async run(load, job, onStart = () => undefined) {
    this.#child ??= this.#workspace.adopt(fork(main, { execArgv: [] }))
    try {
      await this.#send({ load, job })
      onStart()
      const { result } = await this.#send({ isBegin: true })
      return result
    } catch (error) {
      // Some of its clients may still be at work.
      this.#child.kill('SIGKILL')
      this.#child = undefined
      throw error
    }
  }

  /** Sends a message, and waits for the next that comes. */
  async #send(message) {
    const child = this.#child
    const { error, ...answer } = await new Promise((resolve, reject) => {
      const onExit = () => reject(new Error('the process of the clients has ended'))
      child.once('exit', onExit)
      child.once('message', (answer) => {
        child.off('exit', onExit)
        resolve(answer)
      })
      child.send(message)
    })
    if (error !== undefined) throw new Error(error)
    return answer
  }
}
