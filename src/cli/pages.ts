import type { PageAnswer } from '../api/pages.js'
import type { ManagementCall } from './management-command.js'
import { Table } from './tables.js'
import { UsageError, type Options } from './usage.js'

/** For commands that print lists. */
export const limitOption = { limit: { type: 'string' } } as const satisfies Options
export const limitHelp = '  --limit N         at most so many; all by default'
export const limitUsage = '[--limit N]'

const pageLimitMax = 1000

export interface List<T> {
  /** Behind `/api/v1`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  /** `--limit` as it was given. */
  readonly limit: string | undefined
  readonly titles: readonly string[]
  /** An item for people: a cell for each title. */
  readonly rowOf: (item: T) => readonly string[]
}

/**
 * Prints a list page by page, so that any number of items needs the memory of one. With `--json` each
 * page is one JSON document.
 *
 * @throws {@link UsageError} for a limit that is no number
 */
export async function printPages<T>(
  { management, print, isHeard }: Pick<ManagementCall<Options>, 'management' | 'print' | 'isHeard'>,
  { path, query = {}, limit, titles, rowOf }: List<T>,
): Promise<void> {
  const table = new Table(titles)
  let left = parseLimit(limit)
  let cursor: string | undefined
  do {
    const parameters = new URLSearchParams({ limit: String(Math.min(left, pageLimitMax)) })
    for (const [name, value] of Object.entries({ ...query, cursor })) {
      if (value !== undefined) parameters.set(name, value)
    }
    const page = await management.request<PageAnswer<T>>('GET', `${path}?${parameters.toString()}`)
    print(page, () => table.textOf(page.items.map(rowOf)))
    left -= page.items.length
    cursor = page.nextCursor
  } while (cursor !== undefined && left > 0 && isHeard())
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return Infinity
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError('--limit must be a number, 1 or more')
  return Number(text)
}
