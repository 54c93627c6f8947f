import { localTimeText } from './tables.js'

/** What a delete has answered. */
export interface DeletionAnswer {
  readonly tags: readonly string[]
  readonly more: boolean
  readonly restorableUntil: string
}

/** Until when what was deleted can be brought back, as a line of its own. */
export function restorableText({ restorableUntil }: DeletionAnswer): string {
  const isOver = Date.parse(restorableUntil) <= Date.now()
  return isOver
    ? 'It cannot be brought back: undo.days is 0.\n'
    : `It can be brought back until ${localTimeText(restorableUntil)}.\n`
}
