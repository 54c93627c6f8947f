/**
 * Whether a login tells by its time whether there is an account. What one takes depends on the machine and on
 * whoever else works there: compared is only what was asked for at nearly the same time, and what fails is only
 * a difference that is both large and nearly always there.
 */
import { request } from 'node:http'
import { beforeAll, expect, it } from 'vitest'
import { basic, PASSWORD } from '../support/accounts.js'
import { operatorTokenIn } from '../support/management.js'
import { startBerth, type Berth } from './support/berth.js'
import { printedSeed, Random } from './support/random.js'

/** Each kind of login is tried once in each; no more where none is slower or faster than the others by then. */
const roundsMin = 16
const roundsMax = 40

/** A login without the hash takes a tenth of the time, or less. */
const ratioMin = 0.75

/** Of two that take as long each is the slower one in half of the rounds; in 36 of 40 once in five million. */
const shareMax = 0.9
const evenShareMax = 0.75

const KINDS = {
  'a wrong password': 'rob',
  'an unknown name': 'nobody',
  'a disabled user': 'gone',
  'a user without a password': 'tokens-only',
  'a robot': 'ci',
} as const

type Kind = keyof typeof KINDS

const kinds = Object.keys(KINDS) as Kind[]

/** What all are compared with. */
const usual: Kind = 'a wrong password'

let random: Random

beforeAll(() => {
  random = new Random(printedSeed('login timing'))
})

it.each(['/v2/', '/token?scope=repository:team/app:pull'])(
  'a refused login takes as long whoever it is for: GET %s',
  async (path) => {
    const berth = await startBerth({ settings: { BERTH_ACCESS_MODE: 'accounts' } })
    await addAccounts(berth)
    // The first ones start threads, and read the database.
    for (const kind of kinds) await logIn(berth, path, KINDS[kind])
    const times = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]))

    for (let round = 0; round < roundsMax; round++) {
      if (round >= roundsMin && compared(times).every(({ share }) => share <= evenShareMax)) break
      for (const kind of shuffled(kinds)) {
        times.get(kind)?.push(await logIn(berth, path, KINDS[kind]))
      }
    }

    const telling = compared(times).filter(
      ({ ratio, share }) => Math.min(ratio, 1 / ratio) < ratioMin && share >= shareMax,
    )
    expect(telling).toEqual([])
  },
)

/** One of each kind; whoever has a password has one that was hashed here. */
async function addAccounts({ url, dataDirectory }: Berth): Promise<void> {
  const authorization = `Bearer ${operatorTokenIn(dataDirectory)}`
  const manage = async (method: string, path: string, body: object) => {
    const headers = { authorization, 'content-type': 'application/json' }
    const sent = { method, headers, body: JSON.stringify(body) }
    const { status } = await fetch(`${url}/api/v1${path}`, sent)
    expect(status).toBeLessThan(300)
  }
  await manage('POST', '/users', { name: 'rob', password: PASSWORD })
  await manage('POST', '/users', { name: 'gone', password: PASSWORD })
  await manage('PATCH', '/users/gone', { isDisabled: true })
  await manage('POST', '/users', { name: 'tokens-only' })
  await manage('POST', '/robots', { name: 'ci' })
}

let logins = 0

/**
 * A login that is refused, from an address from which there was none: nobody is slowed down.
 *
 * @returns milliseconds
 */
async function logIn({ port }: Berth, path: string, name: string): Promise<number> {
  const count = ++logins
  const localAddress = `127.1.${count >> 8}.${count & 255}`
  const headers = { authorization: basic(name, `wrong ${count}`) }
  const began = performance.now()
  const status = await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, headers, localAddress, agent: false }
    request(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
      .on('error', reject)
      .end()
  })
  const took = performance.now() - began
  expect(status).toBe(401)
  return took
}

interface Compared {
  readonly kind: Kind
  /** Of the median to that of a wrong password. */
  readonly ratio: number
  /** In which part of the rounds it was slower, or in which it was faster: what is more. */
  readonly share: number
}

function compared(times: ReadonlyMap<Kind, readonly number[]>): Compared[] {
  const others = times.get(usual) ?? []
  return [...times]
    .filter(([kind]) => kind !== usual)
    .map(([kind, own]) => {
      const slower = own.filter((time, round) => time > (others[round] ?? 0)).length / own.length
      return { kind, ratio: median(own) / median(others), share: Math.max(slower, 1 - slower) }
    })
}

function median(times: readonly number[]): number {
  return [...times].sort((one, other) => one - other)[times.length >> 1] ?? 0
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item)
}
