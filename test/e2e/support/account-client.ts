import { expect } from 'vitest'
import { basic } from '../../support/accounts.js'
import {
  asListed,
  changed,
  HERE,
  keysOf,
  listAll,
  named,
  without,
  wordsFor,
  type Facts,
  type Listed,
} from './account-facts.js'
import type { HttpClient } from './http-client.js'
import { ConnectionLostError, WrongAnswerError } from './ledger-client.js'
import type { Random } from './random.js'

/** One request that changes something. */
interface Act {
  readonly method: string
  readonly path: string
  readonly body?: object
  /** The operator's when absent. */
  readonly authorization?: string
  /** What there is when it has succeeded. */
  readonly after: Facts
  /** How the audit trail tells of it: an action and a target. */
  readonly event?: string
  /** Told the answer. */
  readonly learn?: (answer: Readonly<Record<string, unknown>>) => void
}

type Choice = (random: Random) => Act | undefined

const ACTIONS = ['pull', 'create', 'overwrite', 'delete', 'admin']

/** So many that were taken back are tried each time: all would be more each time. */
const triedMax = 20

/** Of one user, the last ones. */
const passwordsTriedMax = 5

/**
 * Somebody who makes accounts, lets them in, and takes it all back, one request after the other. Nobody else
 * touches what is called after this one: but for the last request it is known what there is.
 */
export class AccountClient {
  readonly #prefix: string
  #facts: Facts = new Map()
  /** Sent, without an answer. */
  #unclear: Act | undefined
  readonly #ids = new Map<string, string>()
  /** Of every token that there has ever been, as far as it was shown. */
  readonly #texts = new Map<string, string>()
  readonly #passwords: (readonly [user: string, password: string])[] = []
  #passwordsSettled = 0
  #events: string[] = []
  /** So many of these somebody has read in the trail. */
  #eventsRead = 0
  #count = 0
  acknowledged = 0

  readonly #choices: readonly (readonly [weight: number, choice: Choice])[] = [
    [4, (random) => this.#addUser(random)],
    [3, (random) => this.#addRobot(random)],
    [2, (random) => this.#addGroup(random)],
    [6, (random) => this.#addToken(random)],
    [4, (random) => this.#revokeToken(random)],
    [5, (random) => this.#putGrant(random)],
    [3, (random) => this.#removeGrant(random)],
    [4, (random) => this.#addMember(random)],
    [2, (random) => this.#removeMember(random)],
    [3, (random) => this.#changePassword(random)],
    [2, (random) => this.#logIn(random)],
    [2, (random) => this.#enableOrDisable(random)],
    [1, (random) => this.#deleteAccount(random)],
    [1, (random) => this.#deleteGroup(random)],
  ]

  /** @param prefix - of the names of all that it makes */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** @throws {@link ConnectionLostError} when there is no answer */
  async act(http: HttpClient, operator: string, random: Random): Promise<void> {
    if (random.isTrue(0.03)) return this.#readTrail(http, operator)
    const act = this.#choose(random)
    if (act === undefined) return
    const { method, path, body, authorization = operator } = act
    const what = `${method} ${path}`
    this.#unclear = act
    const answer = await http
      .send(method, path, {
        headers: { authorization, 'content-type': 'application/json' },
        ...(body && { body: Buffer.from(JSON.stringify(body)) }),
      })
      .catch((cause: unknown) => {
        throw new ConnectionLostError(`${what} got no answer`, { cause })
      })
    const text = answer.body.toString()
    if (answer.status >= 300) {
      throw new WrongAnswerError(`${what} is answered with ${answer.status}: ${text}`)
    }
    this.#unclear = undefined
    this.#facts = act.after
    if (act.event !== undefined) this.#events.push(act.event)
    act.learn?.(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>))
    this.acknowledged++
  }

  /**
   * Looks whether everything is there that was acknowledged, and of what was not all or nothing; and goes on from
   * there.
   *
   * @param trail - what was done since the last time, as the audit trail has it
   */
  async settle(http: HttpClient, listed: Listed, trail: readonly string[]): Promise<void> {
    const unclear = this.#unclear
    const mine = this.#ownOf(listed.facts)
    this.#facts = await this.#found(http, mine, unclear)
    for (const [key, id] of listed.ids) if (this.#facts.has(key)) this.#ids.set(key, id)
    this.#requireEvents(trail, unclear)
    await this.#requireTokens(http)
    await this.#requirePasswords(http)
    await this.#requireRights(http)
    this.#unclear = undefined
    this.#events = []
    this.#eventsRead = 0
    this.#passwordsSettled = this.#passwords.length
  }

  /** Every password that there has been counts as changed: those of users who are there are tried again. */
  forgetSettled(): void {
    this.#passwordsSettled = 0
  }

  async #found(http: HttpClient, mine: Facts, unclear: Act | undefined): Promise<Facts> {
    const possible = [this.#facts, ...(unclear ? [unclear.after] : [])]
    const fitting = possible.filter((facts) => isSame(asListed(facts), asListed(mine)))
    const sent = unclear ? `, with ${unclear.method} ${unclear.path} under way` : ''
    if (fitting.length === 0) {
      expect(asListed(mine), `what is of ${this.#prefix}${sent}`).toEqual(asListed(this.#facts))
    }
    const [first = mine, second] = fitting
    if (second === undefined) return first
    // Only one that is about a password leaves nothing that lists tell.
    for (const key of keysOf(second, 'password')) {
      const [password, name] = [second.get(key) ?? '', key.split(' ')[1] ?? '']
      if (first.get(key) === password || second.get(`user ${name}`) === 'disabled') continue
      return (await statusFor(http, basic(name, password))) === 200 ? second : first
    }
    return first
  }

  /** Events are on their way for a moment: of the last ones any number may be lost, in their order. */
  #requireEvents(trail: readonly string[], unclear: Act | undefined): void {
    const all = unclear?.event === undefined ? this.#events : [...this.#events, unclear.event]
    const own = trail.filter((event) => all.includes(event))
    expect(own, `${this.#prefix}: what is in the audit trail`).toEqual(all.slice(0, own.length))
    expect(own.length).toBeGreaterThanOrEqual(this.#eventsRead)
    // What was noted has happened.
    if (own.length > this.#events.length) expect(this.#facts).toEqual(unclear?.after)
  }

  async #requireTokens(http: HttpClient): Promise<void> {
    const keys = [...this.#texts.keys()]
    const over = keys.filter((key) => !this.#facts.has(key)).slice(-triedMax)
    for (const key of [...keys.filter((key) => this.#facts.has(key)), ...over]) {
      const [kind, account = ''] = key.split(' ')
      const text = this.#texts.get(key) ?? ''
      const isGood = this.#facts.has(key) && this.#isEnabled(account)
      const status =
        kind === 'token' ? await statusFor(http, basic(account, text)) : await refreshed(http, text)
      expect([key, status]).toEqual([key, isGood ? 200 : 401])
    }
  }

  async #requirePasswords(http: HttpClient): Promise<void> {
    const tried = new Map<string, number>()
    for (const [user, password] of this.#passwords.slice(this.#passwordsSettled).reverse()) {
      const count = tried.get(user) ?? 0
      // Who tries many that are wrong has to wait.
      if (count >= passwordsTriedMax) continue
      tried.set(user, count + 1)
      const isGood = this.#facts.get(`password ${user}`) === password && this.#isEnabled(user)
      const status = await statusFor(http, basic(user, password))
      expect([user, password, status]).toEqual([user, password, isGood ? 200 : 401])
    }
  }

  /** Asks with a token of each account what it may do. */
  async #requireRights(http: HttpClient): Promise<void> {
    for (const account of [...named(this.#facts, 'user'), ...named(this.#facts, 'robot')]) {
      const key = keysOf(this.#facts, `token ${account}`).find((key) => this.#texts.has(key))
      if (key === undefined || !this.#isEnabled(account)) continue
      const authorization = basic(account, this.#texts.get(key) ?? '')
      for (const repository of this.#repositories()) {
        const path = `/token?scope=repository:${repository}:pull,push,delete`
        const { body } = await http.send('GET', path, { headers: { authorization } })
        const { scope } = JSON.parse(body.toString()) as { scope: string }
        const words = wordsFor(this.#facts, account, repository)
        const wanted = words === '' ? '' : `repository:${repository}:${words}`
        expect([account, scope]).toEqual([account, wanted])
      }
    }
  }

  /** Reading it writes down what is on its way. */
  async #readTrail(http: HttpClient, operator: string): Promise<void> {
    try {
      await listAll(http, operator, '/audit?action=group.delete')
    } catch (cause) {
      throw new ConnectionLostError('the audit trail could not be read', { cause })
    }
    this.#eventsRead = this.#events.length
  }

  #choose(random: Random): Act | undefined {
    const total = this.#choices.reduce((sum, [weight]) => sum + weight, 0)
    let at = random.below(total)
    for (const [weight, choice] of this.#choices) {
      if (at < weight) return choice(random)
      at -= weight
    }
    return undefined
  }

  #addUser(random: Random): Act | undefined {
    const name = `${this.#prefix}u${random.below(3)}`
    if (this.#facts.has(`user ${name}`)) return undefined
    // A hash takes longer than all the rest.
    const password = random.isTrue(0.5) ? this.#newPassword(name) : undefined
    return {
      ...{ method: 'POST', path: '/api/v1/users', event: `user.add ${name}` },
      body: { name, ...(password !== undefined && { password }) },
      after: changed(this.#facts, { [`user ${name}`]: 'enabled', [`password ${name}`]: password }),
    }
  }

  #addRobot(random: Random): Act | undefined {
    const name = `${this.#prefix}r${random.below(2)}`
    if (this.#facts.has(`robot ${name}`)) return undefined
    return {
      ...{ method: 'POST', path: '/api/v1/robots', body: { name }, event: `robot.add ${name}` },
      after: changed(this.#facts, { [`robot ${name}`]: 'enabled' }),
    }
  }

  #addGroup(random: Random): Act | undefined {
    const name = `${this.#prefix}g${random.below(2)}`
    if (this.#facts.has(`group ${name}`)) return undefined
    return {
      ...{ method: 'POST', path: '/api/v1/groups', body: { name }, event: `group.add ${name}` },
      after: changed(this.#facts, { [`group ${name}`]: HERE }),
    }
  }

  #addToken(random: Random): Act | undefined {
    const account = someOf(this.#enabled('user', 'robot'), random)
    if (account === undefined) return undefined
    const description = `${this.#prefix}-${this.#count++}`
    const key = `token ${account} ${description}`
    return {
      ...{ method: 'POST', path: '/api/v1/tokens', body: { account, description } },
      ...{ event: `token.create ${account}`, after: changed(this.#facts, { [key]: HERE }) },
      learn: ({ id, token }) => {
        this.#ids.set(key, String(id))
        this.#texts.set(key, String(token))
      },
    }
  }

  #revokeToken(random: Random): Act | undefined {
    const keys = [...keysOf(this.#facts, 'token'), ...keysOf(this.#facts, 'refresh')]
    const key = someOf(
      keys.filter((one) => this.#ids.has(one)),
      random,
    )
    if (key === undefined) return undefined
    const id = this.#ids.get(key) ?? ''
    return {
      ...{ method: 'DELETE', path: `/api/v1/tokens/${id}`, event: `token.revoke ${id}` },
      after: changed(this.#facts, { [key]: undefined }),
    }
  }

  #putGrant(random: Random): Act | undefined {
    const subject = someOf(
      ['user', 'robot', 'group'].flatMap((kind) =>
        named(this.#facts, kind).map((name) => `${kind}:${name}`),
      ),
      random,
    )
    if (subject === undefined) return undefined
    const pattern = random.pick([...this.#repositories(), `${this.#prefix}/**`])
    const actions = random.sample(ACTIONS, 1 + random.below(2))
    const key = `grant ${subject} ${pattern}`
    return {
      ...{ method: 'PUT', path: '/api/v1/grants', body: { subject, pattern, actions } },
      event: `grant.put ${subject}`,
      after: changed(this.#facts, { [key]: actions.join(',') }),
      learn: ({ id }) => void this.#ids.set(key, String(id)),
    }
  }

  #removeGrant(random: Random): Act | undefined {
    const key = someOf(keysOf(this.#facts, 'grant'), random)
    if (key === undefined) return undefined
    const id = this.#ids.get(key) ?? ''
    return {
      ...{ method: 'DELETE', path: `/api/v1/grants/${id}`, event: `grant.remove ${id}` },
      after: changed(this.#facts, { [key]: undefined }),
    }
  }

  #addMember(random: Random): Act | undefined {
    const group = someOf(named(this.#facts, 'group'), random)
    const names = [...named(this.#facts, 'user'), ...named(this.#facts, 'robot')]
    const name = someOf(names, random)
    if (group === undefined || name === undefined) return undefined
    return {
      ...{ method: 'PUT', path: `/api/v1/groups/${group}/members/${name}` },
      event: `group.join ${group} ${name}`,
      after: changed(this.#facts, { [`member ${group} ${name}`]: HERE }),
    }
  }

  #removeMember(random: Random): Act | undefined {
    const key = someOf(keysOf(this.#facts, 'member'), random)
    if (key === undefined) return undefined
    const [, group = '', name = ''] = key.split(' ')
    return {
      ...{ method: 'DELETE', path: `/api/v1/groups/${group}/members/${name}` },
      ...{
        event: `group.leave ${group} ${name}`,
        after: changed(this.#facts, { [key]: undefined }),
      },
    }
  }

  #changePassword(random: Random): Act | undefined {
    const name = someOf(named(this.#facts, 'user'), random)
    if (name === undefined) return undefined
    const password = this.#newPassword(name)
    return {
      ...{ method: 'PATCH', path: `/api/v1/users/${name}`, body: { password } },
      event: `user.change ${name}`,
      after: changed(withoutRefreshTokens(this.#facts, name), { [`password ${name}`]: password }),
    }
  }

  /** As docker does it, which keeps a token in place of the password. */
  #logIn(random: Random): Act | undefined {
    const users = this.#enabled('user').filter((name) => this.#facts.has(`password ${name}`))
    const name = someOf(users, random)
    if (name === undefined) return undefined
    const client = `${this.#prefix}-${this.#count++}`
    const key = `refresh ${name} ${client}`
    return {
      ...{ method: 'GET', path: `/token?offline_token=true&client_id=${client}` },
      authorization: basic(name, this.#facts.get(`password ${name}`)),
      after: changed(this.#facts, { [key]: HERE }),
      learn: ({ refresh_token: text }) => void this.#texts.set(key, String(text)),
    }
  }

  #enableOrDisable(random: Random): Act | undefined {
    const key = someOf([...keysOf(this.#facts, 'user'), ...keysOf(this.#facts, 'robot')], random)
    if (key === undefined) return undefined
    const [kind, name = ''] = key.split(' ')
    const isDisabled = this.#facts.get(key) === 'enabled' && random.isTrue(0.5)
    const left = isDisabled ? withoutRefreshTokens(this.#facts, name) : this.#facts
    return {
      ...{ method: 'PATCH', path: `/api/v1/${kind}s/${name}`, body: { isDisabled } },
      event: `${kind}.change ${name}`,
      after: changed(left, { [key]: isDisabled ? 'disabled' : 'enabled' }),
    }
  }

  #deleteAccount(random: Random): Act | undefined {
    const key = someOf([...keysOf(this.#facts, 'user'), ...keysOf(this.#facts, 'robot')], random)
    if (key === undefined) return undefined
    const [kind, name = ''] = key.split(' ')
    return {
      ...{ method: 'DELETE', path: `/api/v1/${kind}s/${name}`, event: `${kind}.delete ${name}` },
      after: without(this.#facts, name),
    }
  }

  #deleteGroup(random: Random): Act | undefined {
    const name = someOf(named(this.#facts, 'group'), random)
    if (name === undefined) return undefined
    return {
      ...{ method: 'DELETE', path: `/api/v1/groups/${name}`, event: `group.delete ${name}` },
      after: without(this.#facts, name),
    }
  }

  #newPassword(user: string): string {
    const password = `${user} has number ${this.#count++}`
    this.#passwords.push([user, password])
    return password
  }

  #repositories(): string[] {
    return ['one', 'two'].map((name) => `${this.#prefix}/${name}`)
  }

  #enabled(...kinds: readonly string[]): string[] {
    return kinds.flatMap((kind) => named(this.#facts, kind)).filter((name) => this.#isEnabled(name))
  }

  #isEnabled(name: string): boolean {
    return [`user ${name}`, `robot ${name}`].some((key) => this.#facts.get(key) === 'enabled')
  }

  #ownOf(facts: Facts): Facts {
    return new Map(
      [...facts].filter(([key]) => key.split(/[ :]/).some((word) => this.#isOwn(word))),
    )
  }

  #isOwn(word: string): boolean {
    return word.startsWith(this.#prefix)
  }
}

function withoutRefreshTokens(facts: Facts, name: string): Facts {
  return new Map([...facts].filter(([key]) => !key.startsWith(`refresh ${name} `)))
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.join('\n') === others.join('\n')
}

async function statusFor(http: HttpClient, authorization: string): Promise<number> {
  return (await http.send('GET', '/api/v1/account', { headers: { authorization } })).status
}

async function refreshed(http: HttpClient, text: string): Promise<number> {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: text })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const body = Buffer.from(form.toString())
  return (await http.send('POST', '/token', { headers, body })).status
}

function someOf<T>(items: readonly T[], random: Random): T | undefined {
  return items.length === 0 ? undefined : random.pick(items)
}
