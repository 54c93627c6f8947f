import type { Account, Action, HeldRight, Visibility } from '../metadata/accounts.js'
import type { RepositoryName } from '../oci/reference.js'
import { DELETES_OFF } from './access.js'
import { Rights } from './rights.js'
import { subjectText } from './subjects.js'

export interface Explanation {
  readonly isAllowed: boolean
  /** What has decided, as a sentence for a person. */
  readonly decidedBy: string
  /** Everything that the account has which allows it. */
  readonly holders: readonly HeldRight[]
}

/** What is true of whoever would do something, and of where. */
export interface Circumstances {
  /** Undefined for whoever is not signed in. */
  readonly account: Account | undefined
  /** All that they hold. */
  readonly rights: readonly HeldRight[]
  readonly repository: RepositoryName
  readonly visibility: Visibility
  readonly deletesEnabled: boolean
}

/** Why somebody may do something with a repository, or may not. */
export function explainAccess(circumstances: Circumstances, action: Action): Explanation {
  const explained = explainRight(circumstances, action)
  if (explained.isAllowed && action === 'delete' && !circumstances.deletesEnabled) {
    return refused(`${DELETES_OFF.message} (deletes.enabled)`)
  }
  return explained
}

function explainRight(
  { account, rights, repository, visibility }: Circumstances,
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
