import type { Statement } from 'better-sqlite3'
import type { RepositoryName } from '../../oci/reference.js'
import type {
  Grant,
  GrantSubject,
  NewGrant,
  NewNamespace,
  NewSigningKey,
  Visibility,
} from '../accounts.js'
import type { AccountWrites } from './account-writes.js'
import type { Connection } from './connection.js'
import type { GroupWrites } from './group-writes.js'
import type { Repositories } from './repositories.js'

/** What changes who may do what; each method runs inside a transaction of the writer. */
export class GrantWrites {
  readonly #accounts: AccountWrites
  readonly #groups: GroupWrites
  readonly #repositories: Repositories
  readonly #put: Statement<
    unknown[],
    { readonly id: number; readonly created_at: number; readonly created_by: string }
  >
  readonly #remove: Statement<[number]>
  readonly #putNamespace: Statement<unknown[]>
  readonly #removeNamespace: Statement<[string]>
  readonly #setVisibility: Statement<[string, number]>
  readonly #addKey: Statement<[string, string, number]>
  readonly #retireKeys: Statement<[{ readonly until: number }]>
  readonly #forgetAllKeys: Statement<[]>
  readonly #forgetKeys: Statement<[number]>

  constructor(
    connection: Connection,
    accounts: AccountWrites,
    groups: GroupWrites,
    repositories: Repositories,
  ) {
    this.#accounts = accounts
    this.#groups = groups
    this.#repositories = repositories
    this.#put = connection.prepare(
      `insert into grants (subject, account_id, group_id, pattern, actions, created_at, created_by)
       values (?, ?, ?, ?, ?, ?, ?)
       on conflict (subject, coalesce(account_id, 0), coalesce(group_id, 0), pattern)
       do update set actions = excluded.actions, created_at = excluded.created_at,
         created_by = excluded.created_by
       returning id, created_at, created_by`,
    )
    this.#remove = connection.prepare('delete from grants where id = ?')
    this.#putNamespace = connection.prepare(
      `insert into namespaces
         (name, owner_account_id, owner_group_id, default_visibility, created_at, created_by)
       values (?, ?, ?, ?, ?, ?)
       on conflict do update set owner_account_id = excluded.owner_account_id,
         owner_group_id = excluded.owner_group_id,
         default_visibility = excluded.default_visibility`,
    )
    this.#removeNamespace = connection.prepare('delete from namespaces where name = ?')
    this.#setVisibility = connection.prepare('update repositories set visibility = ? where id = ?')
    this.#addKey = connection.prepare(
      'insert into signing_keys (id, private_key, created_at) values (?, ?, ?)',
    )
    this.#retireKeys = connection.prepare(
      'update signing_keys set valid_until = min(coalesce(valid_until, @until), @until)',
    )
    this.#forgetAllKeys = connection.prepare('delete from signing_keys')
    this.#forgetKeys = connection.prepare('delete from signing_keys where valid_until <= ?')
  }

  putGrant({ subject, pattern, actions, at, identity }: NewGrant): Grant {
    const row = this.#put.get(
      isAccount(subject.kind) ? 'account' : subject.kind,
      this.#accountOf(subject),
      this.#groupOf(subject),
      pattern,
      actions.join(','),
      at,
      identity,
    ) as { id: number; created_at: number; created_by: string }
    return {
      id: row.id,
      subject,
      pattern,
      actions,
      createdAt: row.created_at,
      createdBy: row.created_by,
    }
  }

  removeGrant(id: number): boolean {
    return this.#remove.run(id).changes > 0
  }

  putNamespace({ name, owner, defaultVisibility, at, identity }: NewNamespace): void {
    const account = owner === undefined ? null : this.#accountOf(owner)
    const group = owner === undefined ? null : this.#groupOf(owner)
    this.#putNamespace.run(name, account, group, defaultVisibility, at, identity)
  }

  removeNamespace(name: string): boolean {
    return this.#removeNamespace.run(name).changes > 0
  }

  setVisibility(repository: RepositoryName, visibility: Visibility): void {
    this.#setVisibility.run(visibility, this.#repositories.get(repository))
  }

  addSigningKey({ id, privateKey, at, othersUntil, forgottenUntil }: NewSigningKey): void {
    if (othersUntil === undefined) {
      this.#forgetAllKeys.run()
    } else {
      this.#forgetKeys.run(forgottenUntil)
      this.#retireKeys.run({ until: othersUntil })
    }
    this.#addKey.run(id, privateKey, at)
  }

  #accountOf(subject: GrantSubject): number | null {
    if (subject.kind !== 'user' && subject.kind !== 'robot') return null
    return this.#accounts.get(subject.name, subject.kind)
  }

  #groupOf(subject: GrantSubject): number | null {
    return subject.kind === 'group' ? this.#groups.get(subject.name) : null
  }
}

function isAccount(kind: GrantSubject['kind']): boolean {
  return kind === 'user' || kind === 'robot'
}
