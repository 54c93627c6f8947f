import { readFileSync } from 'node:fs'
import path from 'node:path'

/**
 * Asks the management API of a Berth for something, as its operator.
 *
 * @param {import('../run.mjs').Running} running
 * @param {string} method
 * @param {string} route - below `/api/v1`
 * @param {object} [body]
 * @returns {Promise<any>} what it answers
 * @throws {Error} when it refuses
 */
export async function askManagement({ server: { host, port }, data }, method, route, body) {
  const { token } = JSON.parse(readFileSync(path.join(data, 'berth.operator.json'), 'utf8'))
  const response = await fetch(`http://${host}:${port}/api/v1${route}`, {
    method,
    ...(body && { body: JSON.stringify(body) }),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  })
  if (!response.ok) throw new Error(`${route} is answered with ${await response.text()}`)
  return response.json()
}
