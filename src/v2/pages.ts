import type { FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'

/** The query of a list: at most `n` entries, after `last`. */
export interface PageQuery {
  readonly n?: string | string[]
  readonly last?: string | string[]
}

export interface PageLimits {
  /** When the client does not say how many. */
  readonly usual: number
  /** However many the client wants. */
  readonly max: number
}

/**
 * Which page of a list a request asks for.
 *
 * @throws {@link RegistryError} `PAGINATION_NUMBER_INVALID` when `n` is not a number of entries, or
 *   either parameter stands twice
 * @see distribution-spec, "Listing Tags"
 */
export function parsePage(
  { n, last }: PageQuery,
  { usual, max }: PageLimits,
): { after?: string; limit: number } {
  if (Array.isArray(n) || Array.isArray(last)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', 'n and last may be given once')
  }
  if (n !== undefined && !/^\d+$/.test(n)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', 'n must be a number, 0 or more', {
      details: [{ n: n.slice(0, 100) }],
    })
  }
  const limit = n === undefined ? usual : Math.min(Number(n), max)
  return { limit, ...(last !== undefined && { after: last }) }
}

/**
 * The `Link` to the page after this one: the request's own URL behind `last`, as a path so that
 * clients keep the host they know.
 */
export function nextPage(request: FastifyRequest, last: string, limit: number): string {
  const url = new URL(request.originalUrl, 'http://registry')
  url.searchParams.set('last', last)
  url.searchParams.set('n', String(limit))
  return `<${url.pathname}${url.search}>; rel="next"`
}
