import { ACTIONS, type Action } from '../metadata/accounts.js'

/** Actions as {@link ACTIONS} has them, however they were written. */
export function inOrder(actions: readonly Action[]): Action[] {
  return ACTIONS.filter((action) => actions.includes(action))
}
