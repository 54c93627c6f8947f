import { beforeAll, describe, expect, it } from 'vitest'
import { ABSENT, OCI_MANIFEST, pushImage, sha256 } from '../support/images.js'
import {
  basic,
  challengeOf,
  FORM,
  PASSWORD,
  sharedWithAccounts,
  type AccountsWorld,
} from '../support/accounts.js'
import { routesOf } from '../support/routes.js'
import { operatorTokenOf } from '../support/server.js'

type Right = 'pull' | 'create' | 'overwrite' | 'delete' | 'admin'

/** What a route is about, and so who may use it. */
type About =
  | Right
  | 'ping'
  | 'catalog'
  | 'search'
  | 'list'
  | 'everything'
  | 'admins'
  | 'nobody in particular'
  | 'account'
  | 'token'
  | 'form'

/** Every route there is. Whoever adds one says here who may use it. */
const ROUTES: Readonly<Record<string, About>> = {
  'GET /v1/_ping': 'nobody in particular',
  'GET /v1/search': 'search',

  'GET /token': 'token',
  'POST /token': 'form',

  'GET /v2': 'ping',
  'HEAD /v2': 'ping',
  'GET /v2/': 'ping',
  'HEAD /v2/': 'ping',
  'GET /v2/_catalog': 'catalog',
  'HEAD /v2/_catalog': 'catalog',
  'HEAD /v2/:name/manifests/:reference(.+)': 'pull',
  'GET /v2/:name/manifests/:reference(.+)': 'pull',
  'PUT /v2/:name/manifests/:reference(.+)': 'create',
  'DELETE /v2/:name/manifests/:reference(.+)': 'delete',
  'POST /v2/:name/blobs/uploads/': 'create',
  'GET /v2/:name/blobs/uploads/:id(.+)': 'create',
  'HEAD /v2/:name/blobs/uploads/:id(.+)': 'create',
  'PATCH /v2/:name/blobs/uploads/:id(.+)': 'create',
  'PUT /v2/:name/blobs/uploads/:id(.+)': 'create',
  'DELETE /v2/:name/blobs/uploads/:id(.+)': 'create',
  'HEAD /v2/:name/blobs/:digest(.+)': 'pull',
  'GET /v2/:name/blobs/:digest(.+)': 'pull',
  'DELETE /v2/:name/blobs/:digest(.+)': 'delete',
  'GET /v2/:name/tags/list': 'pull',
  'HEAD /v2/:name/tags/list': 'pull',
  'GET /v2/:name/referrers/:digest(.+)': 'pull',
  'HEAD /v2/:name/referrers/:digest(.+)': 'pull',

  'GET /api/v1/repositories': 'list',
  'GET /api/v1/repositories/:name': 'pull',
  // Where there is no description yet; one that is there takes overwrite, as a tag does.
  'PUT /api/v1/repositories/:name': 'create',
  'DELETE /api/v1/repositories/:name': 'delete',
  'GET /api/v1/repositories/:name/tags': 'pull',
  'GET /api/v1/repositories/:name/tags/:tag': 'pull',
  'DELETE /api/v1/repositories/:name/tags/:tag': 'delete',
  'GET /api/v1/repositories/:name/manifests': 'pull',
  'GET /api/v1/repositories/:name/manifests/:digest': 'pull',
  'DELETE /api/v1/repositories/:name/manifests/:digest': 'delete',
  'GET /api/v1/repositories/:name/manifests/:digest/tags': 'pull',
  'GET /api/v1/repositories/:name/history': 'pull',
  'POST /api/v1/repositories/:name/restore': 'overwrite',
  'GET /api/v1/deleted-repositories': 'list',
  'GET /api/v1/retention': 'admins',
  'POST /api/v1/retention/preview': 'admins',
  'POST /api/v1/retention/runs': 'admins',
  'GET /api/v1/runs': 'admins',
  'GET /api/v1/runs/:id': 'admins',
  'GET /api/v1/gc': 'admins',
  'POST /api/v1/gc/runs': 'admins',
  'GET /api/v1/usage': 'everything',
  'GET /api/v1/verify': 'admins',
  'POST /api/v1/verify/runs': 'admins',
  'DELETE /api/v1/verify/runs/current': 'admins',
  'POST /api/v1/backup/runs': 'admins',
  'GET /api/v1/openapi.json': 'nobody in particular',

  'PUT /api/v1/repositories/:name/visibility': 'admin',
  'GET /api/v1/access/explain': 'admins',
  'GET /api/v1/audit': 'admins',
  'GET /api/v1/users': 'admins',
  'POST /api/v1/users': 'admins',
  'POST /api/v1/users/import': 'admins',
  'GET /api/v1/users/:name': 'admins',
  'PATCH /api/v1/users/:name': 'admins',
  'DELETE /api/v1/users/:name': 'admins',
  'GET /api/v1/robots': 'admins',
  'POST /api/v1/robots': 'admins',
  'GET /api/v1/robots/:name': 'admins',
  'PATCH /api/v1/robots/:name': 'admins',
  'DELETE /api/v1/robots/:name': 'admins',
  'GET /api/v1/groups': 'admins',
  'POST /api/v1/groups': 'admins',
  'DELETE /api/v1/groups/:name': 'admins',
  'GET /api/v1/groups/:name/members': 'admins',
  'PUT /api/v1/groups/:name/members/:account': 'admins',
  'DELETE /api/v1/groups/:name/members/:account': 'admins',
  'GET /api/v1/account': 'account',
  'PUT /api/v1/account/password': 'account',
  'GET /api/v1/account/tokens': 'account',
  'POST /api/v1/account/tokens': 'account',
  'DELETE /api/v1/account/tokens/:id': 'account',
  'GET /api/v1/tokens': 'admins',
  'POST /api/v1/tokens': 'admins',
  'DELETE /api/v1/tokens/:id': 'admins',
  'GET /api/v1/grants': 'account',
  'PUT /api/v1/grants': 'account',
  'DELETE /api/v1/grants/:id': 'account',
  'GET /api/v1/namespaces': 'admins',
  'GET /api/v1/namespaces/:name': 'admins',
  'PUT /api/v1/namespaces/:name': 'admins',
  'DELETE /api/v1/namespaces/:name': 'admins',
  'GET /api/v1/signing-keys': 'admins',
  'POST /api/v1/signing-keys': 'admins',
}

/** What each right is good for. */
const GOOD_FOR: Readonly<Record<Right, readonly Right[]>> = {
  pull: ['pull'],
  create: ['pull', 'create'],
  overwrite: ['pull', 'create', 'overwrite'],
  delete: ['pull', 'delete'],
  admin: ['pull', 'create', 'overwrite', 'delete', 'admin'],
}

/** What a token has to be asked for, and what of it has to be in there. */
const SCOPES: Readonly<Record<Right, { readonly asked: string; readonly word: string }>> = {
  pull: { asked: 'pull', word: 'pull' },
  create: { asked: 'pull,push', word: 'push' },
  overwrite: { asked: 'pull,push', word: 'push' },
  delete: { asked: 'delete', word: 'delete' },
  admin: { asked: '*', word: '*' },
}

/** What a case is, in the words of this test alone. */
interface Somebody {
  readonly label: string
  /** `nobody`: whoever has no account; `wrong`: what lets nobody in. */
  readonly is: 'nobody' | 'account' | 'admin' | 'operator' | 'wrong'
  /** On the repositories of the case, where they are there and where they are not. */
  readonly rights: readonly Right[]
  readonly isPublic?: boolean
  /** The rights are on every repository there is. */
  readonly isEverywhere?: boolean
  /** What their bearer token is for; absent without one. */
  readonly bearer?: { readonly words: readonly string[]; readonly catalog?: boolean }
  /** The namespace of the repositories. */
  readonly at: string
  readonly authorization: string | undefined
}

interface Expected {
  readonly is: 'allowed' | 'challenged' | 'denied' | 'hidden'
  readonly scope?: string
  readonly error?: string
  readonly scheme?: 'Basic'
}

const allowed: Expected = { is: 'allowed' }
const denied: Expected = { is: 'denied' }

/** The whole of the rules. */
function expectation(about: About, who: Somebody, repository: string, isThere: boolean): Expected {
  const isRight = about in GOOD_FOR
  const scope = isRight
    ? { scope: `repository:${repository}:${SCOPES[about as Right].asked}` }
    : about === 'catalog' || about === 'search'
      ? { scope: 'registry:catalog:*' }
      : {}
  const isIn = who.is === 'account' || who.is === 'admin'
  if (about === 'form') return allowed
  if (about === 'token') {
    const isProof = who.is !== 'wrong' && who.is !== 'operator' && who.bearer === undefined
    return isProof ? allowed : { is: 'challenged', scheme: 'Basic' }
  }
  if (who.is === 'operator') return allowed
  if (who.is === 'wrong') return { is: 'challenged', error: 'invalid_token', ...scope }
  const tooNarrow = { is: 'challenged', error: 'insufficient_scope', ...scope } as const
  switch (about) {
    case 'nobody in particular':
      return allowed
    case 'ping':
      return isIn || who.bearer ? allowed : { is: 'challenged' }
    case 'list':
      return who.bearer?.catalog === false ? { ...tooNarrow, scope: 'registry:catalog:*' } : allowed
    case 'catalog':
    case 'search':
      if (who.bearer) return who.bearer.catalog ? allowed : tooNarrow
      return isIn || about === 'search' ? allowed : { is: 'challenged', ...scope }
    case 'account':
      if (!isIn) return { is: 'challenged' }
      return who.bearer ? denied : allowed
    case 'everything':
    case 'admins': {
      const seesAll = who.isEverywhere === true && about === 'everything'
      if ((who.is === 'admin' || seesAll) && !who.bearer) return allowed
      return isIn ? denied : { is: 'challenged' }
    }
    default: {
      const right = about
      const has =
        who.is === 'admin' ||
        who.rights.some((held) => GOOD_FOR[held].includes(right)) ||
        (who.isPublic === true && isThere && right === 'pull')
      const { word } = SCOPES[right]
      const isAsked = who.bearer?.words.some((held) => held === word || held === '*') ?? true
      if (has) return isAsked ? allowed : tooNarrow
      if (!isIn) return who.bearer ? tooNarrow : { is: 'challenged', ...scope }
      return right === 'pull' ? { is: 'hidden' } : denied
    }
  }
}

/** What {@link pushImage} pushes. */
const LAYER = sha256('layer')
let imageDigest = ''

/** One request of a route; none of them changes anything, so that they can come in any order. */
function requestOf(route: string, repository: string) {
  const [method = '', pattern = ''] = route.split(' ')
  const isApi = pattern.startsWith('/api')
  // What is read is there; what would be deleted is not.
  const isRead = method === 'GET' || method === 'HEAD'
  const [manifest, blob, tag] = isRead ? [imageDigest, LAYER, 'v1'] : [ABSENT, ABSENT, 'absent']
  const url = pattern
    .replace(':name', isApi ? encodeURIComponent(repository) : repository)
    .replace(/:reference\(\.\+\)|(?<=manifests\/):digest/, manifest)
    .replace(/:digest\(\.\+\)/, blob)
    .replace(/:id(\(\.\+\))?/, isApi ? '999999' : '00000000-0000-0000-0000-000000000000')
    .replace(':tag', tag)
    .replace(':account', 'nobody')
  const body = bodyOf(route)
  return {
    method: method as 'GET',
    url: route.startsWith('PUT /v2/:name/blobs') ? `${url}?digest=${ABSENT}` : url,
    ...(body && { headers: { 'content-type': body[0] }, payload: body[1] }),
  }
}

/** What is looked at before it is refused. */
function bodyOf(route: string): [type: string, text: string] | undefined {
  if (route === 'POST /token') return [FORM, 'grant_type=none']
  if (route.startsWith('PUT /v2/:name/manifests')) return [OCI_MANIFEST, 'no manifest']
  if (/^(PUT|PATCH) \/v2\//.test(route)) return ['application/octet-stream', 'bytes']
  if (/^(POST|PUT|PATCH) \/api\//.test(route)) return ['application/json', '{"unknown":1}']
  return undefined
}

type Response = Awaited<ReturnType<AccountsWorld['ask']>>

/** What an answer is, in the words of this test. */
function seen(response: Response, route: string): Expected & { readonly status: number } {
  const { statusCode: status } = response
  if (status === 401) {
    const { scheme, realm, service, scope, error, ...rest } = challengeOf(response)
    const isOurs =
      scheme === 'Basic'
        ? realm === 'berth'
        : realm === 'http://localhost:80/token' && service === 'berth'
    if (!isOurs || Object.keys(rest).length > 0) throw new Error(JSON.stringify(response.headers))
    return {
      ...{ is: 'challenged', status },
      ...(scheme === 'Basic' && { scheme }),
      ...(scope !== undefined && { scope }),
      ...(error !== undefined && { error }),
    }
  }
  if (response.headers['www-authenticate'] !== undefined) throw new Error('a needless challenge')
  if (status === 403) return { ...denied, status }
  // A session that is not there has no body in which HEAD could tell that.
  const isSilent = route.startsWith('HEAD') && !route.includes('/uploads/')
  if (status === 404 && (isSilent || response.body.includes('"NAME_UNKNOWN"'))) {
    return { is: 'hidden', status }
  }
  return { ...allowed, status }
}

/** Accounts and grants of every kind, and what each of them is, in the words of this test. */
async function everybody(world: AccountsWorld, tick: (seconds: number) => void) {
  const cases: Somebody[] = []
  const RIGHTS = Object.keys(GOOD_FOR) as Right[]
  const words = (at: string) => `repository:${at}/app:pull,push,delete,*`
  const missingWords = (at: string) => `repository:${at}/apq:pull,push,delete,*`
  const scopesOf = (at: string) => [words(at), missingWords(at), 'registry:catalog:*']
  const bearerWords = (rights: readonly Right[]): string[] =>
    rights.includes('admin')
      ? ['*']
      : (['pull', 'create', 'delete'] as const)
          .filter((right) => rights.some((held) => GOOD_FOR[held].includes(right)))
          .map((right) => SCOPES[right].word)

  for (const at of ['team', 'open', 'free', 'staff', 'owned']) {
    imageDigest = (await pushImage(world.as(world.admin), `${at}/app`, 'v1')).digest
  }
  await world.show('open/app', 'public')
  await world.grant('anonymous', 'free/*', 'pull')
  await world.grant('signed-in', 'staff/**', 'create')

  const add = (label: string, who: Omit<Somebody, 'label'>) => cases.push({ label, ...who })

  /** With Basic, and with bearer tokens that are for it, for something else, and for nothing. */
  async function addAll(label: string, who: Omit<Somebody, 'label' | 'bearer'>) {
    const { authorization, at, rights, isPublic = false } = who
    const held = who.is === 'admin' ? (['admin'] as const) : rights
    add(label, who)
    const full = await world.bearer(authorization, ...scopesOf(at))
    // What is public is there; where nothing is, nothing was given.
    const given = isPublic && held.length === 0 ? ['pull'] : bearerWords(held)
    add(`${label}, by a bearer token`, {
      ...who,
      bearer: { words: given, catalog: true },
      authorization: full,
    })
    add(`${label}, by a bearer token for another repository`, {
      ...who,
      bearer: { words: [], catalog: false },
      authorization: await world.bearer(authorization, `repository:${at}/other:pull,push,delete`),
    })
    add(`${label}, by a bearer token of docker login`, {
      ...who,
      bearer: { words: [], catalog: false },
      authorization: await world.bearer(authorization),
    })
  }

  // First what shall be over when the rest begins.
  const expired = await world.bearer(world.admin, ...scopesOf('team'))
  tick(3600)
  const refresh = await world.refreshToken('admin')
  const disabled = await world.user('disabled', { isAdmin: true })
  const disabledBearer = await world.bearer(disabled, ...scopesOf('team'))
  await world.accounts.changeAccount({ name: 'disabled', isDisabled: true, at: 1 })
  const deleted = await world.user('deleted', { isAdmin: true })
  const deletedBearer = await world.bearer(deleted, ...scopesOf('team'))
  await world.accounts.deleteAccount('deleted')
  const revoked = await world.token('admin')
  const revokedBearer = await world.bearer(revoked.authorization, ...scopesOf('team'))
  await world.accounts.revokeToken(revoked.id)
  for (const [label, authorization] of [
    ['a wrong password', basic('admin', 'wrong')],
    ['a name that nobody has', basic('nobody')],
    ['garbage as a bearer token', 'Bearer garbage'],
    ['an unknown scheme', 'Digest username="admin"'],
    ['an expired bearer token', expired],
    ['a refresh token as a bearer token', `Bearer ${refresh}`],
    ['a refresh token as a password', basic('admin', refresh)],
    ['a disabled user', disabled],
    ['a disabled user with a bearer token from before', disabledBearer],
    ['a deleted user', deleted],
    ['a deleted user with a bearer token from before', deletedBearer],
    ['a revoked personal token', revoked.authorization],
    ['a bearer token of a revoked personal token', revokedBearer],
    ['the token of somebody else', basic('disabled', (await world.token('admin')).text)],
  ] as const) {
    add(label, { is: 'wrong', rights: [], at: 'team', authorization })
  }

  const nobody = { is: 'nobody', rights: [], authorization: undefined } as const
  await addAll('nobody', { ...nobody, at: 'team' })
  await addAll('nobody, at a public repository', { ...nobody, at: 'open', isPublic: true })
  await addAll('nobody, where anonymous is granted pull', {
    ...nobody,
    at: 'free',
    rights: ['pull'],
  })
  add('an empty name and password', { ...nobody, at: 'team', authorization: 'Basic Og==' })

  await world.user('stranger')
  const stranger = { is: 'account', rights: [], authorization: basic('stranger') } as const
  await addAll('a user without grants', { ...stranger, at: 'team' })
  await addAll('a user without grants, at a public repository', {
    ...{ ...stranger, at: 'open', isPublic: true },
  })
  await addAll('a user, where anonymous is granted pull', {
    ...{ ...stranger, at: 'free', rights: ['pull'] },
  })
  await addAll('a user, where all who are signed in are granted create', {
    ...{ ...stranger, at: 'staff', rights: ['create'] },
  })

  for (const right of RIGHTS) {
    await world.user(`has-${right}`)
    await world.grant(`user has-${right}`, 'team/**', right)
  }
  for (const right of RIGHTS) {
    const name = `has-${right}`
    const who = { is: 'account', rights: [right], at: 'team' } as const
    await addAll(`a user with ${right}`, { ...who, authorization: basic(name) })

    await world.user(`member-${right}`)
    await world.group(`group-${right}`, `member-${right}`)
    await world.grant(`group group-${right}`, 'team/ap*', right)
    add(`a member of a group with ${right}`, {
      ...{ ...who, authorization: basic(`member-${right}`) },
    })

    await world.robot(`robot-${right}`)
    await world.grant(`robot robot-${right}`, 'team/app', right)
    await world.grant(`robot robot-${right}`, 'team/apq', right)
    const token = await world.token(`robot-${right}`)
    add(`a robot with ${right}`, { ...who, authorization: token.authorization })
    add(`a robot with ${right}, its token as a bearer token`, {
      ...{ ...who, authorization: `Bearer ${token.text}` },
    })

    const scope = [{ pattern: 'team/**', actions: [right] }]
    const limited = await world.token('has-admin', { scope })
    await addAll(`a token that is limited to ${right}`, {
      ...{ ...who, authorization: limited.authorization },
    })
  }

  const elsewhere = await world.token('has-admin', {
    scope: [{ pattern: 'other/**', actions: ['admin'] }],
  })
  await addAll('a token that is limited to another namespace', {
    ...{ is: 'account', rights: [], at: 'team', authorization: elsewhere.authorization },
  })
  const limitedAdmin = await world.token('admin', {
    scope: [{ pattern: 'team/**', actions: ['create'] }],
  })
  await addAll('a limited token of an admin', {
    ...{ is: 'account', rights: ['create'], at: 'team' },
    authorization: limitedAdmin.authorization,
  })
  const beyond = await world.token('has-pull', { scope: [{ pattern: '**', actions: ['admin'] }] })
  add('a token with a scope beyond the rights of its user', {
    ...{ is: 'account', rights: ['pull'], at: 'team', authorization: beyond.authorization },
  })

  await world.user('auditor')
  await world.grant('user auditor', '**', 'pull')
  await addAll('a user who may pull everything', {
    ...{ is: 'account', rights: ['pull'], at: 'team', isEverywhere: true },
    authorization: basic('auditor'),
  })
  await world.user('owner')
  await world.namespace('owned', { owner: 'user owner' })
  await addAll('the owner of the namespace', {
    ...{ is: 'account', rights: ['admin'], at: 'owned', authorization: basic('owner') },
  })
  await addAll('an admin', { is: 'admin', rights: [], at: 'team', authorization: world.admin })
  return cases
}

let at = 1_700_000_000_000
const world = sharedWithAccounts({ now: () => at })
let cases: readonly Somebody[] = []
beforeAll(async () => {
  cases = await everybody(world, (seconds) => (at += seconds * 1000))
})

/** Every answer of some routes that is not what the rules say. */
async function mistakes(world: AccountsWorld, who: readonly Somebody[], routes: readonly string[]) {
  const found: string[] = []
  for (const route of routes) {
    for (const somebody of who) {
      const there = await askOne(world, route, somebody, true)
      found.push(...there.mistakes)
      if (!route.includes(':name')) continue
      const missing = await askOne(world, route, somebody, false)
      found.push(...missing.mistakes)
      const { is, rights, isPublic } = somebody
      const mayLook = is === 'admin' || is === 'operator' || rights.length > 0 || isPublic === true
      if (!mayLook && there.text !== missing.text) {
        found.push(`${route} by ${somebody.label} tells: ${there.text}, else ${missing.text}`)
      }
    }
  }
  return found
}

async function askOne(world: AccountsWorld, route: string, who: Somebody, isThere: boolean) {
  const repository = `${who.at}/${isThere ? 'app' : 'apq'}`
  const response = await world.ask(requestOf(route, repository), who.authorization)
  const { status, ...is } = seen(response, route)
  const expected = expectation(ROUTES[route] as About, who, repository, isThere)
  // What is not there reads the same for those who could see it.
  const isMissing = is.is === 'hidden' && expected.is === 'allowed' && !isThere
  const isRight = isMissing || JSON.stringify(sorted(is)) === JSON.stringify(sorted(expected))
  const headers = { ...response.headers, date: '', 'x-request-id': '' }
  const said = `${status} ${JSON.stringify(is)}`
  return {
    mistakes:
      isRight && status < 500
        ? []
        : [`${route} of ${repository} by ${who.label}: ${said}, not ${JSON.stringify(expected)}`],
    text: `${status} ${JSON.stringify(headers)} ${response.body}`.replaceAll(repository, 'NAME'),
  }
}

function sorted(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
}

describe('every route', () => {
  it('says who may use it, and so does this test', async () => {
    const routes = routesOf(world.app).filter((route) =>
      /^[A-Z]+ \/(v1|v2|token|api)\b/.test(route),
    )

    expect(routes.sort()).toEqual(Object.keys(ROUTES).sort())
  })

  it.each([['/v1'], ['/token'], ['/v2'], ['/api']])(
    'of %s is for whom the rules say, and for nobody else',
    async (room) => {
      const routes = Object.keys(ROUTES).filter((route) => route.includes(` ${room}`))

      expect(await mistakes(world, cases, routes)).toEqual([])
    },
  )

  it('of /api is for the operator', async () => {
    const authorization = `Bearer ${operatorTokenOf(world.app) ?? ''}`
    const operator = { label: 'the operator', rights: [], at: 'team', authorization } as const
    const routes = Object.keys(ROUTES)
    const api = routes.filter((route) => route.includes(' /api'))
    const others = routes.filter((route) => !route.includes(' /api'))

    expect(await mistakes(world, [{ ...operator, is: 'operator' }], api)).toEqual([])
    expect(await mistakes(world, [{ ...operator, is: 'wrong' }], others)).toEqual([])
  })

  it('of repositories is explained as it is decided', async () => {
    for (const { is, rights, isPublic, at, authorization = '' } of cases) {
      if (is === 'wrong' || is === 'operator') continue
      const [scheme, value = ''] = authorization.split(' ')
      const [name, password] = Buffer.from(value, 'base64').toString().split(':')
      // Of a token's limits nothing is explained, only of its account.
      if (scheme !== '' && (scheme !== 'Basic' || (password !== PASSWORD && name !== ''))) continue
      for (const right of Object.keys(GOOD_FOR) as Right[]) {
        const account = name === undefined || name === '' ? 'anonymous' : name
        const query = `account=${account}&repository=${at}/app&action=${right}`
        const response = await world.get(`/api/v1/access/explain?${query}`, world.admin)
        const isAllowed =
          is === 'admin' ||
          rights.some((held) => GOOD_FOR[held].includes(right)) ||
          (isPublic === true && right === 'pull')
        expect([query, response.json<{ allowed: boolean }>().allowed]).toEqual([query, isAllowed])
      }
    }
  })
})
