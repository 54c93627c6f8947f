import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { KEPT_NOWHERE } from '../caching.js'
import { RegistryError, type ErrorCode } from '../errors.js'
import type { Accounts } from '../metadata/accounts.js'
import { contentTypeOf, invite } from '../request-bodies.js'
import { dayMs } from '../times.js'
import type { Access } from './access.js'
import type { Authenticator } from './authenticator.js'
import type { BearerTokens } from './bearer-tokens.js'
import { ANONYMOUS, isSignedIn, type Identity, type SignedIn } from './identity.js'
import { createRefreshToken } from './personal-tokens.js'
import { callerOf, type RequestRate } from './request-rate.js'
import { grantScopes, parseScopes, type BearerAccess } from './scopes.js'
import type { TokenUses } from './token-uses.js'

const formBytesMax = 64 * 1024

/** With which a token is refused to an account that is not what it was when it logged in. */
const NO_MORE: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'ACCOUNT_UNKNOWN'])

export interface TokenRoutesOptions {
  readonly accounts: Accounts
  readonly access: Access
  readonly authenticator: Authenticator
  readonly tokens: BearerTokens
  readonly uses: TokenUses
  readonly now: () => number
  readonly requestRate: RequestRate | undefined
  /** How long a refresh token is good for after it was used last. */
  readonly refreshDays: number
}

interface TokenRequest {
  readonly scope?: string | string[]
  readonly clientId: string | undefined
  /** Whether the client wants something to keep in place of the password. */
  readonly isOffline: boolean
}

type Query = Readonly<Record<string, string | string[] | undefined>>

/**
 * Where clients get bearer tokens: for what they have asked and may do. A right that is missing is no error here;
 * only the registry refuses.
 *
 * @see distribution, "Token Authentication Specification" and "OAuth2 Token Authentication"
 */
export async function tokenRoutes(
  app: FastifyInstance,
  options: TokenRoutesOptions,
): Promise<void> {
  const { accounts, access, authenticator, tokens, uses, now, requestRate, refreshDays } = options
  app.decorateRequest('identity')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    '*',
    { parseAs: 'string', bodyLimit: formBytesMax },
    (_request, body, done) => done(null, body),
  )
  app.addHook('preParsing', async (request, reply) => invite(request, reply))
  app.addHook('onRequest', async (request, reply) => {
    request.identity = ANONYMOUS
    reply.header('Cache-Control', KEPT_NOWHERE)
    // By their address: who they are, they are about to say.
    requestRate?.admit(callerOf(ANONYMOUS, request))
  })

  app.get<{ Querystring: Query }>('/token', async (request, reply) => {
    const { query, headers, ip } = request
    const identity = await authenticator.identify(headers.authorization, ip)
    // A bearer token is no proof of who somebody is: else it could make itself last for ever.
    if (identity === undefined || ('bearer' in identity && identity.bearer)) return refuse(reply)
    request.identity = identity
    const asked = {
      ...(query['scope'] !== undefined && { scope: query['scope'] }),
      clientId: single(query['client_id']),
      isOffline: single(query['offline_token']) === 'true' && !isForOtherSite(request),
    }
    return answer(reply, identity, asked)
  })

  app.post('/token', async (request, reply) => {
    const form = parseForm(request)
    const scopes = form.getAll('scope')
    const asked = {
      ...(scopes.length > 0 && { scope: scopes }),
      clientId: form.get('client_id') ?? undefined,
      isOffline: form.get('access_type') === 'offline',
    }
    switch (form.get('grant_type')) {
      case 'password': {
        const name = form.get('username') ?? ''
        const identity = await authenticator.logIn(name, form.get('password') ?? '', request.ip)
        if (identity === undefined) return refuse(reply)
        request.identity = identity
        return answer(reply, identity, asked)
      }
      case 'refresh_token': {
        const text = form.get('refresh_token') ?? ''
        const identity = await authenticator.logInByRefresh(text, request.ip)
        if (identity?.tokenId === undefined) return refuse(reply)
        uses.note(identity.tokenId, now() + refreshDays * dayMs)
        request.identity = identity
        return answer(reply, identity, asked, text)
      }
      default:
        throw new RegistryError('REQUEST_INVALID', 'grant_type must be password or refresh_token')
    }
  })

  async function answer(
    reply: FastifyReply,
    identity: Identity,
    { scope, clientId, isOffline }: TokenRequest,
    refreshToken?: string,
  ) {
    const granted = await grantScopes(parseScopes(scope), (repository, action) =>
      access.may(identity, action, repository),
    )
    const signed = await tokens.sign(
      { ...claimsFor(identity), access: granted },
      await accounts.getAccessVersion(),
    )
    // Who has shown a token keeps that one: it lasts as long as it was made for, and can be revoked.
    const isByPassword = isSignedIn(identity) && identity.tokenId === undefined
    const kept =
      refreshToken ??
      (isOffline && isByPassword ? await keep(reply, identity, clientId) : undefined)
    return reply.send({
      token: signed.text,
      access_token: signed.text,
      expires_in: signed.expiresInSeconds,
      issued_at: new Date(signed.issuedAt).toISOString(),
      scope: granted.map(scopeText).join(' '),
      ...(kept !== undefined && { refresh_token: kept }),
    })
  }

  /**
   * A refresh token for somebody who has just logged in.
   *
   * @returns undefined when it cannot be stored: clients then keep what they have shown
   */
  async function keep(
    reply: FastifyReply,
    identity: SignedIn,
    clientId: string | undefined,
  ): Promise<string | undefined> {
    const { id, text, secretHash } = createRefreshToken()
    const at = now()
    try {
      await accounts.addToken({
        ...{ id, secretHash, kind: 'refresh', account: identity.name, at, identity: identity.name },
        epoch: identity.epoch,
        description: (clientId ?? '').slice(0, 200),
        expiresAt: at + refreshDays * dayMs,
      })
      return text
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      // Their password was right when it was looked at, and is not any more.
      if (NO_MORE.has(error.code)) return refuse(reply)
      if (error.statusCode < 500) throw error
      // A full disk must not keep anybody from logging in, and so from reading.
      reply.log.warn({ err: error }, 'a login could not be given a refresh token')
      return undefined
    }
  }
}

/**
 * Whether a browser asks for the page of another site: it shows the password that it was given for this
 * one, and what would be kept pushes out what real logins keep. Clients of registries do not send this.
 *
 * @see W3C, "Fetch Metadata Request Headers"
 */
function isForOtherSite({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'] ?? 'none'
  return site !== 'none' && site !== 'same-origin'
}

/** One text for whatever is wrong: which half of it, nobody needs to know who guesses. */
function refuse(reply: FastifyReply): never {
  reply.header('WWW-Authenticate', 'Basic realm="berth"')
  throw new RegistryError('UNAUTHORIZED', 'the name or the password is not right')
}

function claimsFor(identity: Identity) {
  if (!isSignedIn(identity)) return { name: ANONYMOUS.name }
  const { name, accountId, epoch, tokenId } = identity
  return { name, accountId, epoch, ...(tokenId !== undefined && { tokenId }) }
}

function parseForm(request: FastifyRequest): URLSearchParams {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentTypeOf(request) ?? '')) {
    throw new RegistryError(
      'REQUEST_INVALID',
      'a form (application/x-www-form-urlencoded) is wanted',
    )
  }
  return new URLSearchParams(typeof request.body === 'string' ? request.body : '')
}

function single(parameter: string | string[] | undefined): string | undefined {
  return [parameter ?? []].flat()[0]
}

function scopeText({ type, name, actions }: BearerAccess): string {
  return `${type}:${name}:${actions.join(',')}`
}
