import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import { parsePattern } from '../../oci/patterns.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { TagRules } from '../tags.js'
import type { Connection } from './connection.js'
import { Repositories } from './repositories.js'
import { hasRules, keptTagInTheWay, type KeptTagsLook } from './tag-guard.js'

/** Tags that would go together: those of one manifest, or, without a digest, all of a repository. */
interface TagsOf {
  readonly repository: RepositoryName
  readonly digest?: Digest
}

interface ManifestRow {
  readonly id: number
  readonly generation: number
}

/** A part of the tags, in the order of their names. */
interface Stretch {
  readonly repositoryId: number
  readonly manifestId: number | null
  readonly generation: number | null
  readonly from: string
  readonly to: string
  readonly glob: string
}

/** How many tags are looked at in one go: less than half a millisecond. */
const stretchLength = 1_000

/** Sorts behind every tag. */
const LAST = '\u{10ffff}'

/**
 * Finds tags that rules keep among those that would go with a manifest or a repository.
 *
 * The literal beginning of a pattern bounds what is looked at: with `v*`, the first tag of the range
 * is in it, or none is. A pattern that begins with a star can be in any tag, of which there may be
 * half a million (30 ms of CPU): so this runs before the transaction that removes them, in stretches
 * between which others have their turn; and in the transaction {@link TagGuard.requireNoneSince}
 * looks at what has come since.
 */
export class KeptTags {
  readonly #repositories: Repositories
  readonly #lastHistoryId: Statement<[], number>
  readonly #manifest: Statement<[number, string], ManifestRow>
  readonly #ofManifest
  readonly #ofRepository

  constructor(connection: Connection) {
    this.#repositories = new Repositories(connection)
    this.#lastHistoryId = connection
      .prepare<[], number>('select coalesce(max(id), 0) from history')
      .pluck()
    this.#manifest = connection.prepare(
      `select id, generation from manifests
       where repository_id = ? and digest = ? and deleted_at is null`,
    )
    this.#ofManifest = prepareStretch(connection, {
      where:
        'manifest_id = @manifestId and generation = @generation and repository_id = @repositoryId',
      isLive: 'true',
    })
    this.#ofRepository = prepareStretch(connection, {
      where: 'repository_id = @repositoryId',
      isLive: `not exists (select 1 from untaggings u
        where u.manifest_id = tags.manifest_id and u.generation = tags.generation)`,
    })
  }

  /**
   * @returns what the transaction is to be told; undefined without rules, or when there is nothing
   *   of that name
   * @throws {@link RegistryError} `DENIED` naming the first tag in the way
   */
  async requireNone(
    { repository, digest }: TagsOf,
    rules: TagRules,
  ): Promise<KeptTagsLook | undefined> {
    if (!hasRules(rules)) return undefined
    // First, so that whatever comes while this looks is known to have come since.
    const historyId = this.#lastHistoryId.get() ?? 0
    const repositoryId = this.#repositories.find(repository)
    if (repositoryId === undefined) return undefined
    const manifest = digest && this.#manifest.get(repositoryId, digest)
    if (digest !== undefined && manifest === undefined) return undefined
    for (const pattern of [...rules.immutable, ...rules.protected]) {
      const tag = await this.#find(repositoryId, manifest, pattern)
      if (tag !== undefined) throw keptTagInTheWay({ repository, tag }, rules)
    }
    return { repositoryId, historyId, ...(manifest && { manifestId: manifest.id }) }
  }

  async #find(
    repositoryId: number,
    manifest: ManifestRow | undefined,
    pattern: string,
  ): Promise<string | undefined> {
    const { prefix } = parsePattern(pattern)
    const statements = manifest ? this.#ofManifest : this.#ofRepository
    const range = {
      repositoryId,
      manifestId: manifest?.id ?? null,
      generation: manifest?.generation ?? null,
      // In tags both kinds of star mean the same, and nothing else in a pattern means anything here.
      glob: pattern.replaceAll(/\*+/g, '*'),
      to: prefix === pattern ? pattern : prefix + LAST,
    }
    for (let from = prefix; ;) {
      const end = statements.end.get({ ...range, from })
      const tag = statements.first.get({ ...range, from, to: end ?? range.to })
      if (tag !== undefined || end === undefined) return tag
      // The least name behind it.
      from = `${end}\0`
      await nextTurn()
    }
  }
}

function prepareStretch(
  connection: Connection,
  { where, isLive }: { readonly where: string; readonly isLive: string },
) {
  const inRange = `from tags where ${where} and name >= @from and name <= @to`
  return {
    first: connection
      .prepare<[Stretch], string>(
        `select name ${inRange} and name glob @glob and ${isLive} order by name limit 1`,
      )
      .pluck(),
    // Over what counts as gone as well: that may be much.
    end: connection
      .prepare<[Stretch], string>(
        `select name ${inRange} order by name limit 1 offset ${stretchLength - 1}`,
      )
      .pluck(),
  }
}
