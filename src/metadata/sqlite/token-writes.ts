import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import { dayMs } from '../../times.js'
import type { NewToken, TokenUse } from '../accounts.js'
import type { AccountWrites } from './account-writes.js'
import type { Connection } from './connection.js'

/** Each docker login makes one; somebody who has so many machines can log in again. */
const refreshTokensMax = 100

/** So long people can still see that one of theirs has expired, and so why something fails. */
const expiredShownMs = 90 * dayMs

/** How many that have expired one write forgets. */
const forgottenMax = 100

/** What changes tokens; each method runs inside a transaction of the writer. */
export class TokenWrites {
  readonly #accounts: AccountWrites
  readonly #add: Statement<unknown[]>
  readonly #forgetExpired: Statement<[string, number]>
  readonly #forgetOldest: Statement<[{ readonly account: number; readonly added: string }]>
  readonly #revoke: Statement<[string]>
  readonly #touch: Statement<
    [{ readonly id: string; readonly at: number; readonly expiresAt: number | null }]
  >
  readonly #epoch: Statement<[number], number>
  readonly #outdate: Statement<[]>

  constructor(connection: Connection, accounts: AccountWrites) {
    this.#accounts = accounts
    this.#add = connection.prepare(
      `insert into tokens (id, account_id, kind, secret_hash, description, scope,
         created_at, created_by, expires_at)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#forgetExpired = connection.prepare(
      `delete from tokens where id in (
         select id from tokens where kind = ? and expires_at < ? limit ${forgottenMax})`,
    )
    this.#forgetOldest = connection.prepare(
      `delete from tokens where id in (
         select id from tokens where account_id = @account and kind = 'refresh' and id <> @added
         order by coalesce(last_used_at, created_at) desc limit -1 offset ${refreshTokensMax - 1})`,
    )
    this.#revoke = connection.prepare('delete from tokens where id = ?')
    this.#touch = connection.prepare(
      `update tokens set last_used_at = max(coalesce(last_used_at, 0), @at),
         expires_at = iif(@expiresAt > expires_at, @expiresAt, expires_at) where id = @id`,
    )
    this.#epoch = connection
      .prepare<[number], number>('select epoch from accounts where id = ?')
      .pluck()
    this.#outdate = connection.prepare('update access_version set version = version + 1')
  }

  addToken(token: NewToken): void {
    const { id, kind, secretHash, description, scope, epoch, expiresAt } = token
    const account = this.#accounts.get(token.account)
    if (epoch !== undefined && this.#epoch.get(account) !== epoch) {
      // A new password, or a lock, in the midst of a login with the old one.
      throw new RegistryError('UNAUTHORIZED', 'the name or the password is not right')
    }
    this.#forgetExpired.run('refresh', token.at)
    this.#forgetExpired.run('personal', token.at - expiredShownMs)
    this.#add.run(
      id,
      account,
      kind,
      secretHash,
      description,
      scope === undefined ? null : JSON.stringify(scope),
      token.at,
      token.identity,
      expiresAt ?? null,
    )
    if (kind === 'refresh') this.#forgetOldest.run({ account, added: id })
  }

  revokeToken(id: string): boolean {
    if (this.#revoke.run(id).changes === 0) return false
    // Also of a refresh token, with which bearer tokens may have been got that are remembered; those that
    // are only forgotten, at every login, must not cost everybody what is remembered of them.
    this.#outdate.run()
    return true
  }

  touchTokens(uses: readonly TokenUse[]): void {
    for (const { id, at, expiresAt = null } of uses) this.#touch.run({ id, at, expiresAt })
  }
}
