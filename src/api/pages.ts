import { RegistryError } from '../errors.js'
import type { Moment } from '../metadata/inspection.js'
import type { PageRequest } from '../metadata/pages.js'

/** The query of a list, checked. */
export interface PageQuery {
  readonly limit: number
  readonly cursor?: string
}

export interface PageAnswer<T> {
  readonly items: T[]
  /** To be given as `cursor` for the page after this one; absent on the last. */
  readonly nextCursor?: string
}

const usualLimit = 100
const limitMax = 1000

/** What a list's `querystring` has, besides what is its own. */
export const pageParameters = {
  limit: {
    type: 'integer',
    minimum: 1,
    maximum: limitMax,
    default: usualLimit,
    description: 'How many items a page has at most.',
  },
  cursor: {
    type: 'string',
    maxLength: 2000,
    description: 'Where to go on: nextCursor of the page before, as it is.',
  },
} as const

/** The schema of a query with these parameters and no others. */
export function queryOf<T extends object>(properties: T) {
  return { type: 'object', additionalProperties: false, properties } as const
}

/** The schema of a page of such items. */
export function pageSchema(items: object) {
  return {
    type: 'object',
    description: 'One page.',
    required: ['items'],
    properties: {
      items: { type: 'array', items },
      nextCursor: {
        type: 'string',
        description: 'The cursor of the next page; absent on the last.',
      },
    },
  } as const
}

/**
 * The key behind which a page begins.
 *
 * @param isKey - whether the list can have such a key
 * @throws {@link RegistryError} `REQUEST_INVALID` for what no list has given
 */
export function parseCursor(
  cursor: string | undefined,
  isKey: (text: string) => boolean,
): string | undefined {
  if (cursor === undefined) return undefined
  const key = Buffer.from(cursor, 'base64url').toString('utf8')
  // Decoding forgives everything; only what comes out the same again has been one of ours.
  if (cursorOf(key) !== cursor || !isKey(key)) {
    throw new RegistryError('REQUEST_INVALID', 'cursor is not one that this list has given')
  }
  return key
}

/** Which page a query asks for. Takes and throws what {@link parseCursor} does. */
export function parsePage(
  { limit, cursor }: PageQuery,
  isKey: (text: string) => boolean,
): PageRequest {
  const after = parseCursor(cursor, isKey)
  return { limit, ...(after !== undefined && { after }) }
}

/** As {@link parseCursor}, for lists whose keys are numbers. */
export function parseNumberCursor(cursor: string | undefined): number | undefined {
  const key = parseCursor(cursor, (text) => /^\d{1,15}$/.test(text))
  return key === undefined ? undefined : Number(key)
}

/** As {@link parseCursor}, for lists in the order of time. */
export function parseMomentCursor(cursor: string | undefined): Moment | undefined {
  const key = parseCursor(cursor, (text) => /^\d{1,15}\.\d{1,15}$/.test(text))
  if (key === undefined) return undefined
  const [at, id] = key.split('.').map(Number)
  return { at: at ?? 0, id: id ?? 0 }
}

/** The key of an entry of such a list. */
export function momentKey(at: number, id: number): string {
  return `${at}.${id}`
}

/** The cursor of a page that begins behind a key. */
export function cursorOf(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url')
}

/**
 * A page as it is answered.
 *
 * @param keyOf - the key of an item, for the cursor behind it
 */
export function pageAnswer<Entry, Item>(
  { entries, hasMore }: { readonly entries: readonly Entry[]; readonly hasMore: boolean },
  itemOf: (entry: Entry) => Item,
  keyOf: (entry: Entry) => string | number,
): PageAnswer<Item> {
  const last = entries.at(-1)
  return {
    items: entries.map(itemOf),
    ...(hasMore && last !== undefined && { nextCursor: cursorOf(String(keyOf(last))) }),
  }
}
