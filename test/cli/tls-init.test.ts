import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { isIP, type AddressInfo } from 'node:net'
import path from 'node:path'
import { checkServerIdentity, connect, createServer } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { runBerth } from '../support/command.js'

const dayMs = 24 * 60 * 60 * 1000

async function readAll(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder)
  const texts = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8')))
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? '']))
}

/** Why a client that trusts the CA does not talk to a server with this certificate; undefined when it does. */
async function refusalOf(folder: string, host: string): Promise<string | undefined> {
  const files = await readAll(folder)
  const server = createServer({ cert: files['server.crt'], key: files['server.key'] })
  onTestFinished(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({
    ...{ port, host: '127.0.0.1', ca: files['ca.crt'] },
    ...(isIP(host) === 0 && { servername: host }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
  })
  onTestFinished(() => void client.destroy())
  return once(client, 'secureConnect').then(
    () => undefined,
    (error: Error) => error.message,
  )
}

describe('berth tls init', () => {
  it('makes a certificate that clients take for each of its hosts, once they trust its CA', async () => {
    const folder = path.join(await temporaryDirectory(), 'a', 'tls')

    const { code, stdout, stderr } = await runBerth([
      ...['tls', 'init', '--out', folder],
      ...['Registry.Example.com', '*.example.org', '192.0.2.7', '2001:db8::7'],
    ])

    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(JSON.stringify(path.join(folder, 'server.crt')))
    for (const host of [
      ...['registry.example.com', 'any.example.org', '192.0.2.7', '2001:db8::7'],
      ...['localhost', '127.0.0.1', '::1'],
    ]) {
      expect([host, await refusalOf(folder, host)]).toEqual([host, undefined])
    }
    expect(await refusalOf(folder, 'elsewhere.example.com')).toMatch(/altnames/)
  })

  it('lets nobody else read the keys, and has both certificates end in time', async () => {
    const folder = await temporaryDirectory()

    await runBerth(['tls', 'init', 'registry', '--out', folder])

    const modes = await Promise.all(
      ['ca.key', 'server.key'].map(
        async (name) => (await stat(path.join(folder, name))).mode & 0o777,
      ),
    )
    const files = await readAll(folder)
    const ca = new X509Certificate(files['ca.crt'] ?? '')
    const leaf = new X509Certificate(files['server.crt'] ?? '')
    expect(modes).toEqual([0o600, 0o600])
    expect(Object.keys(files).sort()).toEqual(['ca.crt', 'ca.key', 'server.crt', 'server.key'])
    expect([ca.ca, leaf.ca]).toEqual([true, false])
    expect(lengthOf(leaf)).toBeLessThanOrEqual(825 * dayMs)
    expect(lengthOf(leaf)).toBeGreaterThan(824 * dayMs)
    expect(lengthOf(ca)).toBeGreaterThan(10 * 365 * dayMs)
  })

  it('puts them into the data directory of the configuration, and names its port', async () => {
    const data = await temporaryDirectory()

    const { stdout } = await runBerth(['tls', 'init', 'registry', '--data', data], {
      environment: { BERTH_HTTP_PORT: '5443' },
    })

    const { 'ca.crt': ca = '' } = await readAll(path.join(data, 'tls'))
    expect(stdout).toContain("curl -fsSk 'https://registry:5443/ca.crt'")
    expect(stdout).toContain(createHash('sha256').update(ca).digest('hex'))
  })

  it.each([
    ['127.0.0.1', '0.0.0.0'],
    ['localhost', '0.0.0.0'],
    ['192.0.2.7', '192.0.2.7'],
  ])(
    'prints settings with which clients elsewhere reach it that listens on %s',
    async (host, then) => {
      const data = await temporaryDirectory()
      const environment = { BERTH_HTTP_HOST: host }

      const { stdout } = await runBerth(['tls', 'init', 'registry', '--data', data], {
        environment,
      })

      const file = path.join(data, 'config.json')
      await writeFile(file, /^\{\n[^]*?^\}\n/m.exec(stdout)?.[0] ?? '')
      expect((await runBerth(['config', 'check', '--config', file])).code).toBe(0)
      const settings = JSON.parse(await readFile(file, 'utf8')) as { http: { host?: string } }
      expect(settings).toMatchObject({
        http: { tls: { mode: 'only', certificateFile: path.join(data, 'tls', 'server.crt') } },
      })
      expect(settings.http.host ?? host).toBe(then)
    },
  )

  it('keeps the CA when it runs again, and makes a new certificate', async () => {
    const folder = await temporaryDirectory()
    await runBerth(['tls', 'init', 'first', '--out', folder])
    const before = await readAll(folder)

    const { code } = await runBerth(['tls', 'init', 'second', '--days', '7', '--out', folder])

    const after = await readAll(folder)
    expect(code).toBe(0)
    expect([after['ca.crt'], after['ca.key']]).toEqual([before['ca.crt'], before['ca.key']])
    expect(after['server.crt']).not.toBe(before['server.crt'])
    expect(after['server.key']).not.toBe(before['server.key'])
    expect(await refusalOf(folder, 'second')).toBeUndefined()
    expect(await refusalOf(folder, 'first')).toMatch(/altnames/)
    expect(lengthOf(new X509Certificate(after['server.crt'] ?? ''))).toBe(7 * dayMs)
  })

  it.each<[string, (folder: string) => Promise<unknown>]>([
    [
      'a CA that it has not made',
      async (folder) =>
        Promise.all([
          writeFile(path.join(folder, 'ca.crt'), 'somebody’s'),
          writeFile(path.join(folder, 'ca.key'), 'somebody’s'),
        ]),
    ],
    ['a CA without its key', (folder) => rm(path.join(folder, 'ca.key'))],
    ['the key of a CA alone', (folder) => rm(path.join(folder, 'ca.crt'))],
    [
      'a server’s certificate in the place of the CA’s',
      (folder) =>
        Promise.all([
          copyFile(path.join(folder, 'server.crt'), path.join(folder, 'ca.crt')),
          copyFile(path.join(folder, 'server.key'), path.join(folder, 'ca.key')),
        ]),
    ],
    [
      'a certificate of another CA',
      async (folder) => {
        const other = await temporaryDirectory()
        await runBerth(['tls', 'init', 'registry', '--out', other])
        await copyFile(path.join(other, 'server.crt'), path.join(folder, 'server.crt'))
      },
    ],
    [
      'a certificate without its CA',
      (folder) => Promise.all([rm(path.join(folder, 'ca.crt')), rm(path.join(folder, 'ca.key'))]),
    ],
    ['a key without its certificate', (folder) => rm(path.join(folder, 'server.crt'))],
  ])('changes nothing where there is %s, and says so', async (_what, spoil) => {
    const folder = await temporaryDirectory()
    await runBerth(['tls', 'init', 'registry', '--out', folder])
    await spoil(folder)
    const before = await readAll(folder)

    const { code, stdout, stderr } = await runBerth(['tls', 'init', 'registry', '--out', folder])

    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^berth: .*\n$/)
    expect(stderr).toContain(folder)
    expect(await readAll(folder)).toEqual(before)
  })

  it('goes on after it was killed between the certificate and its key', async () => {
    const folder = await temporaryDirectory()
    await runBerth(['tls', 'init', 'registry', '--out', folder])
    await rm(path.join(folder, 'server.key'))

    const { code } = await runBerth(['tls', 'init', 'registry', '--out', folder])

    expect(code).toBe(0)
    expect(await refusalOf(folder, 'registry')).toBeUndefined()
  })

  it('says so when it cannot write there', async () => {
    const file = path.join(await temporaryDirectory(), 'file')
    await writeFile(file, '')

    const { code, stderr } = await runBerth(['tls', 'init', 'registry', '--out', file])

    expect(code).toBe(1)
    expect(stderr).toMatch(/^berth: no certificate can be made in .*file: E/)
  })

  it.each([
    [[], 'HOST is missing'],
    [['registry:5000'], 'HOST is a name or an address'],
    [['https://registry'], 'HOST is a name or an address'],
    [['a b'], 'HOST is a name or an address'],
    [['-a'], "Unknown option '-a'"],
    [['a..b'], 'HOST is a name or an address'],
    [['300.1.1.1'], 'HOST is a name or an address'],
    [['[::1]'], 'HOST is a name or an address'],
    [['*'], 'HOST is a name or an address'],
    [['a*.example.com'], 'HOST is a name or an address'],
    [['x'.repeat(64)], 'HOST is a name or an address'],
    [[''], 'HOST is a name or an address'],
    [['registry', '--days', '0'], '--days must be'],
    [['registry', '--days', '826'], '--days must be'],
    [['registry', '--days', '1.5'], '--days must be'],
  ])('is called wrongly with %j, and makes nothing', async (args, message) => {
    const folder = path.join(await temporaryDirectory(), 'tls')

    const { code, stderr } = await runBerth(['tls', 'init', '--out', folder, ...args])

    expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
    await expect(stat(folder)).rejects.toThrow('ENOENT')
  })

  it('takes a name with other letters as clients ask for it', async () => {
    const folder = await temporaryDirectory()

    await runBerth(['tls', 'init', 'Bücher.example', '--out', folder])

    expect(await refusalOf(folder, 'xn--bcher-kva.example')).toBeUndefined()
  })
})

function lengthOf({ validFrom, validTo }: X509Certificate): number {
  return Date.parse(validTo) - Date.parse(validFrom)
}
