import { hash, randomBytes } from 'node:crypto'
import type { Account, Accounts, StoredToken } from '../metadata/accounts.js'
import { addressKey } from '../addresses.js'
import { RegistryError } from '../errors.js'
import { Recent } from '../recent.js'
import { isFresh } from '../times.js'
import { parseAuthorization } from './authorization.js'
import type { BearerTokens } from './bearer-tokens.js'
import { ANONYMOUS, isSignedIn, type Identity, type Known, type SignedIn } from './identity.js'
import type { PasswordLogins } from './password-logins.js'
import { hashOfToken, PERSONAL_PREFIX } from './personal-tokens.js'
import type { TokenUses } from './token-uses.js'

/** Headers whose meaning is remembered: those that were sent last. */
const rememberedMax = 10_000

/** Bearer tokens tell when they end; what else was right is looked at again after so long. */
const freshMs = 60_000

/** Who tries to log in, and whether they could. */
export interface LoginAttempt {
  /** Of an account; empty for a name that nobody has, as people type passwords into the wrong field. */
  readonly name: string
  readonly address: string
  readonly succeeded: boolean
  readonly by: 'password' | 'token' | 'refresh'
  /** The id of the token, where there is one. */
  readonly tokenId?: string
  /** It was not even looked at, after too many that were wrong. */
  readonly isThrottled?: boolean
}

export interface AuthenticatorOptions {
  readonly now: () => number
  readonly passwords: PasswordLogins
  readonly tokens: BearerTokens
  readonly uses: TokenUses
  /** Told of each login that was looked at, and not of those that are remembered. */
  readonly onLogin: (attempt: LoginAttempt) => void
}

interface Remembered {
  readonly identity: Identity
  /** Of all that decides about access, when this was found. */
  readonly version: number
  /** When that was: a clock may be set back. */
  readonly from: number
  readonly until: number
}

/** When something was shown, and in which version of all that decides about access. */
interface Moment {
  readonly version: number
  readonly at: number
}

/**
 * Who asks: what an `Authorization` header means at this moment. A header that was right is remembered for a
 * while, until anything changes that could make it wrong.
 */
export class Authenticator {
  readonly #accounts: Accounts
  readonly #options: AuthenticatorOptions
  /** In front of what is hashed, so that nobody else can tell what a digest is of. */
  readonly #secret = randomBytes(32).toString('base64')
  readonly #remembered = new Recent<Remembered>(rememberedMax)
  /** When somebody was told of a refresh token: for a while they are not, where it is used again. */
  readonly #toldAt = new Recent<number>(rememberedMax)

  constructor(accounts: Accounts, options: AuthenticatorOptions) {
    this.#accounts = accounts
    this.#options = options
  }

  /**
   * @param header - `Authorization`, as it was sent
   * @param address - where it comes from
   * @param known - where it has let somebody in before: no password is asked for twice, and a token that
   *   has expired since counts still
   * @returns undefined when it shows what lets nobody in
   * @throws {@link RegistryError} `TOOMANYREQUESTS` after too many of these, `UNAVAILABLE`
   */
  async identify(
    header: string | undefined,
    address: string,
    known?: Known,
  ): Promise<Identity | undefined> {
    if (header === undefined) return ANONYMOUS
    if (known && isByPassword(known.identity)) return this.#renewed(known.identity)
    const at = known?.at ?? this.#options.now()
    const version = await this.#accounts.getAccessVersion()
    // A password that was right in one place must not answer who is guessing it in another.
    const place = /^basic /i.test(header) ? addressKey(address) : ''
    const key = hash('sha256', `${this.#secret}${place} ${header}`, 'base64')
    const remembered = this.#remembered.get(key)
    if (remembered?.version === version && at >= remembered.from && at < remembered.until) {
      const { identity } = remembered
      if ('tokenId' in identity) this.#options.uses.note(identity.tokenId)
      return identity
    }
    const found = await this.#read(header, address, { version, at })
    if (found) this.#remembered.set(key, { ...found, version, from: at })
    return found?.identity
  }

  /** What somebody shows who logs in: a password, or a personal token in its place. */
  async logIn(name: string, password: string, address: string): Promise<SignedIn | undefined> {
    return (await this.#readPassword(name, password, address, this.#options.now()))?.identity
  }

  /** What docker login keeps in place of a password, which clients show for each bearer token. */
  async logInByRefresh(text: string, address: string): Promise<SignedIn | undefined> {
    const { now, onLogin } = this.#options
    const token = await this.#accounts.findToken(hashOfToken(text))
    const name = token?.account.name ?? ''
    if (token?.kind !== 'refresh' || !isAlive(token, now())) {
      onLogin({ name, address, succeeded: false, by: 'refresh', ...idOf(token) })
      return undefined
    }
    const key = `${token.id} ${addressKey(address)}`
    if (!isFresh(this.#toldAt.get(key) ?? -Infinity, now(), freshMs)) {
      this.#toldAt.set(key, now())
      onLogin({ name, address, succeeded: true, by: 'refresh', tokenId: token.id })
    }
    return identityOf(token.account, token)
  }

  async #read(
    header: string,
    address: string,
    moment: Moment,
  ): Promise<Pick<Remembered, 'identity' | 'until'> | undefined> {
    const shown = parseAuthorization(header)
    switch (shown.kind) {
      case 'none':
        return { identity: ANONYMOUS, until: Infinity }
      case 'password':
        return this.#readPassword(shown.name, shown.password, address, moment.at)
      case 'bearer':
        return shown.token.startsWith(PERSONAL_PREFIX)
          ? this.#readToken(shown.token, undefined, address, moment.at)
          : this.#readBearer(shown.token, moment)
      case 'malformed':
        return undefined
    }
  }

  /** As they are now; undefined where they could not come in again with what they have shown. */
  async #renewed({ accountId, epoch }: SignedIn): Promise<SignedIn | undefined> {
    const account = await this.#findAlive(accountId, epoch)
    return account && identityOf(account)
  }

  async #findAlive(accountId: number, epoch: number | undefined): Promise<Account | undefined> {
    const account = await this.#accounts.findAccountById(accountId)
    return account?.isDisabled === false && account.epoch === epoch ? account : undefined
  }

  async #readPassword(name: string, password: string, address: string, at: number) {
    if (password.startsWith(PERSONAL_PREFIX)) return this.#readToken(password, name, address, at)
    const account = await this.#accounts.findAccount(name)
    const storedHash = account?.isDisabled === false ? account.passwordHash : undefined
    // Asked for in any case: that takes its time, too.
    const neighbour = await this.#accounts.findDecoyHash(name)
    const decoy = account?.passwordHash ?? neighbour
    const { passwords, onLogin } = this.#options
    const attempt = { name: account?.name ?? '', address, by: 'password' } as const
    const isRight = await passwords
      .isRight({ name, address, password, storedHash, decoy })
      .catch((error: unknown) => {
        if (isThrottled(error)) onLogin({ ...attempt, succeeded: false, isThrottled: true })
        throw error
      })
    const succeeded = isRight && account !== undefined && storedHash !== undefined
    onLogin({ ...attempt, succeeded })
    return succeeded ? { identity: identityOf(account), until: at + freshMs } : undefined
  }

  /** @param name - whose it is said to be; anybody's when undefined */
  async #readToken(text: string, name: string | undefined, address: string, at: number) {
    const { uses, onLogin } = this.#options
    const token = await this.#accounts.findToken(hashOfToken(text))
    const isRight =
      token?.kind === 'personal' &&
      isAlive(token, at) &&
      (name === undefined || name === token.account.name)
    onLogin({
      name: token?.account.name ?? '',
      address,
      succeeded: isRight,
      by: 'token',
      ...idOf(token),
    })
    if (!isRight) return undefined
    uses.note(token.id)
    const until = Math.min(at + freshMs, token.expiresAt ?? Infinity)
    return { identity: identityOf(token.account, token), until }
  }

  async #readBearer(text: string, { version, at }: Moment) {
    const claims = await this.#options.tokens.verify(text, version, at)
    if (claims === undefined) return undefined
    const { accountId, epoch, tokenId, access, expiresAt } = claims
    if (accountId === undefined) {
      return { identity: { ...ANONYMOUS, bearer: access }, until: expiresAt }
    }
    const account = await this.#findAlive(accountId, epoch)
    if (account === undefined) return undefined
    if (tokenId === undefined) {
      return { identity: { ...identityOf(account), bearer: access }, until: expiresAt }
    }
    const token = await this.#accounts.findTokenById(tokenId)
    if (token === undefined || !isAlive(token, at)) return undefined
    const until = Math.min(expiresAt, token.expiresAt ?? Infinity)
    return { identity: { ...identityOf(account, token), bearer: access }, until }
  }
}

function isByPassword(identity: Identity): identity is SignedIn {
  return isSignedIn(identity) && identity.tokenId === undefined && identity.bearer === undefined
}

function isThrottled(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'TOOMANYREQUESTS'
}

function idOf(token: StoredToken | undefined) {
  return token && { tokenId: token.id }
}

/** Whether a token lets its account in at this moment. */
function isAlive({ account, expiresAt = Infinity }: StoredToken, at: number): boolean {
  return !account.isDisabled && at < expiresAt
}

/** @param token - with which the account has come */
function identityOf(account: Account, token?: StoredToken): SignedIn {
  return {
    kind: account.kind,
    name: account.name,
    accountId: account.id,
    epoch: account.epoch,
    isAdmin: account.isAdmin,
    ...(token && { tokenId: token.id }),
    ...(token?.scope && { limits: token.scope }),
  }
}
