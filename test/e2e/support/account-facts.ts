import type { HttpClient } from './http-client.js'

/**
 * What there is of accounts, as lines: `user NAME` (`enabled`, `disabled`), `robot NAME`, `password NAME` (it),
 * `group NAME`, `member GROUP NAME`, `token NAME DESCRIPTION`, `refresh NAME CLIENT`,
 * `grant SUBJECT PATTERN` (its actions).
 */
export type Facts = ReadonlyMap<string, string>

export const HERE = 'here'

/** What lists tell; of passwords only that they are there. */
export interface Listed {
  readonly facts: Facts
  /** By the key of a token or a grant. */
  readonly ids: ReadonlyMap<string, string>
}

/** What the words of a protocol need, as grants call it. */
const WORDS = { pull: 'pull', push: 'create', delete: 'delete' } as const

const INCLUDED: Readonly<Record<string, readonly string[]>> = {
  pull: ['pull'],
  create: ['create', 'pull'],
  overwrite: ['overwrite', 'create', 'pull'],
  delete: ['delete', 'pull'],
  admin: ['admin', 'delete', 'overwrite', 'create', 'pull'],
}

/** The same without everything that a name stands in: what is left when an account or a group is deleted. */
export function without(facts: Facts, name: string): Facts {
  return new Map([...facts].filter(([key]) => !key.split(/[ :]/).includes(name)))
}

/** The same with lines that are new or have another value; undefined takes one away. */
export function changed(
  facts: Facts,
  changes: Readonly<Record<string, string | undefined>>,
): Facts {
  const after = new Map(facts)
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) after.delete(key)
    else after.set(key, value)
  }
  return after
}

/** The second words of the lines that begin with a word: the names of users, … */
export function named(facts: Facts, kind: string): string[] {
  return keysOf(facts, kind).map((key) => key.split(' ')[1] ?? '')
}

export function keysOf(facts: Facts, kind: string): string[] {
  return [...facts.keys()].filter((key) => key.startsWith(`${kind} `))
}

/** Facts as lists can tell them, to be compared. */
export function asListed(facts: Facts): string[] {
  return [...facts]
    .map(([key, value]) => `${key}: ${key.startsWith('password ') ? HERE : value}`)
    .sort()
}

/** What a token for a repository should be for: `pull,push,delete`, or less. */
export function wordsFor(facts: Facts, account: string, repository: string): string {
  const groups = named(facts, 'group').filter((group) => facts.has(`member ${group} ${account}`))
  const subjects = [`user:${account}`, `robot:${account}`, ...groups.map((name) => `group:${name}`)]
  const held = new Set<string>()
  for (const key of keysOf(facts, 'grant')) {
    const [, subject = '', pattern = ''] = key.split(' ')
    if (!subjects.includes(subject) || !matches(pattern, repository)) continue
    for (const action of (facts.get(key) ?? '').split(',')) {
      for (const included of INCLUDED[action] ?? []) held.add(included)
    }
  }
  return Object.entries(WORDS)
    .filter(([, action]) => held.has(action))
    .map(([word]) => word)
    .join(',')
}

function matches(pattern: string, repository: string): boolean {
  return (
    pattern === repository ||
    (pattern.endsWith('/**') && repository.startsWith(pattern.slice(0, -2)))
  )
}

/** Reads every list of accounts and rights that the management API has. */
export async function readFacts(http: HttpClient, authorization: string): Promise<Listed> {
  const facts = new Map<string, string>()
  const ids = new Map<string, string>()
  const list = <T>(path: string) => listAll<T>(http, authorization, path)
  for (const kind of ['user', 'robot']) {
    for (const { name, isDisabled, hasPassword } of await list<AccountItem>(`/${kind}s`)) {
      facts.set(`${kind} ${name}`, isDisabled ? 'disabled' : 'enabled')
      if (hasPassword) facts.set(`password ${name}`, HERE)
    }
  }
  for (const { name: group } of await list<{ name: string }>('/groups')) {
    facts.set(`group ${group}`, HERE)
    for (const { name } of await list<{ name: string }>(`/groups/${group}/members`)) {
      facts.set(`member ${group} ${name}`, HERE)
    }
  }
  for (const [kind, key] of [
    ['personal', 'token'],
    ['refresh', 'refresh'],
  ]) {
    for (const { id, account, description } of await list<TokenItem>(`/tokens?kind=${kind}`)) {
      facts.set(`${key} ${account} ${description}`, HERE)
      ids.set(`${key} ${account} ${description}`, id)
    }
  }
  for (const { id, subject, pattern, actions } of await list<GrantItem>('/grants')) {
    facts.set(`grant ${subject} ${pattern}`, actions.join(','))
    ids.set(`grant ${subject} ${pattern}`, String(id))
  }
  return { facts, ids }
}

interface AccountItem {
  readonly name: string
  readonly isDisabled: boolean
  readonly hasPassword?: boolean
}

interface TokenItem {
  readonly id: string
  readonly account: string
  readonly description: string
}

interface GrantItem {
  readonly id: number
  readonly subject: string
  readonly pattern: string
  readonly actions: readonly string[]
}

/** All items of a list of the management API. */
export async function listAll<T>(
  http: HttpClient,
  authorization: string,
  path: string,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const query = `limit=1000${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const url = `/api/v1${path}${path.includes('?') ? '&' : '?'}${query}`
    const { status, body } = await http.send('GET', url, { headers: { authorization } })
    if (status !== 200) throw new Error(`GET ${url} is answered with ${status}: ${body.toString()}`)
    const page = JSON.parse(body.toString()) as { items: T[]; nextCursor?: string }
    items.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return items
}
