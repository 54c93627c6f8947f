import { createHmac, randomBytes } from 'node:crypto'
import { Recent } from '../recent.js'

/** How long a password that was right is not checked again. */
const freshMs = 60_000

/** How many are remembered: the ones used last. */
const rememberedMax = 10_000

interface Checker {
  verify(password: string, stored: string, place: string): Promise<boolean>
}

/**
 * Remembers for a minute which passwords were right, so that a client which sends one with every
 * request costs one check a minute. Neither passwords nor hashes are in memory for it, but a digest
 * of both under a key that nobody else has; what was wrong is not remembered at all.
 *
 * A new password makes a new hash, so that the old one is not right any more from that moment on.
 */
export class VerifiedLogins {
  readonly #passwords: Checker
  readonly #now: () => number
  readonly #secret = randomBytes(32)
  /** Until when each counts. */
  readonly #freshUntil = new Recent<number>(rememberedMax)
  readonly #underWay = new Map<string, Promise<boolean>>()

  constructor(passwords: Checker, { now }: { readonly now: () => number }) {
    this.#passwords = passwords
    this.#now = now
  }

  /**
   * Whether a password is the one that was hashed. Equal questions at the same time share one check.
   *
   * @param place - where it comes from: what was right in one place tells those in others nothing, who may be
   *   guessing
   * @param whenChecked - called before a check begins, and not when none is needed: what it throws is
   *   thrown, and nothing is checked; what it returns is told how the check has ended, or that it could
   *   not be made
   * @throws what checking throws
   */
  async verify(
    password: string,
    storedHash: string,
    place: string,
    whenChecked?: () => (isRight: boolean | undefined) => void,
  ): Promise<boolean> {
    const key = this.#keyOf(password, storedHash, place)
    if (this.#isFresh(key)) return true
    const underWay = this.#underWay.get(key)
    if (underWay) return underWay
    const tell = whenChecked?.()
    const check = this.#check(key, () => this.#passwords.verify(password, storedHash, place), tell)
    this.#underWay.set(key, check)
    return check
  }

  async #check(
    key: string,
    verify: () => Promise<boolean>,
    tell: ((isRight: boolean | undefined) => void) | undefined,
  ): Promise<boolean> {
    let isRight: boolean | undefined
    try {
      isRight = await verify()
      if (isRight) this.#freshUntil.set(key, this.#now() + freshMs)
      return isRight
    } finally {
      this.#underWay.delete(key)
      tell?.(isRight)
    }
  }

  /** The lengths keep apart what would read the same together. */
  #keyOf(password: string, storedHash: string, place: string): string {
    return createHmac('sha256', this.#secret)
      .update(`${storedHash.length}:${storedHash}${place.length}:${place}${password}`)
      .digest('base64')
  }

  #isFresh(key: string): boolean {
    const until = this.#freshUntil.get(key)
    if (until === undefined) return false
    if (until > this.#now()) return true
    this.#freshUntil.delete(key)
    return false
  }
}
