import { setImmediate as turn } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import type { Pattern } from '../../oci/patterns.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { Page } from '../pages.js'
import { patternsOf, sightOf, type Viewer } from '../viewers.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'

/** Names from here on, and below that. */
export interface NameRange {
  readonly from: string
  readonly below: string
}

/** Sorts before every name, and behind what deleted repositories are called. */
export const FIRST_NAME = '0'

/** Sorts behind every name. */
export const LAST_NAME = '\u{10ffff}'

/** Names that are read in one go; then others have their turn. */
const readMax = 2000

const batch = 500

/** What it costs to ask at all, in names. */
const askingCost = 10

/** Where names are that some of the patterns may have: those that begin as another one does are with it. */
interface Reach extends NameRange {
  readonly patterns: readonly Pattern[]
}

interface Found {
  readonly names: readonly RepositoryName[]
  /** Up to where nothing was left out; absent when that is the end of the range. */
  readonly upTo?: string
}

/**
 * Repositories of the catalog that somebody may see, by name. What is public has an index of its own, and of
 * a pattern only names are read that begin as it does: who may see little among very much pays for
 * little.
 */
export class VisibleRepositories {
  readonly #public: Statement<[string, string, number], RepositoryName>
  readonly #listed: Statement<[string, string, number], RepositoryName>
  readonly #isPublic: Statement<[string], number>

  constructor(connection: Connection) {
    this.#public = connection
      .prepare<[string, string, number], RepositoryName>(
        `select name from repositories
         where listed = 1 and visibility = 'public' and name >= ? and name < ?
         order by name limit ?`,
      )
      .pluck()
    this.#listed = connection
      .prepare<[string, string, number], RepositoryName>(
        `select name from repositories where listed = 1 and name >= ? and name < ?
         order by name limit ?`,
      )
      .pluck()
    this.#isPublic = connection
      .prepare<[string], number>(
        `select 1 from repositories where name = ? and visibility = 'public'`,
      )
      .pluck()
  }

  /** Of these names those that somebody may see. */
  visibleOf(viewer: Viewer, names: readonly RepositoryName[]): RepositoryName[] {
    const sees = sightOf(viewer)
    return names.filter((name) => sees(name) || this.#isPublic.get(name) !== undefined)
  }

  async list(viewer: Viewer, range: NameRange, limit: number): Promise<Page<RepositoryName>> {
    const reaches = reachesOf(patternsOf(viewer))
    const found: RepositoryName[] = []
    for (let from = range.from; ; await turn()) {
      const { names, upTo } = this.#read(reaches, { ...range, from }, limit + 1 - found.length)
      found.push(...names)
      if (found.length > limit || upTo === undefined) return pageOf(found, limit)
      from = `${upTo}\0`
    }
  }

  /** At least the first names of the range; no more than `limit`. */
  #read(reaches: readonly Reach[], { from, below }: NameRange, limit: number): Found {
    const names = new Set(this.#public.all(from, below, limit))
    let upTo: string | undefined = names.size === limit ? [...names].at(-1) : undefined
    const budget = { left: readMax }
    for (const reach of reaches) {
      // Behind what is known to be the end of this page nothing is wanted.
      const end = smaller(upTo === undefined ? below : `${upTo}\0`, reach.below)
      const start = larger(from, reach.from)
      if (start >= end) continue
      const { found, readTo } = this.#readReach(reach, { from: start, below: end }, limit, budget)
      for (const name of found) names.add(name)
      // The others are behind it.
      if (readTo !== undefined) {
        upTo = readTo
        break
      }
    }
    const sorted = [...names].sort(compareBytes)
    const within = upTo === undefined ? sorted : sorted.filter((name) => name <= upTo)
    if (within.length > limit)
      return { names: within.slice(0, limit), upTo: within[limit - 1] ?? '' }
    return { names: within, ...(upTo !== undefined && { upTo }) }
  }

  /** @returns with `readTo` when it has not come to the end */
  #readReach(
    { patterns }: Reach,
    { from: first, below }: NameRange,
    limit: number,
    budget: { left: number },
  ): { found: RepositoryName[]; readTo?: string } {
    const found: RepositoryName[] = []
    for (let from = first; ;) {
      const read = this.#listed.all(from, below, batch)
      budget.left -= read.length + askingCost
      for (const name of read)
        if (patterns.some((pattern) => pattern.matches(name))) found.push(name)
      const last = read.at(-1)
      if (last === undefined || read.length < batch) {
        // Where nobody may be kept waiting longer the reaches that follow are for another turn.
        return budget.left > 0 ? { found } : { found, readTo: below }
      }
      if (budget.left <= 0 || found.length >= limit) return { found, readTo: last }
      from = `${last}\0`
    }
  }
}

/** In order, and none within another. */
function reachesOf(patterns: readonly Pattern[]): Reach[] {
  const reaches: (NameRange & { readonly patterns: Pattern[] })[] = []
  const sorted = patterns
    .map((pattern) => ({ pattern, range: rangeOf(pattern) }))
    .sort(
      (a, b) =>
        compareBytes(a.range.from, b.range.from) || compareBytes(b.range.below, a.range.below),
    )
  for (const { pattern, range } of sorted) {
    const last = reaches.at(-1)
    if (last !== undefined && range.below <= last.below) last.patterns.push(pattern)
    else reaches.push({ ...range, patterns: [pattern] })
  }
  return reaches
}

/** Where the names are that a pattern may have. */
export function rangeOf({ text, prefix }: Pattern): NameRange {
  return { from: prefix, below: prefix + (text === prefix ? '\0' : LAST_NAME) }
}

/** Names are ASCII: their characters compare as their bytes do. */
function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function smaller(a: string, b: string): string {
  return a < b ? a : b
}

function larger(a: string, b: string): string {
  return a > b ? a : b
}
