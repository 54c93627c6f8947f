import { hashSync as argon2 } from '@node-rs/argon2'
import { hashSync as bcrypt } from '@node-rs/bcrypt'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { beforeAll, expect } from 'vitest'
import { createPersonalToken } from '../../src/auth/personal-tokens.js'
import type {
  Accounts,
  Action,
  GrantSubject,
  NamespaceOwner,
  TokenScope,
  Visibility,
} from '../../src/metadata/accounts.js'
import type { RepositoryName } from '../../src/oci/reference.js'
import { sharedTestServer, startTestServer, type StartOptions, type TestServer } from './server.js'

/** That of every user. */
export const PASSWORD = 'correct horse'

/** As cheap as hashes can be: what is tested is who may do what. */
export const BCRYPT_HASH = bcrypt(PASSWORD, 4)
export const ARGON2_HASH = argon2(PASSWORD, {
  algorithm: 2,
  memoryCost: 8,
  timeCost: 1,
  parallelism: 1,
})

/** Who makes what a test starts with. */
const made = { identity: 'test', at: 1_700_000_000_000 }

export interface NewUser {
  readonly isAdmin?: boolean
  readonly passwordHash?: string
}

export interface PersonalTokenOptions {
  readonly scope?: readonly TokenScope[]
  readonly expiresAt?: number
}

/** `anonymous`, `signed-in`, `user NAME`, `robot NAME`, `group NAME`. */
export type Subject = 'anonymous' | 'signed-in' | `${'user' | 'robot' | 'group'} ${string}`

export interface BearerAnswer {
  readonly token: string
  readonly access_token: string
  readonly expires_in: number
  readonly issued_at: string
  readonly scope: string
  readonly refresh_token?: string
}

/** A registry with accounts, of which there is one admin, and what fills it. */
export class AccountsWorld {
  readonly testServer: TestServer
  /** The `Authorization` of somebody who may do everything. */
  readonly admin = basic('admin')
  #addresses = 0

  constructor(testServer: TestServer) {
    this.testServer = testServer
  }

  get app(): FastifyInstance {
    return this.testServer.app
  }

  get accounts(): Accounts {
    return this.testServer.server.stores.metadata.accounts
  }

  /** @returns their `Authorization`, with a password */
  async user(name: string, { isAdmin = false, passwordHash = BCRYPT_HASH }: NewUser = {}) {
    await this.accounts.addAccount({ ...made, kind: 'user', name, passwordHash, isAdmin })
    return basic(name)
  }

  async robot(name: string): Promise<void> {
    await this.accounts.addAccount({ ...made, kind: 'robot', name, isAdmin: false })
  }

  /** A personal token of an account. */
  async token(account: string, options: PersonalTokenOptions = {}) {
    const { id, text, secretHash } = createPersonalToken()
    const token = { id, account, kind: 'personal', secretHash, description: '' } as const
    await this.accounts.addToken({ ...made, ...token, ...options })
    return { id, text, authorization: basic(account, text) }
  }

  async group(name: string, ...members: readonly string[]): Promise<void> {
    await this.accounts.addGroup(name, made)
    for (const member of members) await this.accounts.addMember(name, member)
  }

  /** @returns the id of the grant */
  async grant(subject: Subject, pattern: string, ...actions: readonly Action[]): Promise<number> {
    const grant = { ...made, subject: subjectOf(subject), pattern, actions }
    return (await this.accounts.putGrant(grant)).id
  }

  async namespace(
    name: string,
    { owner, visibility = 'private' }: { owner?: Subject; visibility?: Visibility } = {},
  ): Promise<void> {
    const owned = owner && (subjectOf(owner) as NamespaceOwner)
    const defaultVisibility = visibility
    await this.accounts.putNamespace({
      ...{ ...made, name, defaultVisibility },
      ...(owned && { owner: owned }),
    })
  }

  async show(repository: string, visibility: Visibility): Promise<void> {
    await this.accounts.setVisibility(repository as RepositoryName, visibility)
  }

  /** The app as somebody uses it who sends this `Authorization` with everything. */
  as(authorization: string | undefined): FastifyInstance {
    const inject = (request: InjectOptions) => this.ask(request, authorization)
    return { inject } as unknown as FastifyInstance
  }

  /** One request; each comes from an address of its own, as failed logins slow one down. */
  ask(request: InjectOptions, authorization?: string) {
    const count = this.#addresses++
    const remoteAddress = `10.${(count >> 16) & 255}.${(count >> 8) & 255}.${count & 255}`
    const headers = { ...request.headers, ...(authorization !== undefined && { authorization }) }
    return this.app.inject({ remoteAddress, ...request, headers })
  }

  get(url: string, authorization?: string) {
    return this.ask({ method: 'GET', url }, authorization)
  }

  /** `GET /token`, with `scope` once for each. */
  askToken(authorization: string | undefined, ...scopes: readonly string[]) {
    const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]))
    return this.get(`/token?${query.toString()}`, authorization)
  }

  /** `POST /token` with a form. */
  postToken(form: Readonly<Record<string, string>>, contentType = FORM) {
    return this.ask({
      ...{ method: 'POST', url: '/token', headers: { 'content-type': contentType } },
      payload: new URLSearchParams(form).toString(),
    })
  }

  /** The `Authorization` with a bearer token, as a client has got it. */
  async bearer(authorization: string | undefined, ...scopes: readonly string[]): Promise<string> {
    const response = await this.askToken(authorization, ...scopes)
    if (response.statusCode !== 200) throw new Error(`token: ${response.body}`)
    return `Bearer ${response.json<BearerAnswer>().token}`
  }

  /** What docker login keeps in place of a password. */
  async refreshToken(name: string, password = PASSWORD): Promise<string> {
    const response = await this.get('/token?offline_token=true', basic(name, password))
    const { refresh_token: refreshToken } = response.json<BearerAnswer>()
    if (refreshToken === undefined) throw new Error(`token: ${response.body}`)
    return refreshToken
  }
}

export const FORM = 'application/x-www-form-urlencoded'

/** Starts one, with an admin called `admin`. */
export async function startWithAccounts(options: StartOptions = {}): Promise<AccountsWorld> {
  const world = new AccountsWorld(await startTestServer(withAccounts(options)))
  await giveAdminPassword(world)
  return world
}

/**
 * One with an admin called `admin` for all tests of a file, or of a `describe`, on the terms of
 * {@link sharedTestServer}.
 */
export function sharedWithAccounts(
  options: Omit<StartOptions, 'dataDirectory'> = {},
): AccountsWorld {
  const world = new AccountsWorld(sharedTestServer(withAccounts(options)))
  beforeAll(() => giveAdminPassword(world))
  return world
}

function withAccounts<Options extends StartOptions>(options: Options): Options {
  const access = { ...options.config?.access, mode: 'accounts' } as const
  return { ...options, config: { ...options.config, access } }
}

/** The one of {@link PASSWORD}, where this start has made the admin. */
async function giveAdminPassword({ testServer, accounts }: AccountsWorld): Promise<void> {
  if (testServer.server.firstAdmin === undefined) return
  await accounts.changeAccount({ name: 'admin', passwordHash: BCRYPT_HASH, at: made.at })
}

/** The `Authorization` of a name and a password. */
export function basic(name: string, password = PASSWORD): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

/** Fewer failures than these cost nobody any time. */
const freeGuesses = 11

/** Guesses until somebody who guesses is told to wait; later than usual where time passes meanwhile. */
export async function guessUntilThrottled<Answer extends { readonly statusCode: number }>(
  guess: () => Promise<Answer>,
): Promise<Answer> {
  for (let count = 0; count < 2 * freeGuesses; count++) {
    const answer = await guess()
    if (answer.statusCode === 401) continue
    expect(answer.statusCode).toBe(429)
    expect(count).toBeGreaterThanOrEqual(freeGuesses)
    return answer
  }
  throw new Error('whoever guesses is never told to wait')
}

/** The challenges that an answer has: as they are, which should be one. */
export function challengesOf(response: { readonly headers: object }): string[] {
  const value = (response.headers as Record<string, unknown>)['www-authenticate']
  return [value ?? []].flat() as string[]
}

/** The parameters of the one challenge of an answer, with its scheme. */
export function challengeOf(response: {
  readonly headers: object
}): Readonly<Record<string, string>> {
  const challenges = challengesOf(response)
  const [scheme = '', ...rest] = (challenges[0] ?? '').split(' ')
  const text = rest.join(' ')
  const parameters = [...text.matchAll(/([a-z_]+)="([^"]*)"(,|$)/g)]
  const isWhole = parameters.map(([part]) => part).join('') === text
  if (challenges.length !== 1 || !isWhole) throw new Error(`challenges: ${challenges.join(' | ')}`)
  return {
    scheme,
    ...Object.fromEntries(parameters.map(([, key = '', value = '']) => [key, value])),
  }
}

function subjectOf(text: Subject): GrantSubject {
  const [kind, name = ''] = text.split(' ')
  if (kind === 'user' || kind === 'robot' || kind === 'group') return { kind, name }
  return { kind: kind as 'anonymous' | 'signed-in' }
}
