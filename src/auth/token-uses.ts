import type { FastifyBaseLogger } from 'fastify'
import { DurabilityLostError } from '../errors.js'
import type { Accounts, TokenUse } from '../metadata/accounts.js'

/** How often it is written down; a token may be used many times in between. */
const everyMs = 60_000

/** Tokens that are used between two times; of more the use of some is not noted. */
const tokensMax = 10_000

export interface TokenUsesOptions {
  readonly log: FastifyBaseLogger
  readonly now: () => number
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/** Notes when tokens were last used, without anybody waiting for it. */
export class TokenUses {
  readonly #accounts: Accounts
  readonly #options: TokenUsesOptions
  #uses = new Map<string, TokenUse>()
  #timer: NodeJS.Timeout | undefined

  constructor(accounts: Accounts, options: TokenUsesOptions) {
    this.#accounts = accounts
    this.#options = options
  }

  /** @param expiresAt - what the use has made of its end */
  note(tokenId: string, expiresAt?: number): void {
    if (this.#uses.size >= tokensMax && !this.#uses.has(tokenId)) return
    // What is got with a token is used right after it: that says nothing of its end.
    const end = expiresAt ?? this.#uses.get(tokenId)?.expiresAt
    const at = this.#options.now()
    this.#uses.set(tokenId, { id: tokenId, at, ...(end !== undefined && { expiresAt: end }) })
    this.#timer ??= setTimeout(() => void this.#write(), everyMs).unref()
  }

  /** Writes down what is left. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#write()
  }

  async #write(): Promise<void> {
    this.#timer = undefined
    const uses = [...this.#uses.values()]
    this.#uses = new Map()
    if (uses.length === 0) return
    try {
      await this.#accounts.touchTokens(uses)
    } catch (error) {
      if (error instanceof DurabilityLostError) this.#options.onDurabilityLost(error)
      else this.#options.log.warn({ err: error }, 'the last use of tokens was not written down')
    }
  }
}
