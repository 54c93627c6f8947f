import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { isNetwork } from './addresses.js'
import { configSchema, type Config } from './config-schema.js'
import { JsonError, parseJson } from './oci/json.js'
import { BLOBS, QUARANTINE, UPLOADS } from './storage/fs-layout.js'

export type { Config, TlsConfig } from './config-schema.js'

/** Where settings come from; each beats the one before it. */
export interface ConfigSources {
  readonly file?: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly flags?: ConfigFlags
}

/** Settings that commands take as options. */
export interface ConfigFlags {
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly data?: string | undefined
}

/** Settings that cannot be used: one sentence for each, naming the key. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join('\n'), options)
    this.problems = problems
  }
}

/** A part of the schema that has a pattern. */
interface WithExamples {
  readonly examples: readonly string[]
}

type Settings = Record<string, unknown>

interface SchemaNode {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
}

const ENVIRONMENT_PREFIX = 'BERTH_'

/** Names the file instead of a setting; `--config` beats it. */
export const CONFIG_FILE_VARIABLE = 'BERTH_CONFIG'

/** Kubernetes sets these in every container beside a service whose name begins with `berth`. */
const SET_BY_KUBERNETES = /^BERTH_(PORT|PORT_.*|SERVICE_.*)$/
const ADDRESS_BY_KUBERNETES = /^(tcp|udp):\/\//

/**
 * Reads the whole configuration: defaults, file, environment, flags.
 *
 * @throws {@link ConfigError} with everything that is wrong with it, not only the first
 */
export function loadConfig({ file, environment, flags = {} }: ConfigSources): Config {
  const problems: string[] = []
  const settings = file === undefined ? {} : readConfigFile(file)
  applyEnvironment(settings, environment, problems)
  apply(settings, ['http', 'host'], flags.host)
  apply(settings, ['http', 'port'], flags.port === undefined ? undefined : numberOr(flags.port))
  apply(settings, ['dataDirectory'], flags.data)

  const check = compiledCheck()
  if (!check(settings)) problems.push(...(check.errors ?? []).map(sentence))
  if (problems.length === 0) problems.push(...contradictions(settings as unknown as Config))
  if (problems.length > 0) throw new ConfigError([...new Set(problems)])
  delete settings['$schema']
  return freeze(settings) as Config
}

let check: ValidateFunction | undefined

/** Once: it takes longer than what it is for. */
function compiledCheck(): ValidateFunction {
  // Defaults are filled in by it; `strict` would not let an enum stand without a type.
  check ??= new Ajv({
    ...{ allErrors: true, useDefaults: true, strict: false, verbose: true },
    ...{ meta: false, validateSchema: false },
  }).compile(configSchema)
  return check
}

/** The name of the environment variable for a setting: `http.port` → `BERTH_HTTP_PORT`. */
export function environmentName(keyPath: readonly string[]): string {
  const words = keyPath.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`))
  return ENVIRONMENT_PREFIX + words.join('_').toUpperCase()
}

function readConfigFile(file: string): Settings {
  let settings: unknown
  try {
    settings = parseJson(readFileSync(file))
  } catch (error) {
    const reason = error instanceof JsonError ? error.message : 'it cannot be opened'
    throw new ConfigError([`The configuration file ${file} cannot be read: ${reason}.`], {
      cause: error,
    })
  }
  if (!isObject(settings)) {
    throw new ConfigError([`The configuration file ${file} does not hold a JSON object.`])
  }
  return settings
}

function applyEnvironment(
  settings: Settings,
  environment: ConfigSources['environment'],
  problems: string[],
): void {
  const known = new Map(
    leaves(configSchema).map(({ keyPath, node }) => [environmentName(keyPath), { keyPath, node }]),
  )
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || text === undefined) continue
    if (name === CONFIG_FILE_VARIABLE || ADDRESS_BY_KUBERNETES.test(text)) continue
    const setting = known.get(name)
    if (setting) apply(settings, setting.keyPath, valueOf(text, setting.node))
    else if (!SET_BY_KUBERNETES.test(name)) {
      problems.push(`The environment variable ${name} is not one that Berth knows.`)
    }
  }
}

/** The settings themselves, without the objects that group them. */
function leaves(
  node: SchemaNode,
  keyPath: readonly string[] = [],
): { keyPath: readonly string[]; node: SchemaNode }[] {
  if (node.properties === undefined) return [{ keyPath, node }]
  return Object.entries(node.properties)
    .filter(([key]) => key !== '$schema')
    .flatMap(([key, child]) => leaves(child, [...keyPath, key]))
}

/** What a text means for a setting; left as it is where it means nothing, for the check to say. */
function valueOf(text: string, node: SchemaNode): unknown {
  switch (node.type) {
    case 'integer':
      return numberOr(text)
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'array':
      return listOf(text, node)
    default:
      return text
  }
}

/** Names stand with commas between them; entries that have members are written as JSON. */
function listOf(text: string, { items }: SchemaNode): unknown {
  if (items?.type === 'object') {
    try {
      return parseJson(Buffer.from(text))
    } catch {
      return text
    }
  }
  return text === '' ? [] : text.split(',').map((item) => item.trim())
}

function numberOr(text: string): number | string {
  return /^-?\d+$/.test(text) ? Number(text) : text
}

function apply(settings: Settings, keyPath: readonly string[], value: unknown): void {
  if (value === undefined) return
  const [key = '', ...rest] = keyPath
  if (rest.length === 0) {
    settings[key] = value
    return
  }
  settings[key] ??= {}
  const group = settings[key]
  // Where the file has something else in its place, the check says so.
  if (isObject(group)) apply(group, rest, value)
}

function contradictions(config: Config): string[] {
  return [
    ...addressContradictions(config),
    ...tlsContradictions(config),
    ...platformContradictions(config),
    ...storageContradictions(config),
    ...quotaContradictions(config),
    ...retentionContradictions(config),
    ...auditContradictions(config),
  ]
}

/** What a pattern cannot say of a URL and of a network. */
function addressContradictions({ http: { publicUrl, trustedProxies } }: Config): string[] {
  const problems = trustedProxies.flatMap((network, index) =>
    isNetwork(network)
      ? []
      : [`http.trustedProxies.${index} is no address and no network: ${network}.`],
  )
  if (publicUrl !== '' && !isOrigin(publicUrl)) {
    problems.push('http.publicUrl must be http:// or https:// and a host, perhaps with a port.')
  }
  return problems
}

/** As a browser would write it, apart from the port that goes without saying. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, host, port } = new URL(text)
  const usualPort = protocol === 'https:' ? 443 : 80
  return [host, `${host}:${port || usualPort}`].some((name) => text === `${protocol}//${name}`)
}

function tlsContradictions({ http: { tls } }: Config): string[] {
  const { mode, certificateFile, keyFile, clientCertificates, clientCaFile } = tls
  if (mode !== 'off' && (certificateFile === '' || keyFile === '')) {
    return [
      `http.tls.certificateFile and http.tls.keyFile must be set when http.tls.mode is ${mode}; berth tls init makes both files.`,
    ]
  }
  if (clientCertificates === 'none') {
    return clientCaFile === ''
      ? []
      : [
          'http.tls.clientCaFile has a meaning only when http.tls.clientCertificates is optional or required.',
        ]
  }
  if (mode === 'off') {
    return ['http.tls.clientCertificates has a meaning only when http.tls.mode is only or both.']
  }
  if (clientCaFile === '') {
    return [
      `http.tls.clientCaFile must be set when http.tls.clientCertificates is ${clientCertificates}.`,
    ]
  }
  if (mode === 'both' && clientCertificates === 'required') {
    return [
      'http.tls.clientCertificates cannot be required when http.tls.mode is both, as clients can speak plain HTTP then.',
    ]
  }
  return []
}

function platformContradictions({ manifests }: Config): string[] {
  const { indexChildren, indexPlatforms } = manifests
  if (indexChildren === 'listed' && indexPlatforms.length === 0) {
    return ['manifests.indexPlatforms must name a platform when manifests.indexChildren is listed.']
  }
  if (indexChildren !== 'listed' && indexPlatforms.length > 0) {
    return ['manifests.indexPlatforms has a meaning only when manifests.indexChildren is listed.']
  }
  return []
}

function storageContradictions({ storage: { verifyReads, accelRedirect } }: Config): string[] {
  if (!verifyReads || accelRedirect === '') return []
  return [
    'storage.verifyReads cannot be on where storage.accelRedirect lets nginx send files that nobody has read.',
  ]
}

/** What would delete everything has to be said in so many words. */
function retentionContradictions({ retention }: Config): string[] {
  return retention.rules.flatMap((rule, index) => {
    const { keepNewest, keepYoungerThanDays, keepPulledWithinDays, keepTags } = rule
    const keepsNothing =
      keepNewest === undefined &&
      keepYoungerThanDays === undefined &&
      keepPulledWithinDays === undefined &&
      keepTags.length === 0
    return keepsNothing
      ? [
          `retention.rules.${index} keeps none of the tags that it is about; where that is meant it says keepNewest: 0.`,
        ]
      : []
  })
}

function quotaContradictions({ quotas }: Config): string[] {
  const patterns = quotas.map(({ repositories }) => repositories)
  return patterns.flatMap((pattern, index) =>
    patterns.indexOf(pattern) < index
      ? [`quotas.${index} is about ${pattern}, as quotas.${patterns.indexOf(pattern)} is already.`]
      : [],
  )
}

function sentence({ instancePath, keyword, params, message, parentSchema }: ErrorObject): string {
  const key = instancePath.slice(1).replaceAll('/', '.')
  switch (keyword) {
    case 'additionalProperties': {
      const name = String((params as { additionalProperty: string }).additionalProperty)
      return `${key === '' ? name : `${key}.${name}`} is not a setting that Berth knows.`
    }
    case 'enum': {
      const { allowedValues } = params as { allowedValues: readonly unknown[] }
      return `${key} must be one of ${allowedValues.join(', ')}.`
    }
    case 'pattern':
      return `${key} must look like ${(parentSchema as WithExamples).examples.join(' or ')}.`
    default:
      return `${key === '' ? 'The configuration' : key} ${message ?? 'is not valid'}.`
  }
}

function isObject(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function freeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze)
  return Object.freeze(value)
}

/** Lines in the middle of a database would be the end of it. */
function auditContradictions({ audit: { file }, dataDirectory }: Config): string[] {
  if (file === '') return []
  const [name = ''] = path.relative(dataDirectory, file).split(path.sep)
  if (!name.startsWith('berth.') && ![BLOBS, UPLOADS, QUARANTINE].includes(name)) return []
  return [`audit.file must not be one of the registry's own files: ${file}.`]
}
