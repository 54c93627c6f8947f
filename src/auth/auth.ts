import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Config } from '../config.js'
import type { DurabilityLostError } from '../errors.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import { AccountAccess } from './account-access.js'
import { Authenticator, type LoginAttempt } from './authenticator.js'
import { BearerTokens } from './bearer-tokens.js'
import { Challenges } from './challenges.js'
import type { Gate } from './guard.js'
import { ANONYMOUS, OPERATOR, type Known } from './identity.js'
import { OpenAccess } from './open-access.js'
import { OperatorToken } from './operator.js'
import { PasswordLogins } from './password-logins.js'
import { Passwords } from './passwords.js'
import { requestRateOf } from './request-rate.js'
import { SigningKeys } from './signing-keys.js'
import { TokenUses } from './token-uses.js'

export interface AuthOptions {
  readonly log: FastifyBaseLogger
  readonly now: () => number
  /** What makes a caller of the management API its operator. */
  readonly operatorToken: string
  readonly onDurabilityLost: (error: DurabilityLostError) => void
  readonly onLogin: (attempt: LoginAttempt) => void
}

/** What lets accounts in, where there are any. */
export interface Logins {
  readonly authenticator: Authenticator
  readonly tokens: BearerTokens
  readonly uses: TokenUses
  readonly keys: SigningKeys
}

/** Who asks, and what they may do: all of it. */
export interface Auth {
  /** For clients of the registry. */
  readonly gate: Gate
  /** For clients of the management API, which know the operator, too. */
  readonly apiGate: Gate
  readonly passwords: Passwords
  /** Absent where everybody may do the same. */
  readonly logins?: Logins
  close(): Promise<void>
}

export async function createAuth(
  metadata: MetadataStore,
  config: Config,
  options: AuthOptions,
): Promise<Auth> {
  const { log, now, onDurabilityLost, onLogin } = options
  const { mode } = config.access
  const deletesEnabled = config.deletes.enabled
  const passwords = new Passwords()
  const operator = new OperatorToken(options.operatorToken)
  const requestRate = requestRateOf(config.http.rateLimit)
  if (mode !== 'accounts') {
    const open = {
      now,
      requestRate,
      challenges: new Challenges(),
      version: async () => 0,
      access: new OpenAccess({ mode, deletesEnabled }),
    }
    return {
      passwords,
      gate: { ...open, identify: async () => ANONYMOUS },
      apiGate: {
        ...open,
        async identify({ headers: { authorization = '' }, ip: address }) {
          if (operator.isIn(authorization)) return OPERATOR
          // Other schemes come from clients that have been asked for something by others.
          if (!/^bearer\b/i.test(authorization)) return ANONYMOUS
          onLogin({ name: '', address, succeeded: false, by: 'token' })
          return undefined
        },
      },
      close: () => passwords.close(),
    }
  }
  const { accounts } = metadata
  const keys = new SigningKeys(accounts, now)
  await keys.ensure()
  const tokens = new BearerTokens(keys, { now, seconds: config.access.tokenSeconds })
  const uses = new TokenUses(accounts, { log, now, onDurabilityLost })
  const authenticator = new Authenticator(accounts, {
    ...{ now, tokens, uses, onLogin },
    passwords: new PasswordLogins({ passwords, now: () => performance.now() }),
  })
  const identify = ({ headers, ip }: FastifyRequest, known?: Known) =>
    authenticator.identify(headers.authorization, ip, known)
  const gate = {
    now,
    requestRate,
    challenges: new Challenges(config.http.publicUrl),
    access: new AccountAccess(metadata, { deletesEnabled }),
    version: () => accounts.getAccessVersion(),
    identify,
  }
  return {
    passwords,
    gate,
    apiGate: {
      ...gate,
      identify: async (request, known) =>
        operator.isIn(request.headers.authorization) ? OPERATOR : identify(request, known),
    },
    logins: { authenticator, tokens, uses, keys },
    async close() {
      await uses.close()
      await passwords.close()
    },
  }
}
