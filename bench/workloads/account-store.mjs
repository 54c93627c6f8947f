import { Buffer } from 'node:buffer'
import { URLSearchParams } from 'node:url'
import { Passwords } from '../../dist/auth/passwords.js'
import { askManagement } from '../targets/management.mjs'

const namespace = 'bench'
const password = 'correct horse battery staple'

/** Whoever pulls. */
const puller = 'ada'

/**
 * What is in a store that an open registry has been filled with, and a registry with accounts is to
 * serve.
 *
 * @typedef {object} AccountStore
 * @property {string} data
 * @property {readonly { repository: string, tag: string, blobs: readonly string[] }[]} images - of
 *   public repositories
 * @property {string} token - that `ada` has made
 * @property {readonly string[]} logins - an `Authorization` header of each of many other users
 */

/**
 * Makes one.
 *
 * @param {import('../run.mjs').Run} run
 * @param {{ target: object, imageCount: number, userCount: number }} contents
 * @returns {Promise<AccountStore>}
 */
export async function accountStore(run, { target, imageCount, userCount }) {
  const data = run.workspace.newFolder('accounts-store')
  const names = Array.from({ length: userCount }, (_, index) => `user-${index}`)
  const users = await hashed([puller, ...names])
  return run.on([{ target, data }], async ([running]) => {
    const ask = (method, route, body) => askManagement(running, method, route, body)
    await ask('PUT', `/namespaces/${namespace}`, { defaultVisibility: 'public' })
    await ask('POST', '/users/import', { users })
    await ask('PUT', '/grants', {
      subject: `user:${puller}`,
      pattern: `${namespace}/**`,
      actions: ['pull'],
    })
    const { token } = await ask('POST', '/tokens', {
      account: puller,
      description: 'to be measured',
    })
    const { images } = await run.load(running, 'images', {
      prefix: `${namespace}/accounts-${process.pid}`,
      perRepository: 20,
      connections: 8,
      limits: { count: imageCount },
    })
    return { data, images, token, logins: names.map((name) => basic(name, password)) }
  })
}

/** What `ada` sends who has a password. */
export const passwordHeader = basic(puller, password)

/** … and who has a token in its place. */
export function tokenHeader(token) {
  return basic(puller, token)
}

/**
 * … and whose client has got a bearer token, as docker gets one for each repository.
 *
 * @param {import('../run.mjs').Running} running
 * @param {AccountStore} store
 * @returns {Promise<ReadonlyMap<string, string>>} by repository
 */
export async function bearerHeaders({ server: { host, port } }, { images }) {
  const headers = new Map()
  for (const { repository } of images) {
    if (headers.has(repository)) continue
    const query = new URLSearchParams({ service: 'berth', scope: `repository:${repository}:pull` })
    const response = await fetch(`http://${host}:${port}/token?${query}`, {
      headers: { authorization: basicValue(puller, password) },
    })
    if (!response.ok) throw new Error(`/token is answered with ${await response.text()}`)
    headers.set(repository, `Authorization: Bearer ${(await response.json()).token}\r\n`)
  }
  return headers
}

/** Each with a hash of its own: equal ones would be checked once. */
async function hashed(names) {
  const passwords = new Passwords()
  const users = []
  for (const name of names) users.push({ name, passwordHash: await passwords.hash(password) })
  await passwords.close()
  return users
}

function basic(name, secret) {
  return `Authorization: ${basicValue(name, secret)}\r\n`
}

function basicValue(name, secret) {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}
