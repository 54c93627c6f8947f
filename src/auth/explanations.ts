import type { Account, Action, HeldRight, Visibility } from '../metadata/accounts.js'
import type { RepositoryName } from '../oci/reference.js'
import { Rights } from './rights.js'
import { subjectText } from './subjects.js'

export interface Explanation {
  readonly isAllowed: boolean
  /** What has decided, as a sentence for a person. */
  readonly decidedBy: string
  /** Everything that the account has which allows it. */
  readonly holders: readonly HeldRight[]
}

/**
 * Why somebody may do something with a repository, or may not.
 *
 * @param account - undefined for whoever is not signed in
 * @param rights - all that they hold
 */
export function explainAccess(
  account: Account | undefined,
  rights: readonly HeldRight[],
  visibility: Visibility,
  repository: RepositoryName,
  action: Action,
): Explanation {
  const who = account?.name ?? 'anonymous'
  if (account?.isDisabled) {
    return refused(`${who} is disabled`)
  }
  const holders = new Rights(rights).holdersOf(repository, action)
  if (account?.isAdmin) return { ...allowed(`${who} is an admin, who may do everything`), holders }
  const [first] = holders
  if (first !== undefined) return { ...allowed(rightText(first)), holders }
  if (action === 'pull' && visibility === 'public') {
    return allowed(`${repository} is public: everybody may pull from it`)
  }
  return refused(`nothing gives ${who} ${action} on ${repository}`)
}

/** `grant 4: group:team has pull, delete on team/**` */
function rightText(right: HeldRight): string {
  if (right.kind === 'namespace') {
    return `the namespace ${right.name} is owned by ${subjectText(right.owner)}`
  }
  const { id, subject, pattern, actions } = right
  return `grant ${id}: ${subjectText(subject)} has ${actions.join(', ')} on ${pattern}`
}

function allowed(decidedBy: string): Explanation {
  return { isAllowed: true, decidedBy, holders: [] }
}

function refused(decidedBy: string): Explanation {
  return { isAllowed: false, decidedBy, holders: [] }
}
