import { sha256 } from '../../support/images.js'
import { HttpClient, type Answer } from './http-client.js'
import { blobKey, HERE, manifestKey, tagKey, type Ledger, type Value } from './ledger.js'

export interface Inspection {
  /** What each key stands for. */
  readonly found: ReadonlyMap<string, Value>
  /** What should not be as it is, a sentence each. */
  readonly problems: readonly string[]
}

interface Described {
  readonly digest: string
}

interface Document {
  readonly config?: Described
  readonly layers?: readonly Described[]
  readonly manifests?: readonly Described[]
  readonly subject?: Described
}

export interface InspectionOptions {
  /** Which keys; all of the ledger when absent. */
  readonly keys?: readonly string[]
  /** What each may stand for; what the ledger says when absent. */
  readonly possible?: (key: string) => ReadonlySet<Value>
}

const requestsAtOnce = 4

/**
 * Reads what the keys of a ledger stand for, byte for byte, and looks whether that may be, whether
 * every manifest has what it needs, and whether the lists say the same.
 */
export async function inspect(
  url: string,
  ledger: Ledger,
  { keys = ledger.keys, possible = (key) => ledger.possible(key) }: InspectionOptions = {},
): Promise<Inspection> {
  const http = new HttpClient(url, { connectionsMax: requestsAtOnce })
  try {
    const reader = new Reader(http)
    await Promise.all(keys.map((key) => reader.read(key)))
    for (const key of keys) {
      const allowed = possible(key)
      const value = reader.found.get(key)
      if (!allowed.has(value)) {
        reader.problems.push(`${key} is ${value}, and may be ${[...allowed].join(' or ')}`)
      }
    }
    await reader.followManifests()
    await reader.compareReferrers()
    await reader.compareLists(keys)
    return reader
  } finally {
    http.close()
  }
}

/** {@link inspect}, for who can do nothing with a problem; then the ledger starts from there. */
export async function requireInOrder(
  url: string,
  ledger: Ledger,
  options: InspectionOptions = {},
): Promise<void> {
  const { found, problems } = await inspect(url, ledger, options)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  ledger.settle(found)
}

class Reader implements Inspection {
  readonly #http: HttpClient
  readonly found = new Map<string, Value>()
  readonly problems: string[] = []
  /** What manifests need, by key: who needs it. */
  readonly #needed = new Map<string, string>()
  /** The path of a list of referrers, and a digest that has to be in it. */
  readonly #referrers: (readonly [path: string, digest: string])[] = []

  constructor(http: HttpClient) {
    this.#http = http
  }

  async read(key: string): Promise<void> {
    const [name = '', kind = '', reference = ''] = key.split(' ')
    const isBlob = kind === 'blob'
    const answer = await this.#get(`/v2/${name}/${isBlob ? 'blobs' : 'manifests'}/${reference}`)
    if (answer.status !== 200) {
      this.found.set(key, undefined)
      if (answer.status !== 404) this.problems.push(`${key} is answered with ${answer.status}`)
      return
    }
    const digest = sha256(answer.body)
    const claimed = kind === 'tag' ? answer.headers['docker-content-digest'] : reference
    if (digest !== claimed) this.problems.push(`${key} has the bytes of ${digest}`)
    this.found.set(key, kind === 'tag' ? digest : HERE)
    if (!isBlob) this.#note(key, name, digest, answer.body)
  }

  /** Reads what the manifests need that has not been read yet. */
  async followManifests(): Promise<void> {
    for (const [key, by] of this.#needed) {
      // Children of indexes add to it on the way.
      if (!this.found.has(key)) await this.read(key)
      if (this.found.get(key) === undefined) this.problems.push(`${by} needs ${key}`)
    }
  }

  /** The lists of tags name those that were read, and no others. */
  async compareLists(keys: readonly string[]): Promise<void> {
    const names = new Set(keys.map((key) => key.split(' ')[0] ?? ''))
    for (const name of names) {
      const listed = new Set(await this.#listTags(name))
      for (const [key, value] of this.found) {
        const prefix = tagKey(name, '')
        if (!key.startsWith(prefix)) continue
        const isListed = listed.has(key.slice(prefix.length))
        if (isListed !== (value !== undefined)) this.problems.push(`${key} is ${value} in a list`)
      }
    }
  }

  /** What has a subject is in the list of what refers to that. */
  async compareReferrers(): Promise<void> {
    for (const [path, digest] of this.#referrers) {
      const { status, body } = await this.#get(path)
      if (status !== 200 || !body.includes(digest)) this.problems.push(`${path} has no ${digest}`)
    }
  }

  #note(key: string, name: string, digest: string, bytes: Buffer): void {
    const document = JSON.parse(bytes.toString()) as Document
    const { config, layers = [], manifests = [], subject } = document
    if (subject) this.#referrers.push([`/v2/${name}/referrers/${subject.digest}`, digest])
    for (const blob of config ? [config, ...layers] : layers) {
      this.#needed.set(blobKey(name, blob.digest), key)
    }
    for (const child of manifests) this.#needed.set(manifestKey(name, child.digest), key)
  }

  async #listTags(name: string): Promise<string[]> {
    const answer = await this.#get(`/v2/${name}/tags/list`)
    if (answer.status === 404) return []
    if (answer.status !== 200) this.problems.push(`the tags of ${name}: ${answer.status}`)
    return (JSON.parse(answer.body.toString()) as { tags?: string[] }).tags ?? []
  }

  #get(path: string): Promise<Answer> {
    return this.#http.send('GET', path)
  }
}
