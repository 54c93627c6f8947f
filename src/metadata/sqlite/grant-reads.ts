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
  NamespaceOwner,
  SigningKey,
  Visibility,
} from '../accounts.js'
import type { Page, PageRequest } from '../pages.js'
import { subjectOf, type SubjectRow } from './account-rows.js'
import { accountUnknown } from './account-writes.js'
import type { Connection } from './connection.js'
import { groupUnknown } from './group-writes.js'
import { pageOf } from './pages.js'
import { FIRST_NAME, rangeOf } from './visible-repositories.js'

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

const grantColumns = `g.id, g.subject, a.name as account, a.kind as account_kind, o.name as group_name,
  g.pattern, g.actions, g.created_at, g.created_by`

const namespaceColumns = `n.name, a.name as account, o.name as group_name, n.default_visibility,
  n.created_at, n.created_by`

const namespaceOwners = `left join accounts a on a.id = n.owner_account_id
  left join account_groups o on o.id = n.owner_group_id`

/** Names that are read for a pattern which no index has. */
const namesMax = 5000

const namesBatch = 500

/** What somebody may do, and where. */
export class GrantReads {
  readonly #version: Statement<[], number>
  readonly #byId: Statement<[number], GrantRow>
  readonly #after: Statement<[number, number], GrantRow>
  readonly #ofAccount: Statement<[number, number, number], GrantRow>
  readonly #ofGroup: Statement<[number, number, number], GrantRow>
  readonly #ofSubject: Statement<[string, number, number], GrantRow>
  readonly #accountId: Statement<[string, string], number>
  readonly #groupId: Statement<[string], number>
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
    const grantsOf = (condition: string) =>
      `select ${grantColumns} from grants g ${grantsWithNames}
       where ${condition} and g.id > ? order by g.id limit ?`
    this.#ofAccount = connection.prepare(grantsOf('g.account_id = ?'))
    this.#ofGroup = connection.prepare(grantsOf('g.group_id = ?'))
    this.#ofSubject = connection.prepare(
      grantsOf(`g.subject = ? and g.subject in ('signed-in', 'anonymous')`),
    )
    this.#accountId = connection
      .prepare<[string, string], number>('select id from accounts where name = ? and kind = ?')
      .pluck()
    this.#groupId = connection
      .prepare<[string], number>('select id from account_groups where name = ?')
      .pluck()
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
       where rb.digest = ? and rb.repository_id > ? and r.name >= '${FIRST_NAME}'
       order by rb.repository_id limit ?`,
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
    const rows =
      subject === undefined
        ? this.#after.all(after, limit + 1)
        : this.#listOf(subject, after, limit + 1)
    return pageOf(rows.map(grantOf), limit)
  }

  listRightsOf(account: number | undefined): HeldRight[] {
    if (account === undefined) return this.#rightsOfAnybody.all().map(rightOf)
    const owned = this.#owned.all({ account }).map((row): HeldRight => ({
      kind: 'namespace',
      name: row.name,
      owner: ownerOf(row) ?? { kind: 'user', name: '' },
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

  listBlobHolders(digest: Digest, { after, limit }: PageRequest): Page<RepositoryName> {
    const afterId = after === undefined ? 0 : (this.#repositoryId.get(after) ?? 0)
    const rows = this.#holders.all(digest, afterId, limit + 1)
    return pageOf(
      rows.map(({ name }) => name),
      limit,
    )
  }

  listMatching(text: string, limit: number): Page<RepositoryName> {
    const pattern = parsePattern(text)
    const entries: RepositoryName[] = []
    const { from: first, below } = rangeOf(pattern)
    let from = first
    for (let read = 0; read < namesMax; read += namesBatch) {
      const names = this.#names.all(from, below, namesBatch)
      for (const name of names) {
        if (!pattern.matches(name)) continue
        if (entries.length === limit) return { entries, hasMore: true }
        entries.push(name)
      }
      if (names.length < namesBatch) return { entries, hasMore: false }
      from = `${names.at(-1) ?? ''}\0`
    }
    return { entries, hasMore: true }
  }

  listSigningKeys(at: number): SigningKey[] {
    return this.#keys.all(at).map((row) => ({
      id: row.id,
      privateKey: row.private_key,
      createdAt: row.created_at,
      ...(row.valid_until !== null && { validUntil: row.valid_until }),
    }))
  }

  #listOf(subject: GrantSubject, after: number, limit: number): GrantRow[] {
    switch (subject.kind) {
      case 'user':
      case 'robot': {
        const id = this.#accountId.get(subject.name, subject.kind)
        if (id === undefined) throw accountUnknown(subject.name, subject.kind)
        return this.#ofAccount.all(id, after, limit)
      }
      case 'group': {
        const id = this.#groupId.get(subject.name)
        if (id === undefined) throw groupUnknown(subject.name)
        return this.#ofGroup.all(id, after, limit)
      }
      case 'signed-in':
      case 'anonymous':
        return this.#ofSubject.all(subject.kind, after, limit)
    }
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

function ownerOf({ account, group_name: group }: NamespaceRow): NamespaceOwner | undefined {
  if (account !== null) return { kind: 'user', name: account }
  if (group !== null) return { kind: 'group', name: group }
  return undefined
}
