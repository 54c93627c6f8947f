import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import type { Change } from '../accounts.js'
import type { AccountWrites } from './account-writes.js'
import type { Connection } from './connection.js'

/** What changes groups; each method runs inside a transaction of the writer. */
export class GroupWrites {
  readonly #accounts: AccountWrites
  readonly #find: Statement<[string], number>
  readonly #add: Statement<[string, number, string]>
  readonly #delete: Statement<[string]>
  readonly #join: Statement<[number, number]>
  readonly #leave: Statement<[number, number]>

  constructor(connection: Connection, accounts: AccountWrites) {
    this.#accounts = accounts
    this.#find = connection
      .prepare<[string], number>('select id from account_groups where name = ?')
      .pluck()
    this.#add = connection.prepare(
      `insert into account_groups (name, created_at, created_by) values (?, ?, ?)
       on conflict do nothing`,
    )
    this.#delete = connection.prepare('delete from account_groups where name = ?')
    this.#join = connection.prepare(
      'insert into group_members (group_id, account_id) values (?, ?) on conflict do nothing',
    )
    this.#leave = connection.prepare(
      'delete from group_members where group_id = ? and account_id = ?',
    )
  }

  /** @throws {@link RegistryError} `GROUP_UNKNOWN` */
  get(name: string): number {
    const id = this.#find.get(name)
    if (id === undefined) throw groupUnknown(name)
    return id
  }

  addGroup(name: string, { identity, at }: Change): void {
    if (this.#add.run(name, at, identity).changes > 0) return
    throw new RegistryError('CONFLICT', `there is a group called ${name} already`, {
      details: [{ name }],
    })
  }

  deleteGroup(name: string): void {
    if (this.#delete.run(name).changes === 0) throw groupUnknown(name)
  }

  addMember(group: string, account: string): boolean {
    return this.#join.run(this.get(group), this.#accounts.get(account)).changes > 0
  }

  removeMember(group: string, account: string): boolean {
    return this.#leave.run(this.get(group), this.#accounts.get(account)).changes > 0
  }
}

export function groupUnknown(name: string): RegistryError {
  return new RegistryError('GROUP_UNKNOWN', 'there is no group of this name', {
    details: [{ name }],
  })
}
