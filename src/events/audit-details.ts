import type { FastifyRequest } from 'fastify'
import { shortened } from './audit.js'

/** So many names an event has; a person reads them, and an image takes no more tags at once. */
const namesMax = 100

/** What handlers have said about requests. */
const added = new WeakMap<FastifyRequest, Readonly<Record<string, unknown>>>()

/**
 * Has the event of a request say what the request itself does not: what was there before, what it is called
 * now. To be called when it is done.
 *
 * @param details - plain JSON of bounded size; never a secret
 */
export function addAuditDetails(
  request: FastifyRequest,
  details: Readonly<Record<string, unknown>>,
): void {
  added.set(request, { ...added.get(request), ...details })
}

/** What {@link addAuditDetails} was told. */
export function auditDetailsOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  return added.get(request) ?? {}
}

/** As many of some names, or other short texts from outside, as an event has. */
export function someNames(names: readonly string[]): string[] {
  return names.slice(0, namesMax).map(shortened)
}
