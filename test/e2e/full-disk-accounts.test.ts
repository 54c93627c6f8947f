import path from 'node:path'
import { expect, it } from 'vitest'
import { basic, BCRYPT_HASH, PASSWORD, type BearerAnswer } from '../support/accounts.js'
import { eventually } from '../support/eventually.js'
import { CONFIG_TYPE, descriptor, OCI_MANIFEST, sha256 } from '../support/images.js'
import { operatorTokenIn } from '../support/management.js'
import { readFacts } from './support/account-facts.js'
import { startBerth, type Berth } from './support/berth.js'
import { HttpClient, type Answer } from './support/http-client.js'
import { MIB, newFile } from './support/images.js'
import { leaveFree, noFloor, smallDisk } from './support/small-disk.js'

const repository = 'team/app'
const scope = `repository:${repository}:pull`

/** Larger than what the database has of blobs. */
const layer = newFile(200_000)

/** In this order all of them succeed. */
const WRITES: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['POST', '/users', { name: 'new', password: PASSWORD }],
  ['POST', '/users', { name: 'passwordless' }],
  ['POST', '/users/import', { users: [{ name: 'imported', passwordHash: BCRYPT_HASH }] }],
  ['PATCH', '/users/rob', { password: 'another password' }],
  ['PATCH', '/users/rob', { password: PASSWORD }],
  ['PATCH', '/users/gwen', { isAdmin: true }],
  ['PATCH', '/users/gwen', { isDisabled: true }],
  ['POST', '/robots', { name: 'builder' }],
  ['PATCH', '/robots/ci', { isDisabled: true }],
  ['PATCH', '/robots/ci', { isDisabled: false }],
  ['POST', '/groups', { name: 'white' }],
  ['PUT', '/groups/red/members/gwen'],
  ['DELETE', '/groups/red/members/rob'],
  ['POST', '/tokens', { account: 'ci', description: 'new' }],
  ['DELETE', '/tokens/OLD'],
  ['PUT', '/grants', { subject: 'user:gwen', pattern: 'green/**', actions: ['create'] }],
  ['DELETE', '/grants/OLD'],
  ['PUT', '/namespaces/green', { owner: 'user:gwen', defaultVisibility: 'private' }],
  ['DELETE', '/namespaces/team'],
  ['PUT', `/repositories/${encodeURIComponent(repository)}/visibility`, { visibility: 'public' }],
  ['POST', '/signing-keys', {}],
  ['DELETE', '/users/gwen'],
  ['DELETE', '/robots/deploy'],
  ['DELETE', '/groups/blue'],
]

/** What users do for themselves. */
const OWN_WRITES: typeof WRITES = [
  ['POST', '/account/tokens', { description: 'my own' }],
  ['PUT', '/account/password', { password: 'the next password' }],
]

it('a full disk refuses whatever changes accounts, lets in who may come, and goes on with room', async () => {
  const disk = await smallDisk(16 * MIB)
  const berth = await startBerth({
    dataDirectory: path.join(disk, 'data'),
    settings: { ...noFloor, BERTH_ACCESS_MODE: 'accounts' },
  })
  const registry = new Registry(berth)
  await registry.prepare()

  await leaveFree(disk, 0)
  await registry.fill()
  const before = await registry.state()
  const refused = await registry.writeAll()
  const rob = basic('rob')
  const passwordLogin = await registry.logIn({ grant_type: 'password', username: 'rob' })
  const offline = await registry.logIn({ grant_type: 'password', access_type: 'offline' })
  const offlineByBasic = await registry.get(`/token?offline_token=true&scope=${scope}`, rob)
  const refreshed = await registry.logIn({ grant_type: 'refresh_token' })
  const unknown = [
    await registry.get('/v2/', basic('rob', 'wrong')),
    await registry.get('/v2/', basic('nobody')),
    await registry.get('/v2/', basic('ci', 'berth_wrong')),
  ]
  const pulled = [await registry.pull(rob), await registry.pull(registry.robot)]
  const trail = await registry.get('/api/v1/audit', registry.operator)
  const ready = await registry.get('/readyz')
  const after = await registry.state()

  for (const { what, status, problem } of refused) {
    expect([what, status]).toEqual([what, 507])
    expect(problem).toMatchObject({
      code: 'STORAGE_FULL',
      detail: expect.stringMatching(/no space left/) as string,
    })
    expect(JSON.stringify(problem)).not.toContain(disk)
  }
  expect(after).toEqual(before)
  for (const answer of [passwordLogin, offline, offlineByBasic, refreshed]) {
    expect(answer.status, answer.body.toString()).toBe(200)
    expect(await registry.pull(`Bearer ${bearerOf(answer).token}`)).toEqual([200, 200])
  }
  // One that nobody has kept would let nobody in.
  expect(
    [bearerOf(offline), bearerOf(offlineByBasic)].map((answer) => answer.refresh_token),
  ).toEqual([undefined, undefined])
  expect(unknown.map(({ status }) => status)).toEqual([401, 401, 401])
  expect(pulled).toEqual([
    [200, 200],
    [200, 200],
  ])
  expect([trail.status, ready.status]).toEqual([200, 503])

  await leaveFree(disk, 8 * MIB)
  await eventually(
    () => registry.get('/readyz'),
    ({ status }) => status === 200,
  )
  const done = await registry.writeAll()

  for (const { what, status, problem } of done) {
    expect([what, status < 300, problem]).toEqual([what, true, problem])
  }
  const kept = await registry.logIn({ access_type: 'offline', password: 'the next password' })
  const { refresh_token: refreshToken = '' } = bearerOf(kept)
  const again = await registry.logIn({
    ...{ grant_type: 'refresh_token', refresh_token: refreshToken },
  })
  expect([kept.status, again.status]).toEqual([200, 200])
  // It was tried again until there was room.
  const told = (await registry.get('/api/v1/audit?limit=1000', registry.operator)).body.toString()
  const { items } = JSON.parse(told) as { items: { action: string; result: string }[] }
  for (const result of ['failed', 'done']) {
    expect(items).toContainEqual(expect.objectContaining({ action: 'user.import', result }))
  }
})

interface Written {
  readonly what: string
  readonly status: number
  readonly problem: unknown
}

/** A registry with accounts, and somebody who uses it. */
class Registry {
  readonly #http: HttpClient
  readonly operator: string
  /** The `Authorization` of the robot. */
  robot = ''
  #refreshToken = ''
  #oldToken = ''
  #oldGrant = ''
  #count = 0

  constructor({ url, dataDirectory }: Berth) {
    this.#http = new HttpClient(url)
    this.operator = `Bearer ${operatorTokenIn(dataDirectory)}`
  }

  /** Two users of whom one may push, a robot, and an image. */
  async prepare(): Promise<void> {
    await this.#manage('POST', '/users', { name: 'rob', password: PASSWORD })
    await this.#manage('POST', '/users', { name: 'gwen', password: PASSWORD })
    for (const name of ['ci', 'deploy']) await this.#manage('POST', '/robots', { name })
    for (const name of ['red', 'blue']) await this.#manage('POST', '/groups', { name })
    await this.#manage('PUT', '/groups/red/members/rob')
    await this.#manage('PUT', '/namespaces/team', {
      ...{ owner: 'group:red', defaultVisibility: 'private' },
    })
    await this.#manage('PUT', '/grants', {
      subject: 'user:rob',
      pattern: 'team/**',
      actions: ['create'],
    })
    await this.#manage('PUT', '/grants', {
      subject: 'robot:ci',
      pattern: 'team/*',
      actions: ['pull'],
    })
    const old = { subject: 'user:gwen', pattern: 'team/*', actions: ['pull'] }
    this.#oldGrant = String((await this.#manage('PUT', '/grants', old))['id'])
    const token = await this.#manage('POST', '/tokens', { account: 'ci', description: 'builds' })
    this.robot = basic('ci', String(token['token']))
    const spare = await this.#manage('POST', '/tokens', { account: 'ci', description: 'old' })
    this.#oldToken = String(spare['id'])
    this.#refreshToken = bearerOf(await this.logIn({ access_type: 'offline' })).refresh_token ?? ''
    await this.#push()
  }

  get(url: string, authorization?: string): Promise<Answer> {
    return this.#http.send('GET', url, { ...(authorization && { headers: { authorization } }) })
  }

  /** `POST /token`, with what is not said as rob has it. */
  logIn(form: Readonly<Record<string, string>>): Promise<Answer> {
    const usual = {
      ...{ grant_type: 'password', username: 'rob', password: PASSWORD, client_id: 'test' },
      ...{ refresh_token: this.#refreshToken, scope },
    }
    return this.#http.send('POST', '/token', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from(new URLSearchParams({ ...usual, ...form }).toString()),
    })
  }

  /** The statuses of the manifest and of the layer. */
  async pull(authorization: string): Promise<number[]> {
    const manifest = await this.get(`/v2/${repository}/manifests/v1`, authorization)
    const blob = await this.get(`/v2/${repository}/blobs/${sha256(layer)}`, authorization)
    if (blob.status === 200) expect(sha256(blob.body)).toBe(sha256(layer))
    return [manifest.status, blob.status]
  }

  /** Writes until nothing has room any more: the database has some of its own, and the last of it is small. */
  async fill(): Promise<void> {
    for (let refused = 0; refused < 20;) {
      const name = `filler-${this.#count++}`
      const answers = [
        await this.#ask('POST', '/robots', { name }),
        await this.#ask('PUT', '/namespaces/filler', { defaultVisibility: 'private' }),
        await this.#ask('PUT', '/grants', {
          subject: 'user:rob',
          pattern: 'team/**',
          actions: ['create'],
        }),
      ]
      refused = answers.every(({ status }) => status === 507) ? refused + 1 : 0
    }
  }

  /** Whatever changes something of accounts and rights, each once. */
  async writeAll(): Promise<Written[]> {
    const written: Written[] = []
    for (const [method, path, body] of WRITES) {
      const old = path.startsWith('/tokens') ? this.#oldToken : this.#oldGrant
      written.push(await this.#write(method, path.replace('OLD', old), body, this.operator))
    }
    for (const [method, path, body] of OWN_WRITES) {
      written.push(await this.#write(method, path, body, basic('rob')))
    }
    return written
  }

  /** All that there is of accounts and rights. */
  async state(): Promise<unknown> {
    const { facts } = await readFacts(this.#http, this.operator)
    const others: string[] = []
    for (const list of ['namespaces', 'signing-keys', 'repositories']) {
      others.push((await this.get(`/api/v1/${list}`, this.operator)).body.toString())
    }
    return [[...facts].sort(), others]
  }

  async #write(
    method: string,
    path: string,
    body: object | undefined,
    authorization: string,
  ): Promise<Written> {
    const answer = await this.#ask(method, path, body, authorization)
    const text = answer.body.toString()
    const problem: unknown = text === '' ? undefined : JSON.parse(text)
    return { what: `${method} ${path}`, status: answer.status, problem }
  }

  async #manage(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const { status, body: bytes } = await this.#ask(method, path, body)
    expect(status, `${method} ${path}: ${bytes.toString()}`).toBeLessThan(300)
    return JSON.parse(bytes.toString()) as Record<string, unknown>
  }

  #ask(
    method: string,
    path: string,
    body?: object,
    authorization = this.operator,
  ): Promise<Answer> {
    return this.#http.send(method, `/api/v1${path}`, {
      headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: Buffer.from(JSON.stringify(body)) }),
    })
  }

  async #push(): Promise<void> {
    const authorization = basic('rob')
    const config = Buffer.from('{}')
    for (const body of [layer, config]) {
      const path = `/v2/${repository}/blobs/uploads/?digest=${sha256(body)}`
      const { status } = await this.#http.send('POST', path, { headers: { authorization }, body })
      expect(status).toBe(201)
    }
    const manifest = {
      ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor(config, CONFIG_TYPE) },
      layers: [descriptor(layer, 'application/octet-stream')],
    }
    const { status } = await this.#http.send('PUT', `/v2/${repository}/manifests/v1`, {
      headers: { authorization, 'content-type': OCI_MANIFEST },
      body: Buffer.from(JSON.stringify(manifest)),
    })
    expect(status).toBe(201)
  }
}

function bearerOf({ body }: Answer): BearerAnswer {
  return JSON.parse(body.toString()) as BearerAnswer
}
