import type { Page } from '../metadata-store.js'

/** The page of rows that were read with a limit of one more, which tells whether there is more. */
export function pageOf(rows: string[], limit: number): Page<string> {
  const hasMore = rows.length > limit
  return { entries: hasMore ? rows.slice(0, limit) : rows, hasMore }
}
