import { RegistryError } from '../../../src/errors.js'
import type { CollectTerms, ReviewPosition } from '../../../src/metadata/collecting.js'
import type { Digest } from '../../../src/oci/digest.js'
import type { RepositoryName, Tag } from '../../../src/oci/reference.js'
import { ABSENT } from '../../support/images.js'
import { piecesOf } from '../../support/sources.js'
import { Collecting } from './collecting.js'
import type { CollectKind, Command, CommandOf } from './commands.js'
import {
  blobOf,
  findBlobContent,
  findManifestContent,
  manifestOf,
  nameOf,
  type BlobContent,
  type ManifestContent,
} from './contents.js'
import { Model, Repository } from './model.js'
import { Served } from './served.js'
import { settingsOf, type StoreUnderTest } from './store-under-test.js'
import type { StoredRows } from '../../support/stored-state.js'

/** An upload session that a client has opened, with what it is going to send. */
interface Session {
  readonly id: string
  readonly name: RepositoryName
  readonly blob: BlobContent
  sentBytes: number
  progressedAt: number
  isOver: boolean
}

/** A run of the collector that is made step by step. */
interface Steps {
  readonly terms: CollectTerms
  readonly after?: ReviewPosition
}

const identity = 'tester'
const day = 24 * 60 * 60 * 1000
const { signal } = new AbortController()

/** The model and the store, side by side: what is done to one is done to both, and compared. */
export class World {
  readonly #store: StoreUnderTest
  readonly #model: Model
  readonly #collecting: Collecting
  readonly #served: Served
  readonly #sessions: (Session | undefined)[] = []
  #steps: Steps | undefined

  /** @param store - one without content */
  constructor(store: StoreUnderTest) {
    this.#store = store
    this.#model = new Model(settingsOf(store.setup), store.now)
    this.#collecting = new Collecting(this.#model)
    this.#served = new Served(this.#model, store)
  }

  /** @throws an error when the store did something else than the model says */
  async perform(command: Command): Promise<void> {
    switch (command.do) {
      case 'push image':
        return this.#pushImage(
          repositoryName(command.name),
          manifestOf(command.manifest),
          command.tags,
        )
      case 'put manifest': {
        const tags = command.tag === undefined ? [] : [command.tag]
        return this.#putManifest(repositoryName(command.name), manifestOf(command.manifest), tags)
      }
      case 'push blob':
        return this.#pushBlob(repositoryName(command.name), blobOf(command.blob), command.by)
      case 'open upload':
        return this.#openUpload(command)
      case 'append':
        return this.#append(command)
      case 'commit':
        return this.#commit(command)
      case 'cancel':
        return this.#cancel(command)
      case 'mount':
        return this.#mount(command)
      case 'head blob':
        return void (await this.#headBlob(repositoryName(command.name), blobOf(command.blob)))
      case 'head manifest': {
        const { digest } = manifestOf(command.manifest)
        return void (await this.#headManifest(repositoryName(command.name), digest))
      }
      case 'head tag':
        return this.#headTag(command)
      case 'delete tag':
        return this.#deleteTag(command)
      case 'delete manifest':
        return this.#deleteManifest(command)
      case 'delete blob':
        return this.#deleteBlob(command)
      case 'delete repository':
        return this.#deleteRepository(repositoryName(command.name))
      case 'restore tag':
        return this.#restoreTag(command)
      case 'restore manifest':
        return this.#restoreManifest(command)
      case 'restore repository':
        return this.#restoreRepository(command)
      case 'wait':
        return this.#wait(command.ms)
      case 'collect':
        return this.#collect(command.kind)
      case 'collect a step':
        return this.#collectStep(command.kind)
      case 'dry run':
        return this.#dryRun(command.kind)
      case 'retire tags':
        return this.#retireTags()
      case 'keep house':
        return this.#keepHouse()
      case 'forget history':
        return this.#forgetHistory()
      case 'restart':
        return this.#restart()
    }
  }

  /** Compares everything that the store serves, and what lies in its folder. */
  async check(): Promise<void> {
    await this.#served.check()
    const findings = await this.#store.state.findings()
    if (findings.length > 0) throw new Error(findings.join('\n'))
  }

  /** Compares it over HTTP, each byte, and has the registry verify itself. */
  async checkThoroughly(): Promise<void> {
    await this.#served.checkOverHttp()
    await this.#served.requireVerified()
  }

  /**
   * Lets all time pass that anything waits for, first with all there is, then with nothing: whatever
   * is not collected now would never be. Leaves the store without content.
   */
  async drain(): Promise<void> {
    this.#steps = undefined
    this.#wait(60 * day)
    await this.#keepHouse()
    await this.#collect('normal')
    await this.check()
    await this.#freeAsForeseen()
    for (const name of this.#model.repositories.keys()) {
      await this.#deleteRepository(repositoryName(name))
    }
    this.#wait(60 * day)
    await this.#collect('due')
    const remains = [...this.#store.state.remains(), ...(await this.#store.state.findings())]
    if (remains.length > 0) throw new Error(`all was collected, but ${remains.join(', ')}`)
  }

  async #pushImage(
    name: RepositoryName,
    manifest: ManifestContent,
    tags: readonly string[],
  ): Promise<void> {
    // All at once, as clients do.
    await Promise.all(manifest.blobs.map((digest) => this.#bringBlob(name, contentOfBlob(digest))))
    for (const digest of manifest.children) {
      const child = findManifestContent(digest)
      if (child === undefined) await this.#bringBlob(name, contentOfBlob(digest))
      else if (!(await this.#headManifest(name, digest))) await this.#pushImage(name, child, [])
    }
    await this.#putManifest(name, manifest, tags)
  }

  /** As clients do: what is there is not sent. */
  async #bringBlob(name: RepositoryName, blob: BlobContent): Promise<void> {
    if (!(await this.#headBlob(name, blob))) await this.#pushBlob(name, blob, 'post')
  }

  async #putManifest(
    name: RepositoryName,
    content: ManifestContent,
    tags: readonly string[],
  ): Promise<void> {
    const { digest, bytes, mediaType: contentType } = content
    const [tag] = tags
    const reference = tags.length === 1 ? { tag: tag as Tag } : { digest }
    const more = tags.length === 1 ? [] : (tags as Tag[])
    const missing = this.#model.missingFor(name, content)

    const outcome = await outcomeOf(() =>
      this.#store.registry.manifests.put(name, reference, {
        ...{ bytes, contentType, tags: more, identity, mayOverwrite: true },
      }),
    )

    this.#require(outcome, missing.length === 0 ? ['done'] : ['MANIFEST_BLOB_UNKNOWN'])
    if (outcome === 'done') this.#model.putManifest(this.#ensured(name), content, tags)
  }

  async #pushBlob(
    name: RepositoryName,
    { bytes, digest }: BlobContent,
    by: CommandOf<'push blob'>['by'],
  ): Promise<void> {
    const { uploads } = this.#store.registry
    const outcome = await outcomeOf(async () => {
      if (by === 'post') {
        await uploads.putWhole(name, digest, bodyOf(bytes), identity)
        return
      }
      const { id } = await uploads.open(name, 'sha256', identity)
      if (by === 'chunks') {
        const half = Math.ceil(bytes.byteLength / 2)
        await uploads.append(name, id, bodyOf(bytes.subarray(0, half)))
        await uploads.append(name, id, bodyOf(bytes.subarray(half)))
        await uploads.commit(name, id, digest, bodyOf(Buffer.alloc(0)))
      } else await uploads.commit(name, id, digest, bodyOf(bytes))
    })
    this.#require(outcome, ['done'])
    this.#model.giveBlob(this.#ensured(name), digest)
  }

  async #openUpload({ slot, name, blob }: CommandOf<'open upload'>): Promise<void> {
    const before = this.#sessions[slot]
    if (before && !before.isOver) return
    const { id } = await this.#store.registry.uploads.open(repositoryName(name), 'sha256', identity)
    this.#sessions[slot] = {
      ...{ id, name: repositoryName(name), blob: blobOf(blob), sentBytes: 0 },
      ...{ progressedAt: this.#model.now, isOver: false },
    }
  }

  async #append({ slot }: CommandOf<'append'>): Promise<void> {
    const session = this.#sessions[slot]
    if (session === undefined) return
    const { bytes } = session.blob
    const half = Math.ceil(bytes.byteLength / 2)
    const piece = bytes.subarray(session.sentBytes, session.sentBytes + half)
    if (piece.byteLength === 0) return
    const outcome = await outcomeOf(() =>
      this.#store.registry.uploads.append(session.name, session.id, bodyOf(piece)),
    )
    this.#require(outcome, session.isOver ? ['BLOB_UPLOAD_UNKNOWN'] : ['done'])
    session.sentBytes += piece.byteLength
    session.progressedAt = this.#model.now
  }

  async #commit({ slot, digest }: CommandOf<'commit'>): Promise<void> {
    const session = this.#sessions[slot]
    if (session === undefined) return
    const { name, id, blob } = session
    const rest = blob.bytes.subarray(session.sentBytes)
    const claimed = digest === 'right' ? blob.digest : ABSENT
    const outcome = await outcomeOf(() =>
      this.#store.registry.uploads.commit(name, id, claimed, bodyOf(rest)),
    )
    const expected = digest === 'right' ? 'done' : 'DIGEST_INVALID'
    this.#require(outcome, [session.isOver ? 'BLOB_UPLOAD_UNKNOWN' : expected])
    session.isOver = true
    if (outcome === 'done') this.#model.giveBlob(this.#ensured(name), blob.digest)
  }

  async #cancel({ slot }: CommandOf<'cancel'>): Promise<void> {
    const session = this.#sessions[slot]
    if (session === undefined) return
    const outcome = await outcomeOf(() =>
      this.#store.registry.uploads.abort(session.name, session.id),
    )
    this.#require(outcome, [session.isOver ? 'BLOB_UPLOAD_UNKNOWN' : 'done'])
    session.isOver = true
  }

  async #mount({ name, blob, from }: CommandOf<'mount'>): Promise<void> {
    const { digest } = blobOf(blob)
    const model = this.#model
    const isThere =
      from === undefined
        ? [...model.repositories.values()].some(({ links }) => links.has(digest))
        : model.hasBlob(from, digest)
    // Whether a deleted repository gives what it had to whoever does not say where from is open.
    const isOpen = from === undefined && model.deleted.some(({ links }) => links.has(digest))

    const isMounted = await this.#store.registry.blobs.mount(
      repositoryName(name),
      digest,
      from === undefined ? undefined : repositoryName(from),
    )

    if (isMounted !== isThere && !isOpen) throw new Error(`mounted: ${isMounted}`)
    if (isMounted) model.giveBlob(this.#ensured(repositoryName(name)), digest)
  }

  async #headBlob(name: RepositoryName, { digest }: BlobContent): Promise<boolean> {
    const outcome = await outcomeOf(() => this.#store.registry.blobs.confirm(name, digest))
    const repository = this.#model.repositories.get(name)
    if (!repository?.links.has(digest)) {
      this.#require(outcome, ['BLOB_UNKNOWN', 'NAME_UNKNOWN'])
      return false
    }
    this.#require(outcome, ['done'])
    // As long a lease as half of one is left is not renewed.
    this.#model.leaseBlob(repository, digest, this.#model.settings.leaseMs / 2)
    return true
  }

  async #headManifest(name: RepositoryName, digest: Digest): Promise<boolean> {
    const outcome = await outcomeOf(() => this.#store.registry.manifests.confirm(name, { digest }))
    const repository = this.#model.repositories.get(name)
    if (!repository?.findLive(digest)) {
      this.#require(outcome, ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'])
      return false
    }
    this.#require(outcome, ['done'])
    this.#model.notePull(name, digest)
    this.#model.leaseManifest(repository, digest, this.#model.settings.leaseMs / 2)
    return true
  }

  async #headTag({ name, tag }: CommandOf<'head tag'>): Promise<void> {
    const outcome = await outcomeOf(() =>
      this.#store.registry.manifests.confirm(repositoryName(name), { tag: tag as Tag }),
    )
    const repository = this.#model.repositories.get(name)
    const digest = repository?.tags.get(tag)
    if (repository === undefined || digest === undefined) {
      this.#require(outcome, ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'])
      return
    }
    this.#require(outcome, ['done'])
    this.#model.notePull(name, digest)
    const { undoMs, leaseMs } = this.#model.settings
    if (undoMs < leaseMs) this.#model.leaseManifest(repository, digest, leaseMs / 2)
  }

  async #deleteTag({ name, tag }: CommandOf<'delete tag'>): Promise<void> {
    const outcome = await outcomeOf(() =>
      this.#store.registry.manifests.delete(repositoryName(name), { tag: tag as Tag }, identity),
    )
    const repository = this.#model.repositories.get(name)
    if (repository?.tags.has(tag)) {
      this.#require(outcome, ['done'])
      this.#model.deleteTag(repository, tag)
    } else this.#require(outcome, ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'])
  }

  async #deleteManifest({ name, manifest }: CommandOf<'delete manifest'>): Promise<void> {
    const { digest } = manifestOf(manifest)
    const outcome = await outcomeOf(() =>
      this.#store.registry.manifests.delete(repositoryName(name), { digest }, identity),
    )
    const repository = this.#model.repositories.get(name)
    const live = repository?.findLive(digest)
    if (repository && live) {
      this.#require(outcome, ['done'])
      this.#model.deleteManifest(repository, live)
    } else this.#require(outcome, ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'])
  }

  async #deleteBlob({ name, blob }: CommandOf<'delete blob'>): Promise<void> {
    const { digest } = blobOf(blob)
    const outcome = await outcomeOf(() =>
      this.#store.registry.blobs.delete(repositoryName(name), digest, identity),
    )
    const repository = this.#model.repositories.get(name)
    if (!repository?.links.has(digest)) this.#require(outcome, ['BLOB_UNKNOWN', 'NAME_UNKNOWN'])
    else if (repository.needs(digest) && !this.#model.settings.mayDeleteReferencedBlobs) {
      this.#require(outcome, ['UNSUPPORTED'])
    } else {
      this.#require(outcome, ['done'])
      this.#model.deleteBlob(repository, digest)
    }
  }

  async #deleteRepository(name: RepositoryName): Promise<void> {
    const outcome = await outcomeOf(() =>
      this.#store.registry.undo.deleteRepository(name, identity),
    )
    const repository = this.#model.repositories.get(name)
    this.#require(outcome, [repository ? 'done' : 'NAME_UNKNOWN'])
    if (repository) this.#model.deleteRepository(repository)
  }

  async #restoreTag({ name, tag, ago }: CommandOf<'restore tag'>): Promise<void> {
    const time = ago === undefined ? undefined : this.#model.now - ago
    const repository = this.#model.repositories.get(name)
    const former = repository && this.#model.formerTarget(repository, tag, time)

    const outcome = await outcomeOf(() =>
      this.#store.registry.undo.restoreTag(repositoryName(name), tag as Tag, identity, time),
    )

    if (repository === undefined || former === undefined) {
      this.#require(outcome, ['NAME_UNKNOWN'])
      return
    }
    const { digest, isCertain } = former
    const manifest = digest && repository.manifests.get(digest)
    const expected = manifest ? 'done' : 'MANIFEST_UNKNOWN'
    this.#require(outcome, isCertain ? [expected] : [expected, 'MANIFEST_UNKNOWN'])
    if (outcome !== 'done' || manifest === undefined) return
    if (repository.tags.get(tag) === digest) return
    this.#model.bringBack(repository, manifest)
    this.#model.moveTag(repository, tag, manifest.content.digest)
  }

  async #restoreManifest({ name, manifest }: CommandOf<'restore manifest'>): Promise<void> {
    const { digest } = manifestOf(manifest)
    const repository = this.#model.repositories.get(name)
    const outcome = await outcomeOf(() =>
      this.#store.registry.undo.restoreManifest(repositoryName(name), digest, identity, signal),
    )
    this.#model.tidyTags()
    if (repository === undefined) {
      this.#require(outcome, ['NAME_UNKNOWN'])
      return
    }
    const kept = repository.manifests.get(digest)
    const deletedAt = repository.deletions.get(digest)
    if (kept === undefined || deletedAt === undefined) {
      this.#require(outcome, ['MANIFEST_UNKNOWN'])
      return
    }
    const isCertain = this.#model.isUndoable(deletedAt) || deletedAt >= this.#model.forgottenBefore
    this.#require(outcome, isCertain ? ['done'] : ['done', 'MANIFEST_UNKNOWN'])
    if (outcome !== 'done') return
    this.#model.bringBack(repository, kept)
    this.#model.leaseManifest(repository, digest, this.#model.settings.leaseMs)
    await this.#restoredTags(repository, digest, deletedAt)
  }

  /** Tags that went with a manifest are back, but for those to which something has happened since. */
  async #restoredTags(repository: Repository, digest: Digest, deletedAt: number): Promise<void> {
    for (const [tag, changes] of repository.tagHistory) {
      if (repository.tags.has(tag)) continue
      const wentAlong = changes.findLastIndex(
        ({ at, from, to }) => at === deletedAt && from === digest && to === undefined,
      )
      if (wentAlong === -1) continue
      const isBack = (await this.#served.findTag(repository.name, tag)) === digest
      if (isBack !== (wentAlong === changes.length - 1)) {
        const has = isBack ? 'has' : 'has not'
        throw new Error(`the tag ${tag} of ${nameOf(digest)} ${has} come back with it`)
      }
      if (isBack) this.#model.moveTag(repository, tag, digest)
    }
  }

  async #restoreRepository({ name, as = name }: CommandOf<'restore repository'>): Promise<void> {
    const outcome = await outcomeOf(() =>
      this.#store.registry.undo.restoreRepository(
        repositoryName(name),
        identity,
        repositoryName(as),
      ),
    )
    const candidates = this.#model.restorable(name)
    const mayBeNone = candidates.every(({ isBroken }) => isBroken)
    const inItsPlace = this.#model.repositories.get(as)
    const mayConflict = inItsPlace?.isListed === true
    const mayBeDone = candidates.length > 0 && !mayConflict
    this.#require(outcome, [
      ...(mayBeNone ? ['NAME_UNKNOWN'] : []),
      ...(mayConflict && candidates.length > 0 ? ['CONFLICT'] : []),
      ...(mayBeDone ? ['done'] : []),
    ])
    if (outcome !== 'done') return
    const id = this.#store.state.idOf(as)
    const repository = candidates.find((one) => one.id === id || !one.isBroken)
    if (repository?.id !== id || repository === undefined) {
      throw new Error(`another repository ${name} was restored than the one deleted last`)
    }
    // Not whole, it would be noticed.
    repository.isBroken = false
    this.#model.restoreRepository(repository, as)
  }

  #wait(ms: number): void {
    this.#store.wait(ms)
    this.#model.now = this.#store.now
  }

  /** A run to its end, which must remove what was planned. */
  async #collect(kind: CollectKind): Promise<void> {
    const { collector, metadata, state } = this.#store
    const terms = this.#store.termsOf(kind)
    const plan = await metadata.planCollection(terms)
    const before = state.rows()

    if (kind === 'due') await collector.runIfDue()
    else {
      const { ended } = await collector.begin(requestOf(kind), identity)
      const { status, report } = await ended
      if (status !== 'done') throw new Error(`the run is ${status}: ${report.message}`)
      const { manifests, blobs, repositories, bytes } = plan
      requireSame('the report of the run', report.removed, {
        ...{ manifests, blobs, repositories, bytes },
      })
    }

    const after = state.rows()
    this.#collecting.note(after, terms, { isWhole: true })
    const planned = plan.removed
      .filter((one) => one.kind !== 'link')
      .map((one) => `${one.kind} ${one.digest ? nameOf(one.digest) : one.repository}`)
    requireSame('what was removed', removedBetween(before, after), planned.sort())
    requireSame('the bytes that were removed', before.bytes - after.bytes, plan.bytes)
  }

  async #collectStep(kind: CollectKind): Promise<void> {
    const { metadata, registry, state } = this.#store
    const { terms, after } = this.#steps ?? { terms: this.#store.termsOf(kind) }
    // A step without time takes one thing.
    const step = await metadata.collect({ ...terms, sliceMs: 0, ...(after && { after }) })
    if (step.removed.some(({ isFile }) => isFile)) await registry.removals.finish()
    this.#collecting.noteBroken(terms)
    this.#collecting.note(state.rows(), terms, { isWhole: false })
    this.#steps = step.next && { terms, after: step.next }
  }

  async #dryRun(kind: CollectKind): Promise<void> {
    const { collector, state } = this.#store
    const before = state.rows()
    const { ended } = await collector.begin({ ...requestOf(kind), dryRun: true }, identity)
    await ended
    requireSame('what a dry run has removed', removedBetween(before, state.rows()), [])
  }

  /** The tags that rules let go, which are those of the preview. */
  async #retireTags(): Promise<void> {
    const { retention } = this.#store
    // It looks at nothing before all pulls are written down.
    this.#model.writePulls()
    const { tags } = await retention.foresee()
    const { entries } = await retention.list(this.#model.now, 1000)
    const { ended } = await retention.begin({ confirm: true }, identity)
    const { status, report } = await ended
    const expected: string[] = []
    for (const repository of this.#model.repositories.values()) {
      for (const tag of this.#model.tagsToRetire(repository)) {
        expected.push(`${repository.name}:${tag}`)
        this.#model.deleteTag(repository, tag)
      }
    }
    const told = entries.map(({ repository, tag }) => `${repository}:${tag}`)
    requireSame('the run of retention', status, 'done')
    requireSame('the tags of the preview', told.sort(), expected.sort())
    requireSame('how many they are', [tags, report.deletedTags], [expected.length, expected.length])
  }

  /** What retention says that it frees is freed, where nothing else is on its way out. */
  async #freeAsForeseen(): Promise<void> {
    const { retention, state } = this.#store
    const before = state.rows().bytes
    const hasDeleted = this.#model.allRepositories.some(({ manifests }) =>
      [...manifests.values()].some(({ deletedAt }) => deletedAt !== undefined),
    )
    const { bytes } = await retention.foresee()
    await this.#retireTags()
    this.#wait(60 * day)
    await this.#collect('due')
    // What was deleted by hand out of an index that stays is there still, and is not reckoned with.
    if (!hasDeleted) requireSame('what retention has freed', before - state.rows().bytes, bytes)
  }

  async #keepHouse(): Promise<void> {
    const { manifests, pulls, uploads } = this.#store.registry
    await manifests.untag(signal)
    await uploads.expire()
    await pulls.flush()
    this.#model.tidyTags()
    this.#model.writePulls()
    const idleSince = this.#model.now - this.#model.settings.expireMs
    for (const session of this.#sessions) {
      if (session && session.progressedAt < idleSince) session.isOver = true
    }
  }

  async #forgetHistory(): Promise<void> {
    const before = this.#model.now - this.#model.settings.historyMs
    await this.#store.collector.forgetHistory(before, signal)
    this.#model.forgottenBefore = Math.max(this.#model.forgottenBefore, before)
  }

  async #restart(): Promise<void> {
    this.#steps = undefined
    await this.#store.restart()
    this.#model.writePulls()
    this.#model.forgetPulls()
  }

  /** The repository of a name to which content has just come. */
  #ensured(name: string): Repository {
    const { repositories } = this.#model
    const there = repositories.get(name)
    if (there) return there
    const id = this.#store.state.idOf(name)
    if (id === undefined) throw new Error(`there is no repository ${name} after a push to it`)
    const repository = new Repository(id, name)
    repositories.set(name, repository)
    return repository
  }

  #require(outcome: string, allowed: readonly string[]): void {
    if (allowed.includes(outcome)) return
    throw new Error(`the store said ${outcome}, not ${allowed.join(' or ')}`)
  }
}

function bodyOf(bytes: Buffer) {
  return { source: piecesOf(bytes), announcedBytes: bytes.byteLength }
}

function requestOf(kind: CollectKind) {
  return { ...(kind === 'now' && { now: true }), ...(kind === 'purge' && { purge: true }) }
}

function repositoryName(name: string): RepositoryName {
  return name as RepositoryName
}

function contentOfBlob(digest: Digest): BlobContent {
  const content = findBlobContent(digest)
  if (content === undefined) throw new Error(`nothing has the digest ${digest}`)
  return content
}

/** What became of something: `done`, or the code of the refusal. */
async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return 'done'
  } catch (error) {
    if (error instanceof RegistryError) return error.code
    throw error
  }
}

/** What a run has removed, by kind and name; a blob's link to a repository is nothing by itself. */
function removedBetween(before: StoredRows, after: StoredRows): string[] {
  const manifests = [...before.manifests].filter((row) => !after.manifests.has(row))
  const blobs = [...before.blobs].filter((digest) => !after.blobs.has(digest))
  const repositories = [...before.repositories.values()].filter(
    ({ id }) => !after.repositories.has(id),
  )
  return [
    ...manifests.map((row) => `manifest ${nameOf(row.split(' ')[1] as Digest)}`),
    ...blobs.map((digest) => `blob ${nameOf(digest as Digest)}`),
    ...repositories.map(({ name }) => `repository ${name}`),
  ].sort()
}

function requireSame(what: string, actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== should) throw new Error(`${what} is\n  ${is}, not\n  ${should}`)
}
