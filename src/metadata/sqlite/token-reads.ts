import type { Statement } from 'better-sqlite3'
import type { StoredToken, TokenKind, TokenRecord, TokenScope, TokensQuery } from '../accounts.js'
import type { Page } from '../pages.js'
import { accountOf, type AccountRow } from './account-rows.js'
import { accountUnknown } from './account-writes.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'

interface TokenRow {
  readonly id: string
  readonly kind: TokenKind
  readonly description: string
  readonly scope: string | null
  readonly created_at: number
  readonly created_by: string
  readonly expires_at: number | null
  readonly last_used_at: number | null
}

interface StoredRow extends TokenRow {
  readonly account_id: number
  readonly account_kind: AccountRow['kind']
  readonly name: string
  readonly password_hash: string | null
  readonly is_admin: 0 | 1
  readonly disabled_at: number | null
  readonly epoch: number
}

const columns = `t.id, t.kind, t.description, t.scope, t.created_at, t.created_by, t.expires_at,
  t.last_used_at`

const storedColumns = `${columns}, a.id as account_id, a.kind as account_kind, a.name,
  a.password_hash, a.is_admin, a.disabled_at, a.epoch`

/** What stands in place of passwords. */
export class TokenReads {
  readonly #byHash: Statement<[string], StoredRow>
  readonly #byId: Statement<[string], StoredRow>
  readonly #list: Statement<[string, string, number], TokenRow & { readonly account: string }>
  readonly #listOfAccount: Statement<
    [number, string, string, number],
    TokenRow & { account: string }
  >
  readonly #accountId: Statement<[string], number>

  constructor(connection: Connection) {
    this.#byHash = connection.prepare(
      `select ${storedColumns} from tokens t join accounts a on a.id = t.account_id
       where t.secret_hash = ?`,
    )
    this.#byId = connection.prepare(
      `select ${storedColumns} from tokens t join accounts a on a.id = t.account_id where t.id = ?`,
    )
    this.#list = connection.prepare(
      `select ${columns}, a.name as account from tokens t join accounts a on a.id = t.account_id
       where t.kind = ? and t.id > ? order by t.id limit ?`,
    )
    this.#listOfAccount = connection.prepare(
      `select ${columns}, a.name as account from accounts a
       cross join tokens t on t.account_id = a.id
       where a.id = ? and t.kind = ? and t.id > ? order by t.id limit ?`,
    )
    this.#accountId = connection
      .prepare<[string], number>('select id from accounts where name = ?')
      .pluck()
  }

  find(secretHash: string): StoredToken | undefined {
    return storedOf(this.#byHash.get(secretHash))
  }

  findById(id: string): StoredToken | undefined {
    return storedOf(this.#byId.get(id))
  }

  list({ account, kind, after = '', limit }: TokensQuery): Page<TokenRecord> {
    const rows =
      account === undefined
        ? this.#list.all(kind, after, limit + 1)
        : this.#listOfAccount.all(this.#idOf(account), kind, after, limit + 1)
    return pageOf(rows.map(recordOf), limit)
  }

  #idOf(account: string): number {
    const id = this.#accountId.get(account)
    if (id === undefined) throw accountUnknown(account)
    return id
  }
}

function recordOf(row: TokenRow & { readonly account: string }): TokenRecord {
  return { ...tokenOf(row), account: row.account }
}

function storedOf(row: StoredRow | undefined): StoredToken | undefined {
  if (row === undefined) return undefined
  const account = accountOf({ ...row, id: row.account_id, kind: row.account_kind })
  return {
    ...tokenOf(row),
    account,
  }
}

function tokenOf(row: TokenRow) {
  return {
    id: row.id,
    kind: row.kind,
    description: row.description,
    ...(row.scope !== null && { scope: JSON.parse(row.scope) as TokenScope[] }),
    createdAt: row.created_at,
    createdBy: row.created_by,
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
    ...(row.last_used_at !== null && { lastUsedAt: row.last_used_at }),
  }
}
