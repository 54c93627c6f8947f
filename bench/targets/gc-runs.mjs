import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Seldom enough to cost nothing beside a run. */
const lookEveryMs = 50

/**
 * Begins a run that collects garbage, as `berth gc` does.
 *
 * @param {import('../run.mjs').Running} running - a Berth
 * @param {object} request - see `beginGcRun` in docs/openapi.json
 * @returns {Promise<{ isOver: () => Promise<boolean>, ended: () => Promise<object> }>}
 *   whether it has ended, and its report once it has
 * @throws {Error} when it is refused; `ended` when it did not come to its end
 */
export async function beginGcRun(running, request) {
  const { id } = await ask(running, '/gc/runs', request)
  const look = () => ask(running, `/runs/${id}`)
  return {
    isOver: async () => (await look()).status !== 'running',
    async ended() {
      for (;;) {
        const { status, report } = await look()
        if (status === 'done') return report
        if (status !== 'running') throw new Error(`gc has ${status}: ${report.message}`)
        await delay(lookEveryMs)
      }
    },
  }
}

async function ask({ server: { host, port }, data }, route, body) {
  const { token } = JSON.parse(readFileSync(path.join(data, 'berth.operator.json'), 'utf8'))
  const response = await fetch(`http://${host}:${port}/api/v1${route}`, {
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  })
  if (!response.ok) throw new Error(`${route} is answered with ${await response.text()}`)
  return response.json()
}
