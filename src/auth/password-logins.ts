import { addressKey } from '../addresses.js'
import { RegistryError } from '../errors.js'
import { LoginThrottle } from './login-throttle.js'
import type { Passwords } from './passwords.js'
import { VerifiedLogins } from './verified-logins.js'

export interface PasswordLogin {
  readonly name: string
  /** Where it comes from. */
  readonly address: string
  readonly password: string
  /** Undefined where there is no such account, or it has no password, or may not log in. */
  readonly storedHash: string | undefined
  /** The hash of another account, as long as which it shall take where this one has none. */
  readonly decoy?: string | undefined
}

/**
 * Logins with a password: checked beside the event loop, remembered for a minute where right, slowed
 * down where wrong. What was right a moment ago goes on, whoever guesses meanwhile. An account that
 * does not exist costs, takes and answers what one does whose password is wrong.
 */
export class PasswordLogins {
  readonly #passwords: Passwords
  readonly #verified: VerifiedLogins
  readonly #throttle: LoginThrottle

  /** @param options.now - in milliseconds; what never goes back is best */
  constructor({ passwords, now }: { readonly passwords: Passwords; readonly now: () => number }) {
    this.#passwords = passwords
    this.#verified = new VerifiedLogins(passwords, { now })
    this.#throttle = new LoginThrottle({ now })
  }

  /**
   * Whether the password is that of the account.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS` when it is not even looked at, `UNAVAILABLE` when it
   *   cannot be
   */
  async isRight(login: PasswordLogin): Promise<boolean> {
    const { name, address, password, decoy } = login
    const stored = login.storedHash ?? this.#passwords.decoyFor(name, decoy)
    const place = addressKey(address)
    return this.#verified.verify(password, stored, place, () => this.#admit(name, address))
  }

  #admit(name: string, address: string): (isRight: boolean | undefined) => void {
    const retryAfterSeconds = this.#throttle.check(name, address)
    if (retryAfterSeconds !== undefined) {
      throw new RegistryError(
        'TOOMANYREQUESTS',
        `too many failed logins; try again in ${retryAfterSeconds} s`,
        { retryAfterSeconds },
      )
    }
    return (isRight) => {
      if (isRight === undefined) this.#throttle.abandoned(name, address)
      else if (isRight) this.#throttle.succeeded(name, address)
      else this.#throttle.failed(name, address)
    }
  }
}
