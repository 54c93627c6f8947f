import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { AccountChange, AccountKind, Change, ImportedUser, NewAccount } from '../accounts.js'
import type { Connection } from './connection.js'

/** A person reads them. */
const namesToldMax = 20

/** null leaves a column as it is. */
interface ChangeParameters {
  readonly id: number
  readonly passwordHash: string | null
  readonly isAdmin: number | null
  readonly isDisabled: number | null
  readonly isOver: number
  readonly at: number
}

/** What changes accounts; each method runs inside a transaction of the writer. */
export class AccountWrites {
  readonly #find: Statement<[string], { readonly id: number; readonly kind: AccountKind }>
  readonly #add: Statement<unknown[]>
  readonly #change: Statement<[ChangeParameters]>
  readonly #forgetLogins: Statement<[number]>
  readonly #delete: Statement<[number]>

  constructor(connection: Connection) {
    this.#find = connection.prepare('select id, kind from accounts where name = ?')
    this.#add = connection.prepare(
      `insert into accounts (kind, name, password_hash, is_admin, created_at, created_by)
       values (?, ?, ?, ?, ?, ?) on conflict do nothing`,
    )
    this.#change = connection.prepare(
      `update accounts set
           password_hash = coalesce(@passwordHash, password_hash),
           is_admin = coalesce(@isAdmin, is_admin),
           disabled_at = case @isDisabled when 1 then coalesce(disabled_at, @at) when 0 then null
             else disabled_at end,
           epoch = epoch + @isOver
         where id = @id`,
    )
    this.#forgetLogins = connection.prepare(
      `delete from tokens where account_id = ? and kind = 'refresh'`,
    )
    this.#delete = connection.prepare('delete from accounts where id = ?')
  }

  /** @throws {@link RegistryError} `ACCOUNT_UNKNOWN`, also when it is not of this kind */
  get(name: string, kind?: AccountKind): number {
    const found = this.#find.get(name)
    if (found === undefined) throw accountUnknown(name, kind)
    if (kind !== undefined && found.kind !== kind) throw otherKind(name, found.kind)
    return found.id
  }

  addAccount({ kind, name, passwordHash, isAdmin, identity, at }: NewAccount): void {
    const added = this.#add.run(kind, name, passwordHash ?? null, isAdmin ? 1 : 0, at, identity)
    if (added.changes === 0) throw nameTaken(name)
  }

  importUsers(users: readonly ImportedUser[], change: Change): void {
    const taken = users.filter(({ name }) => this.#find.get(name) !== undefined)
    if (taken.length > 0) throw namesTaken(taken.map(({ name }) => name))
    for (const { name, passwordHash } of users) {
      this.addAccount({ kind: 'user', name, passwordHash, isAdmin: false, ...change })
    }
  }

  changeAccount({ name, kind, passwordHash, isAdmin, isDisabled, at }: AccountChange): void {
    const id = this.get(name, kind)
    const isOver = passwordHash !== undefined || isDisabled === true
    this.#change.run({
      id,
      passwordHash: passwordHash ?? null,
      isAdmin: flag(isAdmin),
      isDisabled: flag(isDisabled),
      isOver: isOver ? 1 : 0,
      at,
    })
    if (isOver) this.#forgetLogins.run(id)
  }

  deleteAccount(name: string, kind?: AccountKind): void {
    this.#delete.run(this.get(name, kind))
  }
}

function flag(value: boolean | undefined): number | null {
  return value === undefined ? null : value ? 1 : 0
}

export function accountUnknown(name: string, kind?: AccountKind): RegistryError {
  const what = kind === undefined ? 'no user and no robot' : `no ${kind}`
  return new RegistryError('ACCOUNT_UNKNOWN', `there is ${what} of this name`, {
    details: [{ name }],
  })
}

function otherKind(name: string, kind: AccountKind): RegistryError {
  return new RegistryError('ACCOUNT_UNKNOWN', `${name} is a ${kind}`, { details: [{ name }] })
}

function nameTaken(name: string): RegistryError {
  return new RegistryError('CONFLICT', `there is a user or a robot called ${name} already`, {
    details: [{ name }],
  })
}

function namesTaken(names: readonly string[]): RegistryError {
  const [first = '', ...others] = names
  if (others.length === 0) return nameTaken(first)
  const told = names.slice(0, namesToldMax)
  const more = names.length > told.length ? ` and ${names.length - told.length} more` : ''
  return new RegistryError(
    'CONFLICT',
    `there are users or robots called ${told.join(', ')}${more} already`,
    { details: told.map((name) => ({ name })) },
  )
}
