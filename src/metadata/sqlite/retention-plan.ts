import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import { firstMatch, parsePattern } from '../../oci/patterns.js'
import type { RepositoryName, Tag } from '../../oci/reference.js'
import type {
  RetentionCandidate,
  RetentionPage,
  RetentionPosition,
  RetentionSummary,
  RetentionSurveyTerms,
  RetentionTerms,
} from '../retention.js'
import { RetentionDecision, rulesFor } from '../retention-decision.js'
import type { Connection } from './connection.js'
import { FreedBytes } from './freed-bytes.js'

interface RepositoryRow {
  readonly id: number
  readonly name: RepositoryName
}

interface TagRow {
  readonly name: Tag
  readonly updated_at: number
  readonly manifest_id: number
  readonly digest: Digest
  readonly pulled_at: number | null
}

/** A repository and the place among its tags, newest first, behind which to go on. */
interface Place {
  readonly repository: RepositoryRow
  readonly decision: RetentionDecision
  readonly updatedAt: number
  readonly tag: string
}

const batchSize = 1_000

/** So many tags are looked at for one page, some tenths of a second, be there any that would go or not. */
const lookedAtMax = 50_000

/** What a person wants to read of repositories; the rest is counted. */
const shownMax = 1_000

/** Sorts behind every name. */
const LAST = '\u{10ffff}'

/**
 * Finds the tags that retention rules would delete: repository by repository, in each the newest tag
 * first, so that a page of any size and a sum over everything need the memory of some rows.
 */
export class RetentionPlan {
  readonly #connection: Connection
  readonly #freed: FreedBytes
  readonly #repositories: Statement<[string, string], RepositoryRow>
  readonly #repository: Statement<[string], RepositoryRow>
  readonly #tags: Statement<[number, number, string], TagRow>

  /** @param connection - one that only reads: its temporary tables are its own */
  constructor(connection: Connection) {
    this.#connection = connection
    this.#freed = new FreedBytes(connection)
    this.#repositories = connection.prepare(
      `select id, name from repositories where listed = 1 and name > ? and name <= ?
       order by name limit ${batchSize}`,
    )
    this.#repository = connection.prepare('select id, name from repositories where name = ?')
    this.#tags = connection.prepare(
      `select t.name, t.updated_at, t.manifest_id, m.digest, m.pulled_at from tags t
       cross join manifests m on m.id = t.manifest_id and m.generation = t.generation
       where t.repository_id = ? and (t.updated_at, t.name) < (?, ?)
       order by t.updated_at desc, t.name desc limit ${batchSize}`,
    )
  }

  page(terms: RetentionTerms, limit: number, after?: RetentionPosition): RetentionPage {
    const entries: RetentionCandidate[] = []
    let lookedAt = 0
    for (const place of this.#placesFrom(terms, after)) {
      const { repository, decision } = place
      for (const row of this.#tagsFrom(place)) {
        lookedAt++
        if (decision.goes(tagOf(row))) entries.push(candidateOf(repository.name, row))
        if (entries.length === limit || lookedAt === lookedAtMax) {
          const { name: tag, updated_at: movedAt } = row
          const { counts } = decision
          return { entries, next: { repository: repository.name, movedAt, tag, counts } }
        }
      }
    }
    return { entries }
  }

  summarize(terms: RetentionSurveyTerms): RetentionSummary {
    const { brakePercent } = terms
    const policies = terms.untagged.map(({ repositories, collectAfterMs }) => ({
      repositories: parsePattern(repositories),
      isCollected: collectAfterMs !== undefined,
    }))
    const repositories: RetentionSummary['repositories'][number][] = []
    const overBrake: RetentionSummary['repositories'][number][] = []
    let tags = 0
    // One transaction, so that all of it is true of one moment.
    this.#connection.exec('begin')
    try {
      for (const place of this.#placesFrom(terms)) {
        const { name } = place.repository
        const isCollected = firstMatch(policies, name)?.isCollected ?? false
        let goes = 0
        let all = 0
        for (const row of this.#tagsFrom(place)) {
          all++
          if (!place.decision.goes(tagOf(row))) continue
          goes++
          if (isCollected) this.#freed.add(row.manifest_id)
        }
        if (goes === 0) continue
        tags += goes
        const counted = { repository: name, tags: goes, tagsOfAll: all }
        if (repositories.length < shownMax) repositories.push(counted)
        const isOver = goes * 100 > all * brakePercent && brakePercent < 100
        if (isOver && overBrake.length < shownMax) overBrake.push(counted)
      }
      return { tags, ...this.#freed.measure(), repositories, overBrake }
    } finally {
      this.#freed.clear()
      this.#connection.exec('commit')
    }
  }

  /** The repositories that any rule is about, each at its first tag; the first where it was left. */
  *#placesFrom(terms: RetentionTerms, after?: RetentionPosition): Generator<Place> {
    const repository = after && this.#repository.get(after.repository)
    if (after && repository) {
      const decision = new RetentionDecision(terms, repository.name, after.counts)
      yield { repository, decision, updatedAt: after.movedAt, tag: after.tag }
    }
    if (terms.rules.length === 0) return
    // Between these are all names that any rule can be about.
    const prefixes = terms.rules.map(({ repositories }) => parsePattern(repositories).prefix)
    const [first = ''] = [...prefixes].sort()
    const end =
      prefixes
        .map((prefix) => prefix + LAST)
        .sort()
        .at(-1) ?? LAST
    let last = after?.repository ?? first.slice(0, -1)
    for (;;) {
      const batch = this.#repositories.all(last, end)
      for (const row of batch) {
        if (rulesFor(terms, row.name).length === 0) continue
        const decision = new RetentionDecision(terms, row.name)
        yield { repository: row, decision, updatedAt: Number.MAX_SAFE_INTEGER, tag: LAST }
      }
      if (batch.length < batchSize) return
      last = batch.at(-1)?.name ?? last
    }
  }

  *#tagsFrom({ repository, updatedAt, tag }: Place): Generator<TagRow> {
    let last = { updated_at: updatedAt, name: tag }
    for (;;) {
      const batch = this.#tags.all(repository.id, last.updated_at, last.name)
      yield* batch
      if (batch.length < batchSize) return
      last = batch.at(-1) ?? last
    }
  }
}

function tagOf({ name, updated_at: movedAt, pulled_at: pulledAt }: TagRow) {
  return { name, movedAt, ...(pulledAt !== null && { pulledAt }) }
}

function candidateOf(repository: RepositoryName, row: TagRow): RetentionCandidate {
  const { name: tag, digest, updated_at: movedAt, pulled_at: pulledAt } = row
  return { repository, tag, digest, movedAt, ...(pulledAt !== null && { pulledAt }) }
}
