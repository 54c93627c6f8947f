import type { Deletion } from '../registry/manifests.js'
import { timeSchema, timeText } from './times.js'

/** What a delete answers. */
export const deletionSchema = {
  type: 'object',
  description: 'What was deleted.',
  required: ['tags', 'more', 'restorableUntil'],
  properties: {
    tags: {
      type: 'array',
      items: { type: 'string' },
      description: 'The tags that went, the first hundred by name.',
    },
    more: { type: 'boolean', description: 'Whether more tags than these went.' },
    restorableUntil: timeSchema('Until when it can be brought back.'),
  },
} as const

export function deletionAnswer({ tags, hasMoreTags, restorableUntil }: Deletion) {
  return { tags, more: hasMoreTags, restorableUntil: timeText(restorableUntil) }
}
