import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import { parsePattern } from '../../oci/patterns.js'
import type { RepositoryName } from '../../oci/reference.js'
import type {
  Action,
  Grant,
  GrantSubject,
  GrantsQuery,
  HeldRight,
  Namespace,
  SigningKey,
  Visibility,
} from '../accounts.js'
import type { Page, PageRequest } from '../metadata-store.js'
import { subjectOf, type SubjectRow } from './account-rows.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'

interface GrantRow extends SubjectRow {
  readonly id: number
  readonly pattern: string
  readonly actions: string
  readonly created_at: number
  readonly created_by: string
}

interface NamespaceRow {
  readonly name: string
  readonly account: string | null
  readonly group_name: string | null
  readonly default_visibility: Visibility
  readonly created_at: number
  readonly created_by: string
}

interface KeyRow {
  readonly id: string
  readonly private_key: string
  readonly created_at: number
  readonly valid_until: number | null
}

const grantColumns = `g.id, g.subject, a.name as account, o.name as group_name, g.pattern, g.actions,
  g.created_at, g.created_by`

const namespaceColumns = `n.name, a.name as account, o.name as group_name, n.default_visibility,
  n.created_at, n.created_by`

const namespaceOwners = `left join accounts a on a.id = n.owner_account_id
  left join account_groups o on o.id = n.owner_group_id`

/** Names that are read for a pattern which no index has. */
const namesMax = 5000

const namesBatch = 500

/** Sorts behind every name. */
const LAST = '\u{10ffff}'

/** What somebody may do, and where. */
export class GrantReads {
  readonly #version: Statement<[], number>
  readonly #byId: Statement<[number], GrantRow>
  readonly #after: Statement<[number, number], GrantRow>
  readonly #rights: Statement<[{ readonly account: number }], GrantRow>
  readonly #rightsOfAnybody: Statement<[], GrantRow>
  readonly #owned: Statement<[{ readonly account: number }], NamespaceRow>
  readonly #namespace: Statement<[string], NamespaceRow>
  readonly #namespaces: Statement<[string, number], NamespaceRow>
  readonly #visibility: Statement<[string], Visibility>
  readonly #holders: Statement<[string, number, number], { id: number; name: RepositoryName }>
  readonly #repositoryId: Statement<[string], number>
  readonly #names: Statement<[string, string, number], RepositoryName>
  readonly #keys: Statement<[number], KeyRow>

  constructor(connection: Connection) {
    this.#version = connection
      .prepare<[], number>('select version from access_version where id = 1')
      .pluck()
    const grantsWithNames = `left join accounts a on a.id = g.account_id
      left join account_groups o on o.id = g.group_id`
    this.#byId = connection.prepare(
      `select ${grantColumns} from grants g ${grantsWithNames} where g.id = ?`,
    )
    this.#after = connection.prepare(
      `select ${grantColumns} from grants g ${grantsWithNames} where g.id > ? order by g.id limit ?`,
    )
    this.#rightsOfAnybody = connection.prepare(
      `select ${grantColumns} from grants g ${grantsWithNames} where g.subject = 'anonymous'`,
    )
    this.#rights = connection.prepare(
      `select ${grantColumns} from (
         select id from grants where account_id = @account
         union all select g.id from group_members m join grants g on g.group_id = m.group_id
           where m.account_id = @account
         union all select id from grants where subject in ('signed-in', 'anonymous')
       ) held cross join grants g on g.id = held.id ${grantsWithNames}`,
    )
    this.#owned = connection.prepare(
      `select ${namespaceColumns} from (
         select name from namespaces where owner_account_id = @account
         union all select n.name from group_members m
           join namespaces n on n.owner_group_id = m.group_id where m.account_id = @account
       ) held cross join namespaces n on n.name = held.name ${namespaceOwners}`,
    )
    this.#namespace = connection.prepare(
      `select ${namespaceColumns} from namespaces n ${namespaceOwners} where n.name = ?`,
    )
    this.#namespaces = connection.prepare(
      `select ${namespaceColumns} from namespaces n ${namespaceOwners}
       where n.name > ? order by n.name limit ?`,
    )
    this.#visibility = connection
      .prepare<[string], Visibility>('select visibility from repositories where name = ?')
      .pluck()
    this.#repositoryId = connection
      .prepare<[string], number>('select id from repositories where name = ?')
      .pluck()
    this.#holders = connection.prepare(
      `select r.id, r.name from repository_blobs rb
       cross join blobs b on b.digest = rb.digest and b.damaged_at is null
       cross join repositories r on r.id = rb.repository_id
       where rb.digest = ? and rb.repository_id > ? and substr(r.name, 1, 1) <> '#' order by rb.repository_id limit ?`,
    )
    this.#names = connection
      .prepare<[string, string, number], RepositoryName>(
        `select name from repositories where listed = 1 and name >= ? and name < ?
         order by name limit ?`,
      )
      .pluck()
    this.#keys = connection.prepare(
      `select id, private_key, created_at, valid_until from signing_keys
       where valid_until is null or valid_until > ?`,
    )
  }

  getVersion(): number {
    return this.#version.get() ?? 0
  }

  find(id: number): Grant | undefined {
    const row = this.#byId.get(id)
    return row && grantOf(row)
  }

  list({ subject, after = 0, limit }: GrantsQuery): Page<Grant> {
    const found: Grant[] = []
    let last = after
    for (;;) {
      const rows = this.#after.all(last, limit + 1)
      for (const row of rows) {
        const grant = grantOf(row)
        if (subject === undefined || isSame(grant.subject, subject)) found.push(grant)
        if (found.length > limit) return pageOf(found, limit)
        last = row.id
      }
      if (rows.length <= limit) return pageOf(found, limit)
    }
  }

  listRightsOf(account: number | undefined): HeldRight[] {
    if (account === undefined) return this.#rightsOfAnybody.all().map(rightOf)
    const owned = this.#owned.all({ account }).map((row): HeldRight => ({
      kind: 'namespace',
      name: row.name,
      owner: ownerOf(row) ?? { kind: 'account', name: '' },
    }))
    return [...owned, ...this.#rights.all({ account }).map(rightOf)]
  }

  findNamespace(name: string): Namespace | undefined {
    const row = this.#namespace.get(name)
    return row && namespaceOf(row)
  }

  listNamespaces({ after = '', limit }: PageRequest): Page<Namespace> {
    return pageOf(this.#namespaces.all(after, limit + 1).map(namespaceOf), limit)
  }

  findVisibility(repository: RepositoryName): Visibility | undefined {
    return this.#visibility.get(repository)
  }

  /** In no order that means anything, but always the same. */
  listBlobHolders(digest: Digest, { after, limit }: PageRequest): Page<RepositoryName> {
    const afterId = after === undefined ? 0 : (this.#repositoryId.get(after) ?? 0)
    const rows = this.#holders.all(digest, afterId, limit + 1)
    return pageOf(
      rows.map(({ name }) => name),
      limit,
    )
  }

  listMatching(text: string, limit: number): RepositoryName[] {
    const pattern = parsePattern(text)
    const found: RepositoryName[] = []
    let from = pattern.prefix
    for (let read = 0; read < namesMax; read += namesBatch) {
      const names = this.#names.all(from, pattern.prefix + LAST, namesBatch)
      for (const name of names) {
        if (pattern.matches(name)) found.push(name)
        if (found.length === limit) return found
      }
      if (names.length < namesBatch) break
      from = `${names.at(-1) ?? ''}\0`
    }
    return found
  }

  listSigningKeys(at: number): SigningKey[] {
    return this.#keys.all(at).map((row) => ({
      id: row.id,
      privateKey: row.private_key,
      createdAt: row.created_at,
      ...(row.valid_until !== null && { validUntil: row.valid_until }),
    }))
  }
}

function grantOf(row: GrantRow): Grant {
  return {
    id: row.id,
    subject: subjectOf(row),
    pattern: row.pattern,
    actions: row.actions.split(',') as Action[],
    createdAt: row.created_at,
    createdBy: row.created_by,
  }
}

function rightOf(row: GrantRow): HeldRight {
  const { id, subject, pattern, actions } = grantOf(row)
  return { kind: 'grant', id, subject, pattern, actions }
}

function namespaceOf(row: NamespaceRow): Namespace {
  const owner = ownerOf(row)
  return {
    name: row.name,
    ...(owner && { owner }),
    defaultVisibility: row.default_visibility,
    createdAt: row.created_at,
    createdBy: row.created_by,
  }
}

function ownerOf({ account, group_name: group }: NamespaceRow): Namespace['owner'] {
  if (account !== null) return { kind: 'account', name: account }
  if (group !== null) return { kind: 'group', name: group }
  return undefined
}

function isSame(a: GrantSubject, b: GrantSubject): boolean {
  return a.kind === b.kind && ('name' in a ? a.name : '') === ('name' in b ? b.name : '')
}
