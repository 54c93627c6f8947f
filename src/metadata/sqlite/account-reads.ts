import type { Statement } from 'better-sqlite3'
import type {
  Account,
  AccountKind,
  AccountRecord,
  AccountsQuery,
  GroupRecord,
} from '../accounts.js'
import type { Page, PageRequest } from '../pages.js'
import { accountOf, accountColumns, type AccountRow } from './account-rows.js'
import type { Connection } from './connection.js'
import { groupUnknown } from './group-writes.js'
import { pageOf } from './pages.js'

interface RecordRow {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly is_admin: 0 | 1
  readonly has_password: 0 | 1
  readonly disabled_at: number | null
  readonly created_at: number
  readonly created_by: string
}

interface GroupRow {
  readonly name: string
  readonly created_at: number
  readonly created_by: string
  readonly member_count: number
}

const recordColumns = `id, name, kind, is_admin, password_hash is not null as has_password,
  disabled_at, created_at, created_by`

/** Who there is. */
export class AccountReads {
  readonly #byName: Statement<[string], AccountRow>
  readonly #byId: Statement<[number], AccountRow>
  readonly #anyUser: Statement<[], number>
  readonly #anyAdmin: Statement<[number], number>
  readonly #passwordFrom: Statement<[string], string>
  readonly #list: Statement<[string, number], RecordRow>
  readonly #listKind: Statement<[string, string, number], RecordRow>
  readonly #record: Statement<[string], RecordRow>
  readonly #groupsOf: Statement<[number], string>
  readonly #groups: Statement<[string, number], GroupRow>
  readonly #group: Statement<[string], number>
  readonly #members: Statement<[number, string, number], string>

  constructor(connection: Connection) {
    this.#byName = connection.prepare(`select ${accountColumns} from accounts where name = ?`)
    this.#byId = connection.prepare(`select ${accountColumns} from accounts where id = ?`)
    this.#anyUser = connection
      .prepare<[], number>(`select exists (select 1 from accounts where kind = 'user')`)
      .pluck()
    this.#anyAdmin = connection
      .prepare<[number], number>(
        `select exists (
           select 1 from accounts a
           where kind = 'user' and is_admin = 1 and disabled_at is null and (
             password_hash is not null
             or exists (
               select 1 from tokens t
               where t.account_id = a.id and t.kind = 'personal' and t.scope is null
                 and coalesce(t.expires_at > ?, true)
             )
           )
         )`,
      )
      .pluck()
    this.#passwordFrom = connection
      .prepare<[string], string>(
        `select password_hash from accounts where password_hash is not null and name >= ?
         order by name limit 1`,
      )
      .pluck()
    this.#list = connection.prepare(
      `select ${recordColumns} from accounts where name > ? order by name limit ?`,
    )
    this.#listKind = connection.prepare(
      `select ${recordColumns} from accounts where name > ? and kind = ? order by name limit ?`,
    )
    this.#record = connection.prepare(`select ${recordColumns} from accounts where name = ?`)
    this.#groupsOf = connection
      .prepare<[number], string>(
        `select g.name from group_members m join account_groups g on g.id = m.group_id
         where m.account_id = ? order by g.name`,
      )
      .pluck()
    this.#groups = connection.prepare(
      `select name, created_at, created_by,
         (select count(*) from group_members m where m.group_id = g.id) as member_count
       from account_groups g where name > ? order by name limit ?`,
    )
    this.#group = connection
      .prepare<[string], number>('select id from account_groups where name = ?')
      .pluck()
    this.#members = connection
      .prepare<[number, string, number], string>(
        `select a.name from group_members m join accounts a on a.id = m.account_id
         where m.group_id = ? and a.name > ? order by a.name limit ?`,
      )
      .pluck()
  }

  find(name: string): Account | undefined {
    const row = this.#byName.get(name)
    return row && accountOf(row)
  }

  findById(id: number): Account | undefined {
    const row = this.#byId.get(id)
    return row && accountOf(row)
  }

  findRecord(name: string): AccountRecord | undefined {
    const row = this.#record.get(name)
    return row && this.#recordOf(row)
  }

  hasUsers(): boolean {
    return this.#anyUser.get() === 1
  }

  canAdminLogIn(at: number): boolean {
    return this.#anyAdmin.get(at) === 1
  }

  findDecoyHash(name: string): string | undefined {
    return this.#passwordFrom.get(name) ?? this.#passwordFrom.get('')
  }

  list({ kind, after = '', limit }: AccountsQuery): Page<AccountRecord> {
    const rows =
      kind === undefined
        ? this.#list.all(after, limit + 1)
        : this.#listKind.all(after, kind, limit + 1)
    const { entries, hasMore } = pageOf(rows, limit)
    return { entries: entries.map((row) => this.#recordOf(row)), hasMore }
  }

  listGroups({ after = '', limit }: PageRequest): Page<GroupRecord> {
    const rows = this.#groups.all(after, limit + 1).map((row) => ({
      name: row.name,
      memberCount: row.member_count,
      createdAt: row.created_at,
      createdBy: row.created_by,
    }))
    return pageOf(rows, limit)
  }

  listMembers(group: string, { after = '', limit }: PageRequest): Page<string> {
    const id = this.#group.get(group)
    if (id === undefined) throw groupUnknown(group)
    return pageOf(this.#members.all(id, after, limit + 1), limit)
  }

  #recordOf(row: RecordRow): AccountRecord {
    return {
      name: row.name,
      kind: row.kind,
      isAdmin: row.is_admin === 1,
      hasPassword: row.has_password === 1,
      ...(row.disabled_at !== null && { disabledAt: row.disabled_at }),
      createdAt: row.created_at,
      createdBy: row.created_by,
      groups: this.#groupsOf.all(row.id),
    }
  }
}
