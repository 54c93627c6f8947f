import { Connection, expecting } from './connection.mjs'
import { prepare as prepareRequests } from './requests.mjs'

/**
 * Asks for things as `requests` does, while others log in: so many at once, then the next ones as soon as
 * all of them are in.
 *
 * @param {object} job - as `requests` takes it
 * @param {readonly string[]} job.logins - an `Authorization` header for each login
 * @param {number} job.storm - how many of them at once
 * @returns what starts it; its summary has the logins that were answered meanwhile, too
 */
export async function prepare({ logins, storm, ...job }) {
  const requests = await prepareRequests(job)
  const clients = await Promise.all(logins.slice(0, storm).map(() => Connection.open(job.server)))
  return async () => {
    const progress = { isOver: false, checked: 0, problem: undefined }
    logIn(clients, logins, progress).catch((error) => (progress.problem = error))
    const summary = await requests()
    progress.isOver = true
    // Whoever still waits is not waited for.
    for (const client of clients) client.close()
    const { checked, problem } = progress
    if (problem) throw problem
    return { ...summary, checked }
  }
}

async function logIn(clients, logins, progress) {
  for (let first = 0; first < logins.length && !progress.isOver; first += clients.length) {
    const storm = logins.slice(first, first + clients.length)
    await Promise.all(
      storm.map(async (headers, index) => {
        const answer = clients[index].send({ path: '/v2/', headers })
        await expecting(200, answer, 'GET /v2/ with a password')
        progress.checked++
      }),
    )
  }
}
