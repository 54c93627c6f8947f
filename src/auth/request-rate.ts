import { addressKey } from '../addresses.js'
import { RegistryError } from '../errors.js'
import { Recent } from '../recent.js'
import { isSignedIn, type Identity } from './identity.js'

/** Callers who are counted: those that asked last. */
const callersMax = 20_000

export interface RequestRateLimits {
  readonly requestsPerMinute: number
  /** So many may come at once after a pause. */
  readonly burst: number
}

/** Undefined where nothing limits how often anybody asks. */
export function requestRateOf(limits: RequestRateLimits): RequestRate | undefined {
  if (limits.requestsPerMinute === 0) return undefined
  return new RequestRate(limits, () => performance.now())
}

/** Who a request counts for: undefined for the operator, who is never held up. */
export function callerOf(identity: Identity, { ip }: { readonly ip: string }): string | undefined {
  if (identity.kind === 'operator') return undefined
  if (isSignedIn(identity)) return `account ${identity.accountId}`
  return `address ${addressKey(ip)}`
}

/**
 * How often callers may ask: each has a bucket of `burst` requests, which fills up at the rate. What is
 * remembered of a bucket is the moment at which it will be full.
 */
export class RequestRate {
  readonly #msPerRequest: number
  readonly #burst: number
  readonly #now: () => number
  readonly #fullAt = new Recent<number>(callersMax)

  /** @param now - in milliseconds, by a clock that is never put back */
  constructor({ requestsPerMinute, burst }: RequestRateLimits, now: () => number) {
    this.#msPerRequest = 60_000 / requestsPerMinute
    this.#burst = burst
    this.#now = now
  }

  /**
   * Counts a request of a caller; one that is refused does not count.
   *
   * @throws {@link RegistryError} `TOOMANYREQUESTS`, which says when the next one may come
   */
  admit(caller: string | undefined): void {
    if (caller === undefined) return
    const now = this.#now()
    const bucketMs = this.#burst * this.#msPerRequest
    const fullAt = Math.max(this.#fullAt.get(caller) ?? 0, now)
    const waitMs = fullAt + this.#msPerRequest - (now + bucketMs)
    if (waitMs > 0) {
      const retryAfterSeconds = Math.ceil(waitMs / 1000)
      throw new RegistryError(
        'TOOMANYREQUESTS',
        `too many requests; try again in ${retryAfterSeconds} s`,
        { retryAfterSeconds },
      )
    }
    this.#fullAt.set(caller, fullAt + this.#msPerRequest)
  }
}
