import { RegistryError } from '../errors.js'
import type { StoredManifest } from '../metadata/manifests.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Viewer } from '../metadata/viewers.js'
import { isDigest, type Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'
import type { Blobs } from './blobs.js'

export interface SearchResult {
  readonly name: RepositoryName
  readonly description: string
}

/** Where images say what they are, the standard's key first. */
const DESCRIPTION_KEYS = [
  'org.opencontainers.image.description',
  'org.label-schema.description',
  'description',
  'org.opencontainers.image.title',
]

/** A config beyond this is not read for the sake of a description. */
const configBytesMax = 1024 * 1024

const descriptionLengthMax = 500

type JsonObject = Readonly<Record<string, unknown>>

/** Repositories by a part of their name, each with what people, or else its newest tag, say of it. */
export class Search {
  readonly #metadata: MetadataStore
  readonly #blobs: Blobs

  constructor(metadata: MetadataStore, blobs: Blobs) {
    this.#metadata = metadata
    this.#blobs = blobs
  }

  /** @param viewer - whose eyes it is for; everybody's when absent */
  async find(term: string, limit: number, viewer?: Viewer): Promise<SearchResult[]> {
    const names = await this.#metadata.searchRepositories(term, limit, viewer)
    return Promise.all(
      names.map(async (name) => ({ name, description: await this.#description(name) })),
    )
  }

  async #description(repository: RepositoryName): Promise<string> {
    const said = (await orAbsent(this.#metadata.getRepositoryRecord(repository)))?.description ?? ''
    if (said !== '') return said.replace(/\s+/g, ' ').trim().slice(0, descriptionLengthMax)
    const newest = await this.#metadata.findNewestManifest(repository)
    if (newest === undefined) return ''
    const text =
      (await this.#describe(repository, newest)) ??
      (await this.#describeFirstChild(repository, newest)) ??
      ''
    return text.slice(0, descriptionLengthMax)
  }

  /** From a manifest's annotations, else from its config's labels. */
  async #describe(
    repository: RepositoryName,
    manifest: StoredManifest,
  ): Promise<string | undefined> {
    const document = parseObject(manifest.bytes)
    const said = descriptionIn(document['annotations'])
    if (said !== undefined) return said
    const config = digestIn(document['config'])
    return config && (await this.#describeByLabels(repository, config))
  }

  async #describeFirstChild(
    repository: RepositoryName,
    index: StoredManifest,
  ): Promise<string | undefined> {
    const children = parseObject(index.bytes)['manifests']
    const digest = Array.isArray(children) ? digestIn(children[0]) : undefined
    if (digest === undefined) return undefined
    const child = await orAbsent(this.#metadata.getManifest(repository, { digest }))
    return child && (await this.#describe(repository, child))
  }

  async #describeByLabels(repository: RepositoryName, config: Digest): Promise<string | undefined> {
    const blob = await orAbsent(this.#blobs.get(repository, config))
    if (blob === undefined || blob.sizeBytes > configBytesMax) return undefined
    const bytes = await orAbsent(this.#blobs.readWhole(blob))
    if (bytes === undefined) return undefined
    const settings = parseObject(bytes)['config']
    return isObject(settings) ? descriptionIn(settings['Labels']) : undefined
  }
}

function descriptionIn(texts: unknown): string | undefined {
  if (!isObject(texts)) return undefined
  for (const key of DESCRIPTION_KEYS) {
    const text = texts[key]
    if (typeof text === 'string' && text.trim() !== '') return text.replace(/\s+/g, ' ').trim()
  }
  return undefined
}

function digestIn(descriptor: unknown): Digest | undefined {
  const digest = isObject(descriptor) ? descriptor['digest'] : undefined
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined
}

/** Anybody may have pushed anything as a config: what is not a JSON object says nothing. */
function parseObject(bytes: Buffer): JsonObject {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof RegistryError && error.statusCode === 404) return undefined
    throw error
  }
}
