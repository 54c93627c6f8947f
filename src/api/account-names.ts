import type { FastifyInstance } from 'fastify'
import type { Access } from '../auth/access.js'

/** Where answers tell who did something. */
const MEMBERS = ['by', 'pushedBy', 'updatedBy', 'deletedBy'] as const

/** What a schema says of such a member. */
export const absentForStrangers = 'Absent for who has not signed in, where there are accounts.'

/**
 * Leaves out of every answer who did something where that is no matter of whoever asks: with names begins
 * who guesses passwords.
 */
export function keepNamesFromStrangers(app: FastifyInstance, access: Access): void {
  app.addHook('preSerialization', async ({ identity }, _reply, answer: unknown) =>
    access.mayKnowNames(identity) ? answer : withoutNames(answer),
  )
}

function withoutNames(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) return answer
  const left: Record<string, unknown> = { ...answer }
  for (const member of MEMBERS) delete left[member]
  const { items } = left
  if (Array.isArray(items)) left['items'] = items.map(withoutNames)
  return left
}
