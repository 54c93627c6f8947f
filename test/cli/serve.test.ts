import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import path from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, indexOf, OCI_INDEX, sha256 } from '../support/images.js'
import { BerthProcess, runBerthProcess, serveBerth, type ServedBerth } from '../support/process.js'

const sizeBytes = 100_000

/** An upload of which half is sent: the request is under way until the rest comes. */
async function beginUpload({ berth, port }: ServedBerth): Promise<{
  readonly answer: Promise<string>
  finish(): void
}> {
  const bytes = bytesOf(sizeBytes)
  const socket = connectTo(port)
  const answer = textOf(socket)
  socket.write(
    [
      `POST /v2/team/app/blobs/uploads/?digest=${sha256(bytes)} HTTP/1.1`,
      'Host: registry',
      'Expect: 100-continue',
      `Content-Length: ${sizeBytes}`,
      'Connection: close',
      '',
      '',
    ].join('\r\n'),
  )
  // The registry asks for the body: from now on it is at work on this request.
  await once(socket, 'data')
  socket.write(bytes.subarray(0, sizeBytes / 2))
  expect(berth.hasExited).toBe(false)
  return { answer, finish: () => void socket.write(bytes.subarray(sizeBytes / 2)) }
}

function connectTo(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  return socket
}

/** Everything that comes until the connection ends, however it ends. */
async function textOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (piece) => (text += piece.toString()))
  await new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve))
  return text
}

async function pushBlob(url: string, content: string): Promise<void> {
  const response = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${sha256(content)}`, {
    method: 'POST',
    body: content,
  })
  expect(response.status).toBe(201)
}

/** An index of nothing under so many tags; its address. */
async function pushTaggedIndex(url: string, count: number): Promise<string> {
  const index = indexOf([])
  const address = `/v2/team/app/manifests/${sha256(index)}`
  const tags = Array.from({ length: count }, (_, number) => `v${number}`)
  for (let at = 0; at < count; at += 100) {
    const query = tags.slice(at, at + 100).join('&tag=')
    const { status } = await fetch(`${url}${address}?tag=${query}`, {
      method: 'PUT',
      headers: { 'content-type': OCI_INDEX },
      body: index,
    })
    expect(status).toBe(201)
  }
  return `${url}${address}`
}

function countsIn(dataDirectory: string): Record<string, number> {
  const connection = new Database(path.join(dataDirectory, 'berth.db'), { readonly: true })
  try {
    return connection
      .prepare(
        `select (select count(*) from tags) as tags, count(*) as history,
           count(distinct case when from_digest is null then tag end) as made,
           count(distinct case when to_digest is null then tag end) as removed
         from history where tag <> ''`,
      )
      .get() as Record<string, number>
  } finally {
    connection.close()
  }
}

async function readBlob(url: string, content: string): Promise<string> {
  const response = await fetch(`${url}/v2/team/app/blobs/${sha256(content)}`)
  return response.text()
}

describe('berth serve', () => {
  it('says where it listens, where the data is, and how to use it', async () => {
    const data = await temporaryDirectory()

    const { berth, port } = await serveBerth(data)

    expect(port).toBeGreaterThan(0)
    expect(berth.stdout).toBe(`Berth listens on http://localhost:${port}
  data    ${data}
  config  none (neither --config nor BERTH_CONFIG names a file)

  docker tag alpine:latest localhost:${port}/alpine:latest
  docker push localhost:${port}/alpine:latest
  docker pull localhost:${port}/alpine:latest

`)
  })

  it('names its configuration file, and a relative data directory in full', async () => {
    const cwd = await temporaryDirectory()
    const settings = { dataDirectory: './registry/data', http: { port: 0 } }
    await writeFile(path.join(cwd, 'berth.json'), JSON.stringify(settings))

    const berth = new BerthProcess(['serve', '--config', 'berth.json'], { cwd })
    await berth.output('stdout', /docker pull/)

    expect(berth.stdout).toMatch(`data    ${path.join(cwd, 'registry', 'data')}\n`)
    expect(berth.stdout).toMatch(`config  ${path.join(cwd, 'berth.json')}\n`)
    expect(existsSync(path.join(cwd, 'registry', 'data', 'berth.db'))).toBe(true)
  })

  it('answers, and says that it is well and ready', async () => {
    const { url } = await serveBerth(await temporaryDirectory())

    const answers = await Promise.all(
      ['/v2/', '/healthz', '/readyz'].map(async (at) => {
        const response = await fetch(url + at)
        return [response.status, await response.json()] as const
      }),
    )

    expect(answers).toEqual([
      [200, {}],
      [200, { status: 'ok' }],
      [200, { status: 'ok' }],
    ])
  })

  it('is well but not ready, and goes on, when it cannot write blobs', async () => {
    const data = await temporaryDirectory()
    const { berth, url } = await serveBerth(data)
    await rm(path.join(data, 'uploads'), { recursive: true })

    const ready = await fetch(`${url}/readyz`)
    const well = await fetch(`${url}/healthz`)

    expect(ready.status).toBe(503)
    expect(await ready.json()).toEqual({ status: 'unavailable', failed: ['blobs'] })
    expect(well.status).toBe(200)
    await eventually(
      () => berth.stderr,
      (text) => text.includes('"a store is not ready"'),
    )
  })

  it('warns when everybody can reach it and may push, with the real port', async () => {
    const data = await temporaryDirectory()

    const { berth, port } = await serveBerth(data, ['--host', '0.0.0.0'])
    const [warning] = await berth.output('stdout', /Warning: [^]*\n\n/)

    expect(warning).toMatch(`0.0.0.0:${port} may push and delete`)
    expect(warning).toMatch('http.host')
    expect(warning).toMatch('access.mode: readOnly')
    expect(berth.stdout).toMatch(`docker push localhost:${port}/alpine:latest`)
  })

  it.each([
    ['only this machine reaches it', []],
    ['nobody may push', ['--host', '0.0.0.0']],
  ])('does not warn when %s', async (_, args) => {
    const mode = args.length > 0 ? 'readOnly' : 'open'
    const { berth } = await serveBerth(await temporaryDirectory(), args, {
      environment: { BERTH_ACCESS_MODE: mode },
    })

    berth.signal('SIGTERM')
    await berth.exit()

    expect(berth.stdout).not.toMatch(/warning/i)
  })

  it('keeps what was pushed over a restart', async () => {
    const data = await temporaryDirectory()
    const first = await serveBerth(data)
    await pushBlob(first.url, 'hello')
    first.berth.signal('SIGTERM')
    await first.berth.exit()

    const second = await serveBerth(data)

    expect(await readBlob(second.url, 'hello')).toBe('hello')
  })

  it('starts again after it was killed, and has what it said was there', async () => {
    const data = await temporaryDirectory()
    const large = bytesOf(200_000).toString('base64')
    const first = await serveBerth(data)
    await pushBlob(first.url, 'hello')
    await pushBlob(first.url, large)
    await beginUpload(first)
    first.berth.signal('SIGKILL')
    const code = await first.berth.exit()

    const second = await serveBerth(data)

    expect(code).toBe('SIGKILL')
    expect(await readBlob(second.url, 'hello')).toBe('hello')
    expect(await readBlob(second.url, large)).toBe(large)
  })

  it('has deleted all tags of a manifest when it was killed while it removed them', async () => {
    const data = await temporaryDirectory()
    const first = await serveBerth(data)
    const url = await pushTaggedIndex(first.url, 5_000)
    const deleted = await fetch(url, { method: 'DELETE' })
    first.berth.signal('SIGKILL')
    await first.berth.exit()

    const second = await serveBerth(data)
    const list = await fetch(`${second.url}/v2/team/app/tags/list`)

    expect(deleted.status).toBe(202)
    expect(await list.json()).toEqual({ name: 'team/app', tags: [] })
    await eventually(
      () => countsIn(data),
      ({ tags }) => tags === 0,
    )
    expect(countsIn(data)).toEqual({ tags: 0, made: 5_000, removed: 5_000, history: 10_000 })
  })
})

describe('stopping berth serve', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('by %s ends with 0 and says so', async (signal) => {
    const { berth } = await serveBerth(await temporaryDirectory())

    berth.signal(signal)
    const code = await berth.exit()

    expect(code).toBe(0)
    expect(berth.logLines().slice(-2)).toMatchObject([
      { msg: 'stopping', signal },
      { msg: 'stopped' },
    ])
  })

  it('is not held up by a connection on which nothing happens', async () => {
    const { berth, port, url } = await serveBerth(await temporaryDirectory())
    await fetch(`${url}/v2/`)
    const silent = connectTo(port)
    await once(silent, 'connect')
    const ended = textOf(silent)

    berth.signal('SIGTERM')

    expect(await berth.exit()).toBe(0)
    expect(await ended).toBe('')
  })

  it('lets a request under way end, and answers it', async () => {
    const served = await serveBerth(await temporaryDirectory())
    const { berth, port } = served
    const upload = await beginUpload(served)

    berth.signal('SIGTERM')
    await berth.output('stderr', /"stopping"/)
    await refused(port)
    upload.finish()
    const answer = await upload.answer
    const code = await berth.exit()

    expect(answer).toMatch(/HTTP\/1\.1 201 Created/)
    expect(code).toBe(0)
  })

  it('cuts a request that takes longer than http.shutdownSeconds', async () => {
    const served = await serveBerth(await temporaryDirectory(), [], {
      environment: { BERTH_HTTP_SHUTDOWN_SECONDS: '1' },
    })
    const upload = await beginUpload(served)
    const startedAt = performance.now()

    served.berth.signal('SIGTERM')
    const code = await served.berth.exit()
    const elapsedMs = performance.now() - startedAt

    expect(code).toBe(0)
    expect(elapsedMs).toBeGreaterThan(900)
    expect(elapsedMs).toBeLessThan(10_000)
    expect(await upload.answer).not.toMatch('HTTP/1.1 201')
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second time, by %s, ends it at once', async (signal, expected) => {
    const served = await serveBerth(await temporaryDirectory())
    await beginUpload(served)
    served.berth.signal('SIGTERM')
    await served.berth.output('stderr', /"stopping"/)

    served.berth.signal(signal)

    expect(await served.berth.exit()).toBe(expected)
  })
})

describe('berth serve cannot start', () => {
  /** One sentence for a person: no stack, nothing on standard output. */
  function expectSentence(
    ended: Awaited<ReturnType<typeof runBerthProcess>>,
    pattern: RegExp,
  ): void {
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toMatch(/^berth: [^\n]+\n$/)
    expect(ended.stderr).toMatch(pattern)
  }

  it('on a data directory that another process has, however that is written', async () => {
    const data = await temporaryDirectory()
    const { berth, url } = await serveBerth(data)
    const link = path.join(await temporaryDirectory(), 'link')
    await symlink(data, link)

    const direct = await runBerthProcess(['serve', '--port', '0', '--data', data])
    const byLink = await runBerthProcess(['serve', '--port', '0', '--data', link])

    const inUse = new RegExp(`is in use by another Berth \\(process ${berth.pid}\\)`)
    expectSentence(direct, inUse)
    expectSentence(byLink, inUse)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
  })

  it('on a port that is in use, and then leaves the data directory free', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const data = await temporaryDirectory()

    const ended = await runBerthProcess(['serve', '--port', String(port), '--data', data])

    expectSentence(ended, new RegExp(`port ${port} of 127\\.0\\.0\\.1 is in use.*--port`))
    await expect(serveBerth(data)).resolves.toBeDefined()
  })

  it('on an address that this machine does not have', async () => {
    const data = await temporaryDirectory()

    const ended = await runBerthProcess([
      'serve',
      '--port',
      '0',
      '--data',
      data,
      '--host',
      '192.0.2.1',
    ])

    expectSentence(ended, /cannot listen on port 0 of 192\.0\.2\.1/)
  })

  it('in a data directory that is a file, or below one', async () => {
    const file = path.join(await temporaryDirectory(), 'file')
    await writeFile(file, '')

    const inFile = await runBerthProcess(['serve', '--port', '0', '--data', file])
    const belowFile = await runBerthProcess([
      'serve',
      '--port',
      '0',
      '--data',
      path.join(file, 'data'),
    ])

    expectSentence(inFile, new RegExp(`the data directory ${file} cannot be used`))
    expectSentence(belowFile, new RegExp(`the data directory ${file}/data cannot be used`))
  })

  // There a folder that is there says that it is not, to whoever makes one in it.
  it.runIf(process.platform === 'linux')('in a data directory below /proc', async () => {
    const finished = await runBerthProcess(['serve', '--port', '0', '--data', '/proc/berth/data'])

    expectSentence(finished, /the data directory \/proc\/berth\/data cannot be used/)
  })

  it.each([
    ['berth.lock', /the data directory .* cannot be used: /],
    ['berth.pid', /the data directory .* cannot be used: /],
    ['berth.db', /the database .*berth\.db cannot be used: /],
  ])('in a data directory where something is in the way of %s', async (name, pattern) => {
    const data = await temporaryDirectory()
    await mkdir(path.join(data, name))

    const ended = await runBerthProcess(['serve', '--port', '0', '--data', data])

    expectSentence(ended, pattern)
  })

  it('in a data directory where a file is in the way of the blobs', async () => {
    const data = await temporaryDirectory()
    await writeFile(path.join(data, 'blobs'), '')

    const ended = await runBerthProcess(['serve', '--port', '0', '--data', data])

    expectSentence(ended, /blobs/)
  })

  it('with a database that is damaged, and does not touch it', async () => {
    const data = await temporaryDirectory()
    const garbage = 'this is no database '.repeat(500)
    await writeFile(path.join(data, 'berth.db'), garbage)

    const ended = await runBerthProcess(['serve', '--port', '0', '--data', data])

    expectSentence(ended, /berth\.db cannot be used: file is not a database/)
    expect(await readFile(path.join(data, 'berth.db'), 'utf8')).toBe(garbage)
  })

  it('with a wrong configuration, and makes nothing', async () => {
    const cwd = await temporaryDirectory()

    const ended = await runBerthProcess(['serve', '--port', 'http'], { cwd })

    expectSentence(ended, /http\.port must be integer/)
    expect(await readdir(cwd)).toEqual([])
  })
})

describe('the log of berth serve', () => {
  it.each(['true', 'false'])(
    'counts all bytes that were sent, with sendfile %s',
    async (sendfile) => {
      const { berth, url } = await serveBerth(await temporaryDirectory(), [], {
        environment: { BERTH_STORAGE_SENDFILE: sendfile },
      })
      const bytes = bytesOf(5_000_000)
      const blob = `${url}/v2/team/app/blobs/${sha256(bytes)}`
      await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${sha256(bytes)}`, {
        method: 'POST',
        body: bytes,
      })

      await (await fetch(blob)).arrayBuffer()
      await (await fetch(`${url}/v2/`)).arrayBuffer()
      berth.signal('SIGTERM')
      await berth.exit()

      const [, whole, base] = berth.logLines().filter(({ msg }) => msg === 'request')
      expect(whole?.['bytes']).toBeGreaterThan(bytes.length)
      expect(whole?.['bytes']).toBeLessThan(bytes.length + 2_000)
      expect(base?.['bytes']).toBeLessThan(2_000)
    },
  )

  it('has one line a request, and nothing in it that could be a secret', async () => {
    const { berth, url } = await serveBerth(await temporaryDirectory())
    const headers = { authorization: 'Basic c2VjcmV0OnNlY3JldA==', cookie: 'session=secret-cookie' }
    const push = `/v2/team/app/blobs/uploads/?digest=${sha256('hello')}&token=secret-query`

    const pushed = await fetch(url + push, { method: 'POST', body: 'hello', headers })
    await fetch(`${url}/v2/team/app/blobs/${sha256('hello')}?token=secret-query`, { headers })
    await fetch(`${url}/v2/team/app/manifests/none`, { headers })
    await fetch(`${url}/nowhere/secret-path?token=secret-query`, { headers })
    await fetch(`${url}/healthz`)
    berth.signal('SIGTERM')
    await berth.exit()

    const requests = berth.logLines().filter(({ msg }) => msg === 'request')
    expect(requests).toMatchObject([
      { method: 'POST', route: '/v2/:name/blobs/uploads/', repository: 'team/app', status: 201 },
      { method: 'GET', route: '/v2/:name/blobs/:digest', repository: 'team/app', status: 200 },
      {
        method: 'GET',
        route: '/v2/:name/manifests/:reference',
        repository: 'team/app',
        status: 404,
      },
      { method: 'GET', route: 'none', status: 404 },
      { method: 'GET', route: '/healthz', status: 200 },
    ])
    for (const line of requests) {
      expect(line).toMatchObject({
        level: 30,
        bytes: expect.any(Number) as number,
        bytesReceived: expect.any(Number) as number,
        durationMs: expect.any(Number) as number,
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        remoteAddress: '127.0.0.1',
      })
      expect(line['bytes']).toBeGreaterThan(0)
      expect(line).not.toHaveProperty('aborted')
    }
    for (const line of requests.slice(0, 3)) expect(line['identity']).toBe('anonymous')
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(requests.length)
    expect(requests[0]?.['requestId']).toBe(pushed.headers.get('x-request-id'))
    expect(berth.stderr).not.toMatch(/secret|c2VjcmV0|authorization|digest=/i)
  })

  it('says of a request whose client went away that it did', async () => {
    const served = await serveBerth(await temporaryDirectory())
    const { berth, port } = served
    const socket = connectTo(port)
    socket.write('POST /v2/a/blobs/uploads/?digest=')
    socket.write(`${sha256('x')} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n`)
    socket.write('Content-Length: 500000\r\n\r\n')
    await once(socket, 'data')

    socket.destroy()
    await berth.output('stderr', /"request"/)

    const [line] = berth.logLines().filter(({ msg }) => msg === 'request')
    expect(line).toMatchObject({ method: 'POST', repository: 'a', aborted: true })
    expect(line).not.toHaveProperty('status')
  })

  it('has a repository where the request is about one, and not the names of others', async () => {
    const { berth, url } = await serveBerth(await temporaryDirectory())

    await fetch(`${url}/api/v1/users/ada`)
    await fetch(`${url}/api/v1/repositories/team%2Fapp`)
    berth.signal('SIGTERM')
    await berth.exit()

    const requests = berth.logLines().filter(({ msg }) => msg === 'request')
    expect(requests.map(({ repository }) => repository)).toEqual([undefined, 'team/app'])
  })

  it.each([
    ['warn', 0],
    ['silent', 0],
    ['info', 1],
  ])('at level %s has %i lines for a request', async (level, count) => {
    const { berth, url } = await serveBerth(await temporaryDirectory(), [], {
      environment: { BERTH_LOG_LEVEL: level },
    })

    await fetch(`${url}/v2/`)
    berth.signal('SIGTERM')
    await berth.exit()

    expect(berth.logLines().filter(({ msg }) => msg === 'request')).toHaveLength(count)
  })

  it('may be for people instead of machines', async () => {
    const { berth, url } = await serveBerth(await temporaryDirectory(), [], {
      environment: { BERTH_LOG_FORMAT: 'pretty' },
    })

    await fetch(`${url}/v2/`)
    await berth.output('stderr', /INFO.*: request\n/)

    expect(berth.stderr).not.toMatch(/^\{/m)
  })
})

/** Waits until nobody accepts connections any more. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const socket = connectTo(port)
    const isConnected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (!isConnected) return
  }
}
