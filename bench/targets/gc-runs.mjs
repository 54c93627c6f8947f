import { setTimeout as delay } from 'node:timers/promises'
import { askManagement } from './management.mjs'

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
  const { id } = await askManagement(running, 'POST', '/gc/runs', request)
  const look = () => askManagement(running, 'GET', `/runs/${id}`)
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
