import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  ConfigError,
  environmentName,
  loadConfig,
  type Config,
  type ConfigSources,
} from '../../src/config.js'
import { settingsIn } from '../support/config.js'
import { temporaryDirectory } from '../support/directories.js'

/** What a configuration file of these bytes makes, with nothing around it. */
async function loadFile(
  content: string | Buffer | object,
  others: Partial<ConfigSources> = {},
): Promise<Config> {
  const file = path.join(await temporaryDirectory(), 'berth.json')
  const isText = typeof content === 'string' || Buffer.isBuffer(content)
  await writeFile(file, isText ? content : JSON.stringify(content))
  return loadConfig({ environment: {}, ...others, file })
}

function loadEnvironment(environment: ConfigSources['environment']): Config {
  return loadConfig({ environment })
}

async function problemsOf(load: () => Config | Promise<Config>): Promise<readonly string[]> {
  try {
    await load()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('a configuration without any settings', () => {
  it('is a registry for everybody on this machine', () => {
    const config = loadEnvironment({})

    expect(config).toEqual({
      dataDirectory: './data',
      http: {
        host: '127.0.0.1',
        port: 5000,
        idleSeconds: 300,
        connectionsMax: 10_000,
        connectionsPerAddressMax: 5000,
        headerBytesMax: 65_536,
        headersSeconds: 60,
        minBytesPerSecond: 100,
        slowSeconds: 300,
        shutdownSeconds: 30,
        publicUrl: '',
        trustedProxies: [],
        rateLimit: { requestsPerMinute: 0, burst: 300 },
        tls: {
          mode: 'off',
          certificateFile: '',
          keyFile: '',
          caFile: '',
          clientCertificates: 'none',
          clientCaFile: '',
        },
      },
      access: { mode: 'open', tokenSeconds: 300, refreshDays: 90 },
      storage: {
        inlineBytesMax: 65_536,
        sendfile: true,
        accelRedirect: '',
        verifyReads: false,
        reserveBytes: 268_435_456,
      },
      uploads: { expireSeconds: 86_400, sessionsMax: 10_000 },
      manifests: { bytesMax: 4_194_304, indexChildren: 'required', indexPlatforms: [] },
      deletes: { enabled: true, referencedBlobs: 'refuse' },
      leases: { seconds: 86_400 },
      undo: { days: 7 },
      history: { days: 365 },
      gc: {
        enabled: true,
        everySeconds: 60,
        sliceMs: 5,
        brakePercent: 25,
        untagged: [{ repositories: '**', collectAfterDays: 30 }],
      },
      tags: { immutable: [], protected: [] },
      retention: { everyHours: 24, rules: [] },
      quotas: [],
      verify: { everyDays: 30, bytesPerSecond: 64 * 1024 * 1024 },
      audit: { days: 90, pulls: false, file: '' },
      log: { level: 'info', format: 'auto' },
    })
  })

  it('is the same whether the file is absent or empty of settings', async () => {
    const config = await loadFile({})

    expect(config).toEqual(loadEnvironment({}))
  })

  it('cannot be changed, at any depth', () => {
    const config = loadEnvironment({}) as unknown as Record<string, Record<string, unknown>>

    expect(() => (config['http'] = {})).toThrow(TypeError)
    expect(() => ((config['http'] ?? {})['port'] = 1)).toThrow(TypeError)
    expect(Object.isFrozen(config['manifests']?.['indexPlatforms'])).toBe(true)
  })
})

describe('settings from a file', () => {
  it('leave the others at their defaults', async () => {
    const config = await loadFile({ http: { port: 8080 }, undo: { days: 0 } })

    expect(config.http).toEqual({ ...loadEnvironment({}).http, port: 8080 })
    expect(config.undo).toEqual({ days: 0 })
    expect(config.log).toEqual(loadEnvironment({}).log)
  })

  it('may say where their schema is, which is no setting', async () => {
    const config = await loadFile({ $schema: './config.schema.json' })

    expect(config).not.toHaveProperty('$schema')
  })

  it.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['is cut short', '{"http":'],
    ['has comments', '{} // mine'],
    ['has a byte order mark', '\ufeff{}'],
    ['is not UTF-8', Buffer.of(0x7b, 0xff, 0x7d)],
    ['says a key twice', '{"http":{"port":1},"http":{"port":2}}'],
    ['says a key twice in a group', '{"http":{"port":1,"\\u0070ort":2}}'],
    ['is a list', '[]'],
    ['is null', 'null'],
  ])('are refused when the file %s, with its name and the reason', async (_, content) => {
    const directory = await temporaryDirectory()
    const file = path.join(directory, 'mine.json')
    if (content !== undefined) await writeFile(file, content)

    const problems = await problemsOf(() => loadConfig({ environment: {}, file }))

    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^The configuration file .*mine\.json .*\.$/)
  })

  it('are refused when the file is a folder', async () => {
    const file = await temporaryDirectory()

    const problems = await problemsOf(() => loadConfig({ environment: {}, file }))

    expect(problems).toEqual([expect.stringContaining(file)])
  })
})

describe('settings from the environment', () => {
  it.each(settingsIn(loadConfig({ environment: {} })))('can be each of them: %s', (key, value) => {
    const other = otherThan(key, value)

    const config = loadEnvironment({
      // It has a meaning only together with this one.
      ...(key === 'manifests.indexPlatforms' && { BERTH_MANIFESTS_INDEX_CHILDREN: 'listed' }),
      ...(other === 'listed' && { BERTH_MANIFESTS_INDEX_PLATFORMS: 'linux/amd64' }),
      ...(key.startsWith('http.tls.client') && tlsForClients),
      ...(key === 'http.tls.mode' && tlsFiles),
      [environmentName(key.split('.'))]: textOf(other),
    })

    expect(Object.fromEntries(settingsIn(config))[key]).toEqual(other)
    expect(other).not.toEqual(value)
  })

  it.each([
    [['http', 'port'], 'BERTH_HTTP_PORT'],
    [['dataDirectory'], 'BERTH_DATA_DIRECTORY'],
    [['storage', 'inlineBytesMax'], 'BERTH_STORAGE_INLINE_BYTES_MAX'],
  ])('are named after their key: %j is %s', (keyPath, name) => {
    expect(environmentName(keyPath)).toBe(name)
  })

  it('beat those of the file, one by one', async () => {
    const config = await loadFile(
      { http: { port: 1, host: 'from-file' } },
      { environment: { BERTH_HTTP_PORT: '2' } },
    )

    expect(config.http).toMatchObject({ port: 2, host: 'from-file' })
  })

  it('may be lists, with commas between', () => {
    const config = loadEnvironment({
      BERTH_MANIFESTS_INDEX_CHILDREN: 'listed',
      BERTH_MANIFESTS_INDEX_PLATFORMS: 'linux/amd64, linux/arm64',
    })

    expect(config.manifests.indexPlatforms).toEqual(['linux/amd64', 'linux/arm64'])
  })

  it('may empty a list', async () => {
    const config = await loadFile(
      { manifests: { indexPlatforms: ['linux/amd64'] } },
      { environment: { BERTH_MANIFESTS_INDEX_PLATFORMS: '' } },
    )

    expect(config.manifests.indexPlatforms).toEqual([])
  })

  it('do not count when they are undefined, or are not ours', () => {
    const config = loadEnvironment({
      BERTH_HTTP_PORT: undefined,
      HTTP_PORT: '1',
      BERTHA_HTTP_PORT: '1',
      PATH: '/bin',
    })

    expect(config).toEqual(loadEnvironment({}))
  })

  it('do not stumble over what Kubernetes sets beside a service that is called berth', () => {
    const config = loadEnvironment({
      BERTH_PORT: 'tcp://10.0.0.1:5000',
      BERTH_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      BERTH_PORT_5000_TCP_ADDR: '10.0.0.1',
      BERTH_SERVICE_HOST: '10.0.0.1',
      BERTH_SERVICE_PORT: '5000',
      BERTH_SERVICE_PORT_HTTP: '5000',
      // Beside one that is called berth-http.
      BERTH_HTTP_PORT: 'tcp://10.0.0.1:5000',
    })

    expect(config).toEqual(loadEnvironment({}))
  })

  it('may name the file, which is no setting', () => {
    expect(loadEnvironment({ BERTH_CONFIG: '/nowhere' })).toEqual(loadEnvironment({}))
  })

  it.each(['BERTH_HTTP', 'BERTH_HTTP_PROT', 'BERTH_', 'BERTH_http_port', 'BERTH_DATADIRECTORY'])(
    'are refused when Berth does not know them: %s',
    async (name) => {
      const problems = await problemsOf(() => loadEnvironment({ [name]: '1' }))

      expect(problems).toEqual([`The environment variable ${name} is not one that Berth knows.`])
    },
  )

  it.each([
    ['BERTH_HTTP_PORT', '80.5', 'http.port'],
    ['BERTH_HTTP_PORT', '0x50', 'http.port'],
    ['BERTH_HTTP_PORT', ' 80', 'http.port'],
    ['BERTH_HTTP_PORT', '', 'http.port'],
    ['BERTH_HTTP_PORT', '65536', 'http.port'],
    ['BERTH_HTTP_PORT', '9'.repeat(400), 'http.port'],
    ['BERTH_DELETES_ENABLED', 'yes', 'deletes.enabled'],
    ['BERTH_DELETES_ENABLED', '1', 'deletes.enabled'],
    ['BERTH_ACCESS_MODE', 'readonly', 'access.mode'],
    ['BERTH_DATA_DIRECTORY', '', 'dataDirectory'],
  ])('are refused when they mean nothing: %s=%j', async (name, text, key) => {
    const problems = await problemsOf(() => loadEnvironment({ [name]: text }))

    expect(problems).toEqual([expect.stringMatching(new RegExp(`^${key} must .*\\.$`))])
  })
})

describe('settings from flags', () => {
  it('beat the environment, which beats the file', async () => {
    const config = await loadFile(
      { dataDirectory: 'file', http: { port: 1, host: 'file', idleSeconds: 1 } },
      {
        environment: { BERTH_HTTP_PORT: '2', BERTH_HTTP_HOST: 'environment' },
        flags: { port: '3', data: 'flag' },
      },
    )

    expect(config.dataDirectory).toBe('flag')
    expect(config.http).toMatchObject({ port: 3, host: 'environment', idleSeconds: 1 })
  })

  it.each(['', 'http', '-1', '70000', '1e3'])('are refused for a port %j', async (port) => {
    const problems = await problemsOf(() => loadConfig({ environment: {}, flags: { port } }))

    expect(problems).toEqual([expect.stringMatching(/^http\.port must /)])
  })
})

describe('settings that cannot be used', () => {
  it.each([
    [{ prot: 1 }, 'prot is not a setting that Berth knows.'],
    [{ http: { prot: 1 } }, 'http.prot is not a setting that Berth knows.'],
    [{ constructor: {} }, 'constructor is not a setting that Berth knows.'],
    [{ http: 80 }, 'http must be object.'],
    [{ http: null }, 'http must be object.'],
    [{ http: { port: '80' } }, 'http.port must be integer.'],
    [{ http: { port: null } }, 'http.port must be integer.'],
    [{ http: { port: 80.5 } }, 'http.port must be integer.'],
    [{ http: { port: -1 } }, 'http.port must be >= 0.'],
    [{ http: { port: 65_536 } }, 'http.port must be <= 65535.'],
    [{ deletes: { enabled: 'true' } }, 'deletes.enabled must be boolean.'],
    [{ access: { mode: 'closed' } }, 'access.mode must be one of open, readOnly, accounts.'],
    [{ manifests: { bytesMax: 1 } }, 'manifests.bytesMax must be >= 4194304.'],
    [
      { manifests: { indexChildren: 'listed', indexPlatforms: ['linux'] } },
      'manifests.indexPlatforms.0 must look like linux/amd64.',
    ],
    [{ manifests: { indexPlatforms: 'linux/amd64' } }, 'manifests.indexPlatforms must be array.'],
    [
      { tags: { immutable: [{ repositories: '**', tags: 'a/b' }] } },
      'tags.immutable.0.tags must look like v*.',
    ],
    [{ quotas: [{ repositories: '**', bytes: -1 }] }, 'quotas.0.bytes must be >= 0.'],
    [
      { retention: { rules: [{ repositories: '**', keepNewest: 1, tags: [] }] } },
      'retention.rules.0.tags must NOT have fewer than 1 items.',
    ],
    [
      { tags: { immutable: [{ repositories: '**' }] } },
      "tags.immutable.0 must have required property 'tags'.",
    ],
  ])('are told by their key: %j', async (settings, problem) => {
    const problems = await problemsOf(() => loadFile(settings))

    expect(problems).toEqual([problem])
  })

  it.each([
    'berth-blobs',
    '/',
    '//blobs',
    '/blobs//',
    '/../blobs',
    '/a b',
    '/a?b',
    '/a%2fb',
    '/a\n',
    'http://nginx/blobs',
    '/ä',
  ])('are told when files cannot be below %j', async (accelRedirect) => {
    const problems = await problemsOf(() => loadFile({ storage: { accelRedirect } }))

    expect(problems).toEqual(['storage.accelRedirect must look like /berth-blobs.'])
  })

  it.each([
    'https://registry.example.com',
    'https://registry.example.com:5000',
    'http://10.0.0.1:80',
    'https://[2001:db8::1]:8443',
  ])('are taken as what clients call the registry: %s', async (publicUrl) => {
    const config = await loadFile({ http: { publicUrl } })

    expect(config.http.publicUrl).toBe(publicUrl)
  })

  it.each([
    'registry.example.com',
    'ftp://registry.example.com',
    'https://',
    'https://registry.example.com/',
    'https://registry.example.com/v2',
    'https://registry.example.com?a',
    'https://registry.example.com#a',
    'https://user:password@registry.example.com',
    'https://registry.example.com:99999',
    'https://registry.example.com:',
    'https://Registry.example.com',
    'https://[::1',
    'https://a b',
    'https://a\\b',
    'https://a"b',
    'https://a\n',
  ])('are told when clients cannot call the registry %j', async (publicUrl) => {
    const problems = await problemsOf(() => loadFile({ http: { publicUrl } }))

    expect(problems).toEqual([expect.stringMatching(/^http\.publicUrl must .*\.$/)])
  })

  it.each(['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/32', '::ffff:10.0.0.1'])(
    'are taken as a proxy: %s',
    async (network) => {
      const config = await loadFile({ http: { trustedProxies: [network] } })

      expect(config.http.trustedProxies).toEqual([network])
    },
  )

  it.each([
    '',
    'localhost',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '::/129',
    ':::',
    'fe80::1%eth0',
  ])('are told when there can be no proxy at %j', async (network) => {
    const problems = await problemsOf(() => loadFile({ http: { trustedProxies: [network] } }))

    expect(problems).toEqual([expect.stringMatching(/^http\.trustedProxies\.0 .*\.$/)])
  })

  it('are told when a key is one that every object has', async () => {
    const problems = await problemsOf(() => loadFile('{"__proto__":{"http":{"port":1}}}'))

    expect(problems).toEqual(['__proto__ is not a setting that Berth knows.'])
  })

  it.each([
    [
      { manifests: { indexChildren: 'listed' } },
      'manifests.indexPlatforms must name a platform when manifests.indexChildren is listed.',
    ],
    [
      { manifests: { indexPlatforms: ['linux/amd64'] } },
      'manifests.indexPlatforms has a meaning only when manifests.indexChildren is listed.',
    ],
    [
      { manifests: { indexChildren: 'none', indexPlatforms: ['linux/amd64'] } },
      'manifests.indexPlatforms has a meaning only when manifests.indexChildren is listed.',
    ],
    [
      { storage: { verifyReads: true, accelRedirect: '/berth-blobs' } },
      'storage.verifyReads cannot be on where storage.accelRedirect lets nginx send files that nobody has read.',
    ],
    [
      { http: { tls: { mode: 'only' } } },
      'http.tls.certificateFile and http.tls.keyFile must be set when http.tls.mode is only; berth tls init makes both files.',
    ],
    [
      { http: { tls: { mode: 'both', certificateFile: 'a' } } },
      'http.tls.certificateFile and http.tls.keyFile must be set when http.tls.mode is both; berth tls init makes both files.',
    ],
    [
      { http: { tls: { clientCaFile: 'a' } } },
      'http.tls.clientCaFile has a meaning only when http.tls.clientCertificates is optional or required.',
    ],
    [
      { http: { tls: { clientCertificates: 'required', clientCaFile: 'a' } } },
      'http.tls.clientCertificates has a meaning only when http.tls.mode is only or both.',
    ],
    [
      { http: { tls: { ...withTls('only'), clientCertificates: 'optional' } } },
      'http.tls.clientCaFile must be set when http.tls.clientCertificates is optional.',
    ],
    [
      {
        http: { tls: { ...withTls('both'), clientCertificates: 'required', clientCaFile: 'c' } },
      },
      'http.tls.clientCertificates cannot be required when http.tls.mode is both, as clients can speak plain HTTP then.',
    ],
  ])('are told when they contradict each other: %j', async (settings, problem) => {
    const problems = await problemsOf(() => loadFile(settings))

    expect(problems).toEqual([problem])
  })

  const auditedTo = (file: string) =>
    problemsOf(() => loadFile({ dataDirectory: '/srv/berth', audit: { file } }))

  it.each(['/srv/berth/berth.db', '/srv/berth/blobs/sha256/x', '/srv/berth/x/../berth.lock'])(
    'name no file of the registry itself for its audit trail: %s',
    async (file) => {
      expect(await auditedTo(file)).toEqual([
        `audit.file must not be one of the registry's own files: ${file}.`,
      ])
    },
  )

  it.each(['/srv/berth/audit.jsonl', '/srv/berth.db', 'berth.db'])(
    'name any other file for its audit trail: %s',
    async (file) => {
      expect(await auditedTo(file)).toEqual([])
    },
  )

  it('have rules for retention select all tags and keep none by pattern unless they say it', async () => {
    const config = await loadFile({ retention: { rules: [{ repositories: 'a', keepNewest: 1 }] } })

    expect(config.retention.rules).toEqual([
      { repositories: 'a', tags: ['**'], keepNewest: 1, keepTags: [] },
    ])
  })

  it('are told when a rule would delete everything without saying so', async () => {
    const load = (rule: object) => () =>
      loadFile({ retention: { rules: [{ repositories: '**', ...rule }] } })

    expect(await problemsOf(load({ keepTags: [] }))).toEqual([
      'retention.rules.0 keeps none of the tags that it is about; where that is meant it says keepNewest: 0.',
    ])
    for (const rule of [
      { keepNewest: 0 },
      { keepYoungerThanDays: 1 },
      { keepPulledWithinDays: 1 },
      { keepTags: ['v*'] },
    ]) {
      expect(await problemsOf(load(rule))).toEqual([])
    }
  })

  it('are told when two quotas are about the same repositories', async () => {
    const quota = { repositories: 'team/**', bytes: 1 }

    const problems = await problemsOf(() =>
      loadFile({ quotas: [{ repositories: '**', bytes: 1 }, quota, quota] }),
    )

    expect(problems).toEqual(['quotas.2 is about team/**, as quotas.1 is already.'])
  })

  it('are all told at once, wherever they come from', async () => {
    const problems = await problemsOf(() =>
      loadFile(
        { prot: 1, http: { idleSeconds: 0 }, access: { mode: 'x' } },
        { environment: { BERTH_X: '1', BERTH_UNDO_DAYS: 'x' }, flags: { port: 'x' } },
      ),
    )

    expect(problems).toHaveLength(6)
    for (const key of [
      'prot',
      'http.idleSeconds',
      'access.mode',
      'BERTH_X',
      'undo.days',
      'http.port',
    ]) {
      expect(problems).toContainEqual(expect.stringContaining(key))
    }
  })

  it('are told one sentence a line', async () => {
    const error = await loadFile({ a: 1, b: 2 }).catch((thrown: unknown) => thrown as Error)

    expect((error as Error).message.split('\n')).toEqual([
      'a is not a setting that Berth knows.',
      'b is not a setting that Berth knows.',
    ])
  })

  it('are told when the environment sets one in a group that the file has as something else', async () => {
    const problems = await problemsOf(() =>
      loadFile({ http: 'x' }, { environment: { BERTH_HTTP_PORT: '1' } }),
    )

    expect(problems).toEqual(['http must be object.'])
  })
})

function withTls(mode: 'only' | 'both') {
  return { mode, certificateFile: 'a', keyFile: 'b' }
}

const tlsFiles = {
  BERTH_HTTP_TLS_CERTIFICATE_FILE: '/tls/server.crt',
  BERTH_HTTP_TLS_KEY_FILE: '/tls/server.key',
}

/** What goes together with each of the settings about certificates of clients. */
const tlsForClients = {
  ...tlsFiles,
  BERTH_HTTP_TLS_MODE: 'only',
  BERTH_HTTP_TLS_CLIENT_CERTIFICATES: 'optional',
  BERTH_HTTP_TLS_CLIENT_CA_FILE: '/tls/clients.crt',
}

/** A value as it is written in an environment variable. */
function textOf(value: unknown): string {
  const isEntries = Array.isArray(value) && value.some((entry) => typeof entry === 'object')
  return isEntries ? JSON.stringify(value) : String(value)
}

/** Another value that the setting can have. */
function otherThan(key: string, value: unknown): unknown {
  const others: Record<string, unknown> = {
    dataDirectory: '/elsewhere',
    'http.host': '0.0.0.0',
    'http.publicUrl': 'https://registry.example.com',
    'http.trustedProxies': ['10.0.0.0/8', '::1'],
    'http.tls.mode': 'only',
    'http.tls.certificateFile': '/elsewhere/server.crt',
    'http.tls.keyFile': '/elsewhere/server.key',
    'http.tls.caFile': '/elsewhere/ca.crt',
    'http.tls.clientCertificates': 'required',
    'http.tls.clientCaFile': '/elsewhere/clients.crt',
    'access.mode': 'readOnly',
    'storage.sendfile': false,
    'storage.accelRedirect': '/elsewhere',
    'storage.verifyReads': true,
    'manifests.indexChildren': 'listed',
    'manifests.indexPlatforms': ['linux/s390x'],
    'deletes.enabled': false,
    'deletes.referencedBlobs': 'allow',
    'gc.enabled': false,
    'gc.untagged': [{ repositories: 'team/**' }],
    quotas: [{ repositories: 'team/**', bytes: 10_000_000_000 }],
    'retention.rules': [{ repositories: 'team/**', tags: ['**'], keepNewest: 3, keepTags: ['v*'] }],
    'tags.immutable': [{ repositories: 'team/**', tags: 'v*' }],
    'tags.protected': [{ repositories: '**', tags: 'latest' }],
    'audit.pulls': true,
    'audit.file': '/var/log/berth/audit.jsonl',
    'log.level': 'debug',
    'log.format': 'json',
  }
  return typeof value === 'number' ? value + 1 : others[key]
}
