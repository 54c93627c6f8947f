import type { Moment } from '../inspection.js'
import type { Page } from '../pages.js'

/** The page of rows that were read with a limit of one more, which tells whether there is more. */
export function pageOf<T>(rows: T[], limit: number): Page<T> {
  const hasMore = rows.length > limit
  return { entries: hasMore ? rows.slice(0, limit) : rows, hasMore }
}

/** Comes behind everything that has happened. */
export const endOfTime: Moment = { at: Number.MAX_SAFE_INTEGER, id: Number.MAX_SAFE_INTEGER }
