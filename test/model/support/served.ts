import { RegistryError } from '../../../src/errors.js'
import type { Digest } from '../../../src/oci/digest.js'
import type { RepositoryName, Tag } from '../../../src/oci/reference.js'
import type { Finding } from '../../../src/registry/verify/findings.js'
import { sha256 } from '../../support/images.js'
import { MANY_TAGS, NAMES, TAGS } from './commands.js'
import { BLOBS, MANIFESTS, nameOf, SUBJECTS } from './contents.js'
import type { Model, Repository } from './model.js'
import type { StoreUnderTest } from './store-under-test.js'

/** Some of the many. */
const SAMPLE_TAGS = [...TAGS, ...MANY_TAGS.flatMap((tags) => tags.slice(0, 1))]

const everything = { limit: 10_000 }

/** What a registry serves, compared with what the model says. */
export class Served {
  readonly #model: Model
  readonly #store: StoreUnderTest

  constructor(model: Model, store: StoreUnderTest) {
    this.#model = model
    this.#store = store
  }

  /** @throws an error that says what is served otherwise */
  async check(): Promise<void> {
    for (const name of NAMES) await this.#checkRepository(name)
    const { entries } = await this.#store.metadata.listRepositories(everything)
    this.#checkCatalog(entries)
    this.#checkSizes()
  }

  /** The same by requests, with the bytes of what is there. */
  async checkOverHttp(): Promise<void> {
    for (const { name, tags, links } of this.#model.repositories.values()) {
      const list = await this.#get<{ tags: string[] }>(`/v2/${name}/tags/list`)
      same(`the tags of ${name}`, list.tags, [...tags.keys()].sort())
      for (const [tag, digest] of tags) {
        const manifest = MANIFESTS.find((content) => content.digest === digest)
        if (SAMPLE_TAGS.includes(tag))
          await this.#requireBytes(`${name}/manifests/${tag}`, manifest)
      }
      for (const digest of links) {
        const blob = await this.#store.metadata.getBlob(repositoryName(name), digest)
        const bytes = await this.#store.registry.blobs.readWhole(blob)
        same(`the bytes of ${nameOf(digest)}`, sha256(bytes), digest)
      }
    }
    const { repositories } = await this.#get<{ repositories: string[] }>('/v2/_catalog')
    this.#checkCatalog(repositories)
  }

  /** The registry finds nothing wrong with itself, but for what somebody has wanted so. */
  async requireVerified(): Promise<void> {
    const { ended } = await this.#store.verification.begin(
      { content: true, repair: false, confirm: false },
      'tester',
    )
    const { status, report } = await ended
    const wrong = report.findings.filter((finding) => !this.#isWanted(finding))
    same('the run', status, 'done')
    same('what was found', wrong, [])
  }

  /** An index whose child was deleted, for one. */
  #isWanted({ kind, repository, digest }: Finding): boolean {
    const manifest = MANIFESTS.find((content) => content.digest === digest)
    if (kind !== 'reference-missing' || repository === undefined || !manifest) return false
    return this.#model.missingFor(repository, manifest).length > 0
  }

  async findTag(name: string, tag: string): Promise<Digest | undefined> {
    return this.#findManifest(name, { tag: tag as Tag })
  }

  async #checkRepository(name: string): Promise<void> {
    const { metadata } = this.#store
    const repository = this.#model.repositories.get(name)
    for (const tag of SAMPLE_TAGS) {
      const is = await this.findTag(name, tag)
      same(`the tag ${tag} of ${name}`, nameOf(is), nameOf(repository?.tags.get(tag)))
      if (repository && TAGS.some((one) => one === tag)) await this.#checkHistory(repository, tag)
    }
    for (const { digest, name: manifest } of MANIFESTS) {
      const is = (await this.#findManifest(name, { digest })) !== undefined
      same(`the manifest ${manifest} in ${name}`, is, repository?.findLive(digest) !== undefined)
    }
    for (const { digest, name: blob } of BLOBS) {
      const is = await isThere(metadata.getBlob(repositoryName(name), digest))
      same(`the blob ${blob} in ${name}`, is, repository?.links.has(digest) === true)
    }
    for (const subject of SUBJECTS) {
      const { entries } = await metadata.listReferrers({
        ...{ repository: repositoryName(name), subject, artifactTypes: [] },
        ...{ limit: 1000, bytesMax: 1_000_000 },
      })
      const is = entries.map(({ digest }) => digest)
      same(`the referrers in ${name}`, is, repository?.referrersOf(subject) ?? [])
    }
    if (repository === undefined) return
    const { entries } = await metadata.listTags(repositoryName(name), everything)
    same(`the tags of ${name}`, entries, [...repository.tags.keys()].sort())
  }

  /** Each change in its order, but for those that may be forgotten. */
  async #checkHistory(repository: Repository, tag: string): Promise<void> {
    const { entries } = await this.#store.metadata.listHistory({
      ...{ repository: repositoryName(repository.name), tag: tag as Tag, limit: 1000 },
    })
    const { forgottenBefore } = this.#model
    const told = (from: Digest | undefined, to: Digest | undefined, at: number) =>
      `${nameOf(from)} → ${nameOf(to)} at ${at}`
    const is = entries
      .filter(({ at }) => at >= forgottenBefore)
      .map(({ from, to, at }) => told(from, to, at))
    const should = (repository.tagHistory.get(tag) ?? [])
      .filter(({ at }) => at >= forgottenBefore)
      .map(({ from, to, at }) => told(from, to, at))
    // The last of it is written when somebody tidies up, or the tag comes back.
    const isLate = [...repository.manifests.values()].some(({ tagsAreLeft }) => tagsAreLeft)
    const expected = should.reverse()
    const known = isLate && is.length < expected.length ? expected.slice(1) : expected
    same(`the history of ${tag} in ${repository.name}`, is, known)
  }

  #checkCatalog(listed: readonly string[]): void {
    for (const name of NAMES) {
      const should = this.#model.repositories.get(name)?.isListed === true
      same(`whether the catalog has ${name}`, listed.includes(name), should)
    }
  }

  #checkSizes(): void {
    const { repositories } = this.#store.state.rows()
    for (const repository of this.#model.allRepositories) {
      const is = repositories.get(repository.id)?.logical_bytes
      same(`the logical bytes of ${repository.name}`, is, repository.logicalBytes)
    }
  }

  async #findManifest(
    name: string,
    reference: { readonly tag: Tag } | { readonly digest: Digest },
  ): Promise<Digest | undefined> {
    try {
      // Past what notes that it was pulled.
      return (await this.#store.metadata.getManifest(repositoryName(name), reference)).digest
    } catch (error) {
      if (error instanceof RegistryError) return undefined
      throw error
    }
  }

  async #get<T>(url: string): Promise<T> {
    const response = await this.#store.app.inject({ method: 'GET', url })
    if (response.statusCode !== 200) throw new Error(`GET ${url}: ${response.body}`)
    return response.json<T>()
  }

  async #requireBytes(path: string, content: { readonly bytes: Buffer } | undefined) {
    const { statusCode, rawPayload } = await this.#store.app.inject(`/v2/${path}`)
    if (statusCode === 200 && content?.bytes.equals(rawPayload)) return
    throw new Error(`GET /v2/${path}: ${statusCode}, ${rawPayload.byteLength} bytes`)
  }
}

async function isThere(question: Promise<unknown>): Promise<boolean> {
  try {
    await question
    return true
  } catch (error) {
    if (error instanceof RegistryError) return false
    throw error
  }
}

function same(what: string, actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== should) throw new Error(`${what} is\n  ${is}, not\n  ${should}`)
}

function repositoryName(name: string): RepositoryName {
  return name as RepositoryName
}
