import { setImmediate as turn } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import { parsePattern, type Pattern } from '../../oci/patterns.js'
import type { RepositoryName } from '../../oci/reference.js'
import type { Page, Viewer } from '../metadata-store.js'
import type { Connection } from './connection.js'
import { pageOf } from './pages.js'

/** Names from here on, and below that. */
export interface NameRange {
  readonly from: string
  readonly below: string
}

/** Sorts behind every name. */
export const LAST_NAME = '\u{10ffff}'

/** Names that are read in one go; then others have their turn. */
const readMax = 2000

/** A viewer whose patterns are understood. */
interface Sight {
  readonly patterns: readonly Pattern[]
  isWithin(name: string): boolean
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

  isVisible(viewer: Viewer, name: RepositoryName): boolean {
    return isGranted(viewer, name) || this.#isPublic.get(name) !== undefined
  }

  async list(viewer: Viewer, range: NameRange, limit: number): Promise<Page<RepositoryName>> {
    const sight = compiled(viewer)
    const found: RepositoryName[] = []
    for (let from = range.from; ; await turn()) {
      const { names, upTo } = this.#read(sight, { ...range, from }, limit + 1 - found.length)
      found.push(...names)
      if (found.length > limit || upTo === undefined) return pageOf(found, limit)
      from = `${upTo}\0`
    }
  }

  /** At least the first names of the range; no more than `limit`. */
  #read(sight: Sight, { from, below }: NameRange, limit: number): Found {
    const names = new Set(this.#public.all(from, below, limit))
    let upTo = names.size === limit ? [...names].at(-1) : undefined
    let budget = readMax
    for (const pattern of sight.patterns) {
      // Behind what is known to be the end of this page nothing is wanted.
      const end = smaller(upTo === undefined ? below : `${upTo}\0`, pattern.prefix + LAST_NAME)
      const start = larger(from, pattern.prefix)
      if (start >= end) continue
      const wanted = Math.max(Math.min(budget, 4 * limit), 1)
      const read = this.#listed.all(start, end, wanted)
      budget -= read.length
      for (const name of read) if (pattern.matches(name) && sight.isWithin(name)) names.add(name)
      if (read.length === wanted) upTo = read.at(-1)
    }
    const sorted = [...names].sort(compareBytes)
    const within = upTo === undefined ? sorted : sorted.filter((name) => name <= upTo)
    if (within.length > limit)
      return { names: within.slice(0, limit), upTo: within[limit - 1] ?? '' }
    return { names: within, ...(upTo !== undefined && { upTo }) }
  }
}

function compiled(viewer: Viewer): Sight {
  const within = viewer.within?.map(parsePattern)
  return {
    patterns: viewer.patterns.map(parsePattern),
    isWithin: (name) => within?.some((pattern) => pattern.matches(name)) ?? true,
  }
}

function isGranted(viewer: Viewer, name: string): boolean {
  const sight = compiled(viewer)
  return sight.patterns.some((pattern) => pattern.matches(name)) && sight.isWithin(name)
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
