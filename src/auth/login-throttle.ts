import { createHmac, randomBytes } from 'node:crypto'
import { addressKey } from '../addresses.js'
import { Recent } from '../recent.js'

/** What is held against one key, and how fast it is forgotten. */
interface Policy {
  /** So many failures cost nothing. */
  readonly freeFailures: number
  /** In so many seconds one failure is forgotten. */
  readonly forgetSeconds: number
}

/**
 * A client makes several requests of one wrong password, and a person tries a few: ten are free. An
 * account may be many people's robot, and an address that of a whole office, where one forgotten job
 * fails all day: these take more, and forget a job that is already slowed down sooner than it fails
 * again.
 */
const pairPolicy: Policy = { freeFailures: 10, forgetSeconds: 300 }
const addressPolicy: Policy = { freeFailures: 100, forgetSeconds: 60 }
const accountPolicy: Policy = { freeFailures: 1000, forgetSeconds: 60 }

/** Keys of each kind; those that were used last. */
const keysMax = 20_000

/** One second after the first failure that is not free, then twice as long each time. */
const waitSecondsMax = 300

/** More failures than these would not make the wait longer, only last longer. */
const doublingsMax = Math.ceil(Math.log2(waitSecondsMax))

/**
 * Slows down who guesses passwords: by account and address together, by address, and by account.
 * Failures make a key wait, for a second and then twice as long each time, up to five minutes;
 * they are forgotten one by one. While a key is beyond what is free, it may try one password at a
 * time. Names that no account has are treated as those of accounts; they are in memory only as
 * digests under a key, as people type passwords into the wrong field.
 *
 * What others have guessed, of the account or from the address, is waited for only where nobody has logged
 * in to the account from that address: a stranger cannot lock out somebody who is at work.
 */
export class LoginThrottle {
  readonly #secret = randomBytes(32)
  readonly #pairs: Failures
  readonly #addresses: Failures
  readonly #accounts: Failures
  readonly #known = new Recent<true>(keysMax)

  /** @param options.now - in milliseconds, by a clock that is never put back */
  constructor({ now }: { readonly now: () => number }) {
    this.#pairs = new Failures(pairPolicy, now)
    this.#addresses = new Failures(addressPolicy, now)
    this.#accounts = new Failures(accountPolicy, now)
  }

  /**
   * Asks whether a password may be tried now. When it may, the try counts as under way until one of
   * {@link succeeded}, {@link failed} or {@link abandoned} is called, which has to be.
   *
   * @returns in how many seconds it may be tried; undefined for now
   */
  check(name: string, address: string): number | undefined {
    const { pair, address: from, account } = this.#keysOf(name, address)
    const own = this.#pairs.waitSeconds(pair)
    const seconds = this.#known.get(pair)
      ? own
      : Math.max(own, this.#addresses.waitSeconds(from), this.#accounts.waitSeconds(account))
    if (seconds > 0) return seconds
    this.#pairs.begin(pair)
    this.#addresses.begin(from)
    this.#accounts.begin(account)
    return undefined
  }

  /** The password was wrong, or there is no such account. */
  failed(name: string, address: string): void {
    const { pair, address: from, account } = this.#keysOf(name, address)
    this.#pairs.fail(pair)
    this.#addresses.fail(from)
    this.#accounts.fail(account)
  }

  /** The password was right. What others guess from the same address still counts for the address. */
  succeeded(name: string, address: string): void {
    this.abandoned(name, address)
    const { pair } = this.#keysOf(name, address)
    this.#pairs.forget(pair)
    this.#known.set(pair, true)
  }

  /** Nobody has found out whether the password was right. */
  abandoned(name: string, address: string): void {
    const { pair, address: from, account } = this.#keysOf(name, address)
    this.#pairs.end(pair)
    this.#addresses.end(from)
    this.#accounts.end(account)
  }

  #keysOf(name: string, from: string): Keys {
    const address = addressKey(from)
    const account = this.#digest(name)
    return { address, account, pair: `${account} ${address}` }
  }

  #digest(name: string): string {
    return createHmac('sha256', this.#secret).update(name).digest('base64')
  }
}

interface Keys {
  readonly pair: string
  readonly address: string
  readonly account: string
}

interface Entry {
  /** Failures that are not forgotten at `countedAt`, from when on they are. */
  count: number
  countedAt: number
  /** Before this nothing may be tried. */
  waitUntil: number
  /** Tries that nobody knows the end of yet. */
  underWay: number
}

/** What has failed under each key. */
class Failures {
  readonly #policy: Policy
  readonly #now: () => number
  readonly #entries = new Recent<Entry>(keysMax)

  constructor(policy: Policy, now: () => number) {
    this.#policy = policy
    this.#now = now
  }

  /** 0: now. */
  waitSeconds(key: string): number {
    const entry = this.#entries.get(key)
    if (entry === undefined) return 0
    const now = this.#now()
    // Tries under way could all fail: whoever has one left does not get a hundred at once.
    if (this.#countOf(entry, now) + entry.underWay < this.#policy.freeFailures) return 0
    if (entry.underWay > 0) return 1
    return Math.max(0, Math.ceil((entry.waitUntil - now) / 1000))
  }

  begin(key: string): void {
    this.#entryOf(key).underWay++
  }

  end(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    entry.underWay = Math.max(0, entry.underWay - 1)
    if (entry.underWay === 0 && this.#countOf(entry, this.#now()) === 0) this.#entries.delete(key)
  }

  fail(key: string): void {
    const { freeFailures } = this.#policy
    const now = this.#now()
    const entry = this.#entryOf(key)
    entry.underWay = Math.max(0, entry.underWay - 1)
    entry.count = Math.min(this.#countOf(entry, now) + 1, freeFailures + 1 + doublingsMax)
    entry.countedAt = now
    if (entry.count <= freeFailures) return
    const seconds = Math.min(waitSecondsMax, 2 ** Math.max(0, entry.count - freeFailures - 1))
    entry.waitUntil = now + seconds * 1000
    // Nothing is forgotten while it has to wait anyway.
    entry.countedAt = entry.waitUntil
  }

  /** Of what is under way nothing is forgotten. */
  forget(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    if (entry.underWay === 0) this.#entries.delete(key)
    else {
      entry.count = 0
      entry.waitUntil = 0
    }
  }

  #countOf({ count, countedAt }: Entry, now: number): number {
    return Math.max(0, count - Math.max(0, now - countedAt) / 1000 / this.#policy.forgetSeconds)
  }

  #entryOf(key: string): Entry {
    const known = this.#entries.get(key)
    if (known) return known
    const entry: Entry = { count: 0, countedAt: this.#now(), waitUntil: 0, underWay: 0 }
    this.#entries.set(key, entry)
    return entry
  }
}
