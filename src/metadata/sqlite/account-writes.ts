import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { AccountChange, Change, ImportedUser, NewAccount } from '../accounts.js'
import type { Connection } from './connection.js'

/** null leaves a column as it is. */
interface ChangeParameters {
  readonly name: string
  readonly passwordHash: string | null
  readonly isAdmin: number | null
  readonly isDisabled: number | null
  readonly isOver: number
  readonly at: number
}

/** What changes accounts; each method runs inside a transaction of the writer. */
export class AccountWrites {
  readonly #find: Statement<[string], number>
  readonly #add: Statement<unknown[]>
  readonly #change: Statement<[ChangeParameters], number>
  readonly #forgetLogins: Statement<[number]>
  readonly #delete: Statement<[string]>

  constructor(connection: Connection) {
    this.#find = connection
      .prepare<[string], number>('select id from accounts where name = ?')
      .pluck()
    this.#add = connection.prepare(
      `insert into accounts (kind, name, password_hash, is_admin, created_at, created_by)
       values (?, ?, ?, ?, ?, ?) on conflict do nothing`,
    )
    this.#change = connection
      .prepare<[ChangeParameters], number>(
        `update accounts set
           password_hash = coalesce(@passwordHash, password_hash),
           is_admin = coalesce(@isAdmin, is_admin),
           disabled_at = case @isDisabled when 1 then coalesce(disabled_at, @at) when 0 then null
             else disabled_at end,
           epoch = epoch + @isOver
         where name = @name returning id`,
      )
      .pluck()
    this.#forgetLogins = connection.prepare(
      `delete from tokens where account_id = ? and kind = 'refresh'`,
    )
    this.#delete = connection.prepare('delete from accounts where name = ?')
  }

  /** @throws {@link RegistryError} `ACCOUNT_UNKNOWN` */
  get(name: string): number {
    const id = this.#find.get(name)
    if (id === undefined) throw accountUnknown(name)
    return id
  }

  addAccount({ kind, name, passwordHash, isAdmin, identity, at }: NewAccount): void {
    const added = this.#add.run(kind, name, passwordHash ?? null, isAdmin ? 1 : 0, at, identity)
    if (added.changes === 0) throw nameTaken(name)
  }

  importUsers(users: readonly ImportedUser[], change: Change): void {
    for (const { name, passwordHash } of users) {
      this.addAccount({ kind: 'user', name, passwordHash, isAdmin: false, ...change })
    }
  }

  changeAccount({ name, passwordHash, isAdmin, isDisabled, at }: AccountChange): void {
    const isOver = passwordHash !== undefined || isDisabled === true
    const id = this.#change.get({
      name,
      passwordHash: passwordHash ?? null,
      isAdmin: flag(isAdmin),
      isDisabled: flag(isDisabled),
      isOver: isOver ? 1 : 0,
      at,
    })
    if (id === undefined) throw accountUnknown(name)
    if (isOver) this.#forgetLogins.run(id)
  }

  deleteAccount(name: string): void {
    if (this.#delete.run(name).changes === 0) throw accountUnknown(name)
  }
}

function flag(value: boolean | undefined): number | null {
  return value === undefined ? null : value ? 1 : 0
}

export function accountUnknown(name: string): RegistryError {
  return new RegistryError('ACCOUNT_UNKNOWN', 'there is no user and no robot of this name', {
    details: [{ name }],
  })
}

function nameTaken(name: string): RegistryError {
  return new RegistryError('CONFLICT', `there is a user or a robot called ${name} already`, {
    details: [{ name }],
  })
}
