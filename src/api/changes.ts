import type { FastifyRequest } from 'fastify'
import type { Change } from '../metadata/accounts.js'

/** Who changes something by this request, and when. */
export function changeOf({ identity }: FastifyRequest, now: () => number): Change {
  return { identity: identity.name, at: now() }
}
