import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { importJWK, SignJWT, type JWK, type JWTHeaderParameters } from 'jose'
import { Passwords } from '../../src/auth/passwords.js'
import {
  ARGON2_HASH,
  basic,
  BCRYPT_HASH,
  challengeOf,
  guessUntilThrottled,
  PASSWORD,
  startWithAccounts,
  type AccountsWorld,
} from '../support/accounts.js'
import { pushImage } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import type { StartOptions } from '../support/server.js'

const AT = 1_700_000_000_000
const seconds = AT / 1000
const path = '/v2/team/app/tags/list'
const scope = 'repository:team/app:pull'

async function world(config: StartOptions['config'] = {}) {
  const started = await startWithAccounts({ now: () => AT, config })
  await pushImage(started.as(started.admin), 'team/app', 'v1')
  return started
}

const REFUSED = {
  ...{ scheme: 'Bearer', realm: 'http://localhost:80/token', service: 'berth' },
  ...{ scope, error: 'invalid_token' },
}

/** Whatever of these is shown, the answer is the same, word for word. */
async function expectRefused(started: AccountsWorld, shown: Readonly<Record<string, string>>) {
  for (const [what, authorization] of Object.entries(shown)) {
    const response = await started.get(path, authorization)
    expect(response.statusCode, what).toBe(401)
    expect(challengeOf(response), what).toEqual(REFUSED)
    expect(response.json(), what).toEqual({
      errors: [{ code: 'UNAUTHORIZED', message: 'the credentials are not right, or not any more' }],
    })
    const token = await started.askToken(authorization)
    expect([what, token.statusCode]).toEqual([what, 401])
    const api = await started.get('/api/v1/repositories', authorization)
    expect([what, api.statusCode, api.headers['content-type']]).toEqual([
      ...[what, 401, 'application/problem+json'],
    ])
  }
}

const base64 = (bytes: string | Buffer) => Buffer.from(bytes).toString('base64')
const base64url = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

describe('an Authorization that is malformed', () => {
  it('lets nobody in, and says nothing of what is wrong', async () => {
    const started = await world()
    await started.user('ümlaut')

    await expectRefused(started, {
      'a scheme alone': 'Basic',
      'a scheme and a blank': 'Bearer ',
      'no scheme': 'YWRtaW46eA',
      'an unknown scheme': 'Negotiate YII=',
      digest: 'Digest username="admin", realm="berth"',
      'two values': `Basic ${base64('admin:x')} ${base64(`admin:${PASSWORD}`)}`,
      'two schemes': `Bearer x, ${started.admin}`,
      'a comma': `${started.admin},`,
      'a tab between': started.admin.replace(' ', '\t'),
      'something before': `x ${started.admin}`,
      'no Base64': 'Basic ???',
      'Base64 in the middle of something': `Basic ${base64('admin:x')}!`,
      'Base64 with too many equals signs': `Basic ${base64('admin:x')}===`,
      'no colon': `Basic ${base64('admin')}`,
      'a colon in the scheme': `Basic: ${base64(`admin:${PASSWORD}`)}`,
      'nothing encoded': 'Basic =',
      'no name': basic('', PASSWORD),
      'no password': basic('admin', ''),
      'invalid UTF-8': `Basic ${base64(Buffer.from([0x61, 0xff, 0xfe, 0x3a, 0x62]))}`,
      'a surrogate': `Basic ${base64(Buffer.from([0xed, 0xa0, 0x80, 0x3a, 0x62]))}`,
      'an overlong colon': `Basic ${base64(Buffer.from([0x61, 0xc0, 0xba, 0x62]))}`,
      'the name in another encoding': `Basic ${base64(Buffer.from(`ümlaut:${PASSWORD}`, 'latin1'))}`,
      'a NUL in the name': basic('admin\0', PASSWORD),
      'a NUL in the password': basic('admin', `${PASSWORD}\0`),
      'a NUL alone': basic('\0', '\0'),
      'a line break': basic('admin\r\nX: y', PASSWORD),
      'another case': basic('Admin', PASSWORD),
      'a blank behind the name': basic('admin ', PASSWORD),
      'the name anonymous': basic('anonymous', ''),
      'the name operator': basic('operator', PASSWORD),
      'a name of JavaScript': basic('__proto__', 'constructor'),
      SQL: basic(`' or 1=1 --`, `' or 1=1 --`),
      'a very long name': basic('x'.repeat(40_000), PASSWORD),
      'a very long password': basic('admin', 'x'.repeat(40_000)),
      'a very long token': `Bearer ${'x'.repeat(40_000)}`,
      'a very long scheme': `${'B'.repeat(40_000)} x`,
      'many blanks': `Basic${' '.repeat(40_000)}x x`,
      'a personal token that nobody has': `Bearer berth_${'x'.repeat(43)}`,
      'one of nobody, with a name': basic('admin', `berth_${'x'.repeat(43)}`),
      'the beginning of one': basic('admin', 'berth_'),
    })
  })

  it('is not what strange but right ones are', async () => {
    const started = await world()
    await started.user('ümlaut')
    await started.user('colon', { passwordHash: BCRYPT_HASH })
    for (const authorization of [
      started.admin,
      started.admin.replace('Basic', 'bAsIc'),
      started.admin.replace(' ', '   '),
      `${started.admin}  `,
      started.admin.replace(/=+$/, ''),
      basic('ümlaut'),
    ]) {
      expect((await started.get('/v2/', authorization)).statusCode).toBe(200)
    }
  })

  it('that is too long for the server is refused before anybody reads it', async () => {
    const started = await world()
    const connection = await RawConnection.open(started.testServer.port)

    connection.write(
      `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ${'x'.repeat(70_000)}\r\n\r\n`,
    )

    expect((await connection.answer()).status).toBe(431)
  })

  it.each([
    ['a NUL', Buffer.from('Basic a\0b')],
    ['bytes that are no ASCII', Buffer.from([0x42, 0x61, 0x73, 0x69, 0x63, 0x20, 0xff, 0xfe])],
    ['a folded line', Buffer.from('Basic\r\n x')],
  ])('with %s on the wire is 400 or 401', async (_what, value) => {
    const started = await world()
    const connection = await RawConnection.open(started.testServer.port)

    connection.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: `)
    connection.write(value)
    connection.write('\r\n\r\n')

    expect([400, 401]).toContain((await connection.answer()).status)
  })

  it('is looked at once where the header stands twice: the first one counts', async () => {
    const started = await world()
    const ask = async (...shown: readonly string[]) => {
      const connection = await RawConnection.open(started.testServer.port)
      const headers = shown.map((value) => `Authorization: ${value}\r\n`).join('')
      connection.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
      return (await connection.answer()).status
    }

    expect(await ask(started.admin, 'Basic x')).toBe(200)
    expect(await ask('Basic x', started.admin)).toBe(401)
  })
})

/** What the registry signs with, and what it says in its tokens. */
async function forge(started: AccountsWorld) {
  const [key] = await started.accounts.listSigningKeys(AT)
  if (key === undefined) throw new Error('there is no key')
  const jwk = JSON.parse(key.privateKey) as JWK
  const privateKey = await importJWK(jwk, 'ES256')
  const admin = await started.accounts.findAccount('admin')
  const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
  const claims = {
    ...{ iss: 'berth', aud: 'berth', sub: 'admin', jti: 'x' },
    ...{ iat: seconds, nbf: seconds, exp: seconds + 300 },
    ...{ uid: admin?.id, epoch: admin?.epoch, access },
  }
  const header: JWTHeaderParameters = { alg: 'ES256', typ: 'JWT', kid: key.id }
  const signed = async (
    changes: Readonly<Record<string, unknown>> = {},
    head: Readonly<Record<string, unknown>> = {},
    by = privateKey,
  ) =>
    `Bearer ${await new SignJWT({ ...claims, ...changes }).setProtectedHeader({ ...header, ...head }).sign(by)}`
  return { signed, claims, header, jwk, kid: key.id }
}

describe('a bearer token', () => {
  it('is believed when all of it is right, which is how this test makes them', async () => {
    const started = await world()
    const { signed } = await forge(started)

    expect((await started.get(path, await signed())).statusCode).toBe(200)
  })

  it('is not believed when any of it is wrong', async () => {
    const started = await world()
    const { signed, claims, header, jwk, kid } = await forge(started)
    const [head = '', payload = '', signature = ''] = (await signed()).slice(7).split('.')
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const foreignJwk = foreign.publicKey.export({ format: 'jwk' }) as JWK
    const publicJwk = { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y }
    const publicPem = foreign.publicKey.export({ format: 'pem', type: 'spki' })
    const unsigned = (alg: string) =>
      `Bearer ${base64url({ ...header, alg })}.${base64url(claims)}.`
    const hmac = (secret: string | Buffer) => {
      const text = `${base64url({ ...header, alg: 'HS256' })}.${base64url(claims)}`
      return `Bearer ${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    }
    const der = () => {
      const text = `${head}.${payload}`
      const bytes = signBytes('sha256', Buffer.from(text), foreign.privateKey)
      return `Bearer ${text}.${bytes.toString('base64url')}`
    }
    const foreignKey = await importJWK(foreign.privateKey.export({ format: 'jwk' }) as JWK, 'ES256')
    const without = (name: string) => signed({ [name]: undefined })

    await expectRefused(started, {
      'no signature': `Bearer ${head}.${payload}.`,
      'two parts': `Bearer ${head}.${payload}`,
      'four parts': `Bearer ${head}.${payload}.${signature}.x`,
      'five parts': `Bearer ${head}.x.x.${payload}.${signature}`,
      dots: 'Bearer ..',
      'a dot': 'Bearer .',
      'no JSON in its header': `Bearer ${base64url('x')}.${payload}.${signature}`,
      'null in its header': `Bearer ${base64url('null')}.${payload}.${signature}`,
      'a list in its header': `Bearer ${base64url('[]')}.${payload}.${signature}`,
      'another payload': `Bearer ${head}.${base64url({ ...claims, uid: 2 })}.${signature}`,
      'a truncated signature': `Bearer ${head}.${payload}.${signature.slice(0, -4)}`,
      'a truncated payload': `Bearer ${head}.${payload.slice(0, -4)}.${signature}`,
      'an empty signature of zeros': `Bearer ${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      'a signature in DER': der(),
      'alg none': unsigned('none'),
      'alg NONE': unsigned('NONE'),
      'alg none, with a signature': `${unsigned('none')}${signature}`,
      'no alg': unsigned(''),
      'HS256 with the public key as JSON': hmac(JSON.stringify(publicJwk)),
      'HS256 with the x of the public key': hmac(Buffer.from(jwk.x ?? '', 'base64url')),
      'HS256 with a public key in PEM': hmac(publicPem),
      'HS256 with nothing': hmac(''),
      'a foreign key under our kid': await signed({}, {}, foreignKey),
      'a foreign key under its own kid': await signed({}, { kid: 'foreign' }, foreignKey),
      'a foreign key that it brings along': await signed({}, { jwk: foreignJwk }, foreignKey),
      'a foreign key without kid': await signed(
        {},
        { jwk: foreignJwk, kid: undefined },
        foreignKey,
      ),
      'a chain of certificates': await signed({}, { x5c: ['MIIB'], kid: undefined }, foreignKey),
      'an address of keys': await signed({}, { jku: 'http://127.0.0.1:1/', kid }, foreignKey),
      'no kid': await signed({}, { kid: undefined }),
      'another kid': await signed({}, { kid: 'other' }),
      'a kid that is a list': await signed({}, { kid: [kid] }),
      'a kid that is a path': await signed({}, { kid: '../../dev/null' }),
      'another type': await signed({}, { typ: 'at+jwt' }),
      'no type': await signed({}, { typ: undefined }),
      'something critical': `Bearer ${base64url({ ...header, crit: ['x'], x: 1 })}.${payload}.${signature}`,
      'no iss': await without('iss'),
      'another iss': await signed({ iss: 'other' }),
      'no aud': await without('aud'),
      'another aud': await signed({ aud: 'other' }),
      'no exp': await without('exp'),
      'no nbf': await without('nbf'),
      'no iat': await without('iat'),
      'no sub': await without('sub'),
      'an exp that is a text': `Bearer ${head}.${base64url({ ...claims, exp: '9999999999' })}.${signature}`,
      'one that is over': await signed({ exp: seconds - 6 }),
      'one that is not valid yet': await signed({ nbf: seconds + 6 }),
      'an account that is not there': await signed({ uid: 4711 }),
      'another epoch': await signed({ epoch: 4711 }),
      'no epoch': await without('epoch'),
      'a personal token that is not there': await signed({ tid: 'x' }),
    })
  })

  it('is not believed with any letter of it changed', async () => {
    const started = await world()
    const { signed } = await forge(started)
    const token = await signed()
    // Of the last letter not all bits count.
    for (let at = 'Bearer '.length; at < token.length - 1; at += 11) {
      const letter = token[at] === 'A' ? 'B' : 'A'
      const changed = token.slice(0, at) + letter + token.slice(at + 1)
      expect([at, (await started.get(path, changed)).statusCode]).toEqual([at, 401])
    }
  })

  it('that names no account is nobody, whatever name it has', async () => {
    const started = await world()
    const { signed } = await forge(started)

    const response = await started.get(path, await signed({ uid: undefined }))

    expect(response.statusCode).toBe(401)
    expect(challengeOf(response)).toMatchObject({ error: 'insufficient_scope' })
  })
})

describe('a login that fails', () => {
  it('reads the same whoever it is, and takes as many checks of a password, as dear as each other', async () => {
    const started = await world()
    await started.user('bcrypt')
    await started.user('argon2', { passwordHash: ARGON2_HASH })
    await started.user('disabled')
    await started.accounts.changeAccount({ name: 'disabled', isDisabled: true, at: AT })
    await started.robot('robot')
    const parametersOf = (hash: string) => /^(\$2b\$\d+|\$argon2id\$v=19\$[^$]+)\$/.exec(hash)?.[1]
    const known = [BCRYPT_HASH, ARGON2_HASH].map(parametersOf)
    const verify = vi.spyOn(Passwords.prototype, 'verify')
    onTestFinished(() => verify.mockRestore())
    const answers: unknown[] = []
    for (const [name, password] of [
      ['bcrypt', 'wrong'],
      ['argon2', 'wrong'],
      ['disabled', 'wrong'],
      ['disabled', PASSWORD],
      ['robot', PASSWORD],
      ['robot', 'wrong'],
      ['nobody', PASSWORD],
      ['zzz', 'wrong'],
      ['', 'wrong'],
      ['x'.repeat(1000), 'wrong'],
    ] as const) {
      verify.mockClear()
      const { statusCode, headers, body } = await started.get(path, basic(name, password))
      const rest = { ...headers, date: '', 'x-request-id': '' }
      answers.push({ statusCode, rest, body })
      expect([name, verify.mock.calls.length]).toEqual([name, 1])
      expect(known).toContain(parametersOf(verify.mock.calls[0]?.[1] ?? ''))

      verify.mockClear()
      const form = { grant_type: 'password', username: name, password }
      const { statusCode: status, body: text } = await started.postToken(form)
      expect([name, status, verify.mock.calls.length]).toEqual([name, 401, 1])
      answers.push({ status, text })
    }
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(2)
  })

  it('as often as it is free slows down, and says when to come back, for a name that nobody has too', async () => {
    const started = await world()
    const answers: unknown[] = []
    for (const name of ['admin', 'nobody']) {
      const ask = () =>
        started.ask(
          { method: 'GET', url: path, remoteAddress: `192.0.2.${name.length}` },
          basic(name, 'wrong'),
        )
      const { statusCode, headers, body } = await guessUntilThrottled(ask)
      expect(headers['retry-after']).toMatch(/^[1-9]$/)
      answers.push([statusCode, headers['www-authenticate'], body])
    }
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]).toEqual([429, undefined, expect.stringContaining('TOOMANYREQUESTS')])
    // From elsewhere it still goes.
    expect((await started.get(path, started.admin)).statusCode).toBe(200)
  })
})

describe('the address of the token endpoint', () => {
  const realmOf = async (
    started: AccountsWorld,
    headers: Readonly<Record<string, string>>,
    remoteAddress = '192.0.2.1',
  ) =>
    challengeOf(await started.ask({ method: 'GET', url: '/v2/', headers, remoteAddress }))['realm']

  it('is the one that the client has used', async () => {
    const started = await world()
    const hosts = [
      'a',
      'registry.example.com',
      'registry:5000',
      '10.0.0.1:80',
      '[::1]:5000',
      'A_b-c.d',
    ]
    for (const host of hosts) {
      expect(await realmOf(started, { host })).toBe(`http://${host}/token`)
    }
    const response = await fetch(`${started.testServer.url}/v2/`)
    expect(challengeOf({ headers: Object.fromEntries(response.headers) })['realm']).toBe(
      `${started.testServer.url}/token`,
    )
  })

  it('has nothing in it that is no address', async () => {
    const started = await world()
    for (const host of [
      'a"',
      'a",scope="x',
      'a/b',
      'a b',
      'a,b',
      'user@a',
      'a:b',
      'a:999999',
      'a?b',
      'a#b',
      'a\\b',
      '<script>',
      '%00',
      'é',
      '[::1',
      '::1',
      'x'.repeat(30_000) + '"',
    ]) {
      expect([host, await realmOf(started, { host })]).toEqual([host, 'http://127.0.0.1:0/token'])
    }
  })

  it('is ours where the client says none, or nothing that is one', async () => {
    const started = await world()
    for (const head of ['GET /v2/ HTTP/1.0\r\n', 'GET /v2/ HTTP/1.1\r\nHost: "\r\n']) {
      const connection = await RawConnection.open(started.testServer.port)
      connection.write(`${head}\r\n`)
      const answer = await connection.answer()
      expect(answer.head).toContain(`realm="${started.testServer.url}/token"`)
    }
  })

  const forwarded = {
    host: 'inside:5000',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'outside.example.com',
    'x-forwarded-for': '198.51.100.1',
  }

  it('is not what a stranger says of a proxy', async () => {
    const started = await world({ http: { trustedProxies: ['10.9.9.9'] } })

    expect(await realmOf(started, forwarded)).toBe('http://inside:5000/token')
    expect(await realmOf(await world(), forwarded)).toBe('http://inside:5000/token')
  })

  it('is what a trusted proxy says behind as many headers as its client has thought of', async () => {
    const started = await world({ http: { trustedProxies: ['127.0.0.1'] } })
    const connection = await RawConnection.open(started.testServer.port)
    const said = 'X-Forwarded-Proto: https\r\nX-Forwarded-Host: outside.example.com\r\n'

    connection.write(`GET /v2/ HTTP/1.1\r\nHost: x\r\n${'b:\r\n'.repeat(2500)}${said}\r\n`)

    expect((await connection.answer()).head).toContain('realm="https://outside.example.com/token"')
  })

  it('is what a trusted proxy says, as long as that is an address', async () => {
    const started = await world({ http: { trustedProxies: ['192.0.2.0/24'] } })
    const said = (more: Readonly<Record<string, string>>) =>
      realmOf(started, { ...forwarded, ...more })

    expect(await said({})).toBe('https://outside.example.com/token')
    expect(await said({ 'x-forwarded-host': 'a, outside:8443' })).toBe('https://outside:8443/token')
    expect(await said({ 'x-forwarded-proto': 'ftp, https' })).toBe(
      'https://outside.example.com/token',
    )
    expect(await said({ 'x-forwarded-proto': 'HTTPS' })).toBe('https://outside.example.com/token')
    for (const proto of ['javascript', 'https",scope="x', 'https://evil/?', '']) {
      expect([proto, await said({ 'x-forwarded-proto': proto })]).toEqual([
        ...[proto, 'http://outside.example.com/token'],
      ])
    }
    expect(await said({ 'x-forwarded-host': 'a"b' })).toBe('https://127.0.0.1:0/token')
  })

  it('is http.publicUrl where that is set, whatever anybody says', async () => {
    const publicUrl = 'https://registry.example.com'
    const started = await world({ http: { publicUrl, trustedProxies: ['192.0.2.0/24'] } })
    for (const headers of [{}, { host: 'a"b' }, forwarded]) {
      expect(await realmOf(started, headers)).toBe('https://registry.example.com/token')
    }
  })
})
