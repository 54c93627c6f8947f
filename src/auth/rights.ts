import type { Action, HeldRight, TokenScope } from '../metadata/accounts.js'
import { parsePattern, type Pattern } from '../oci/patterns.js'

/** What each action includes: nobody can push who cannot look. */
const INCLUDED: Readonly<Record<Action, readonly Action[]>> = {
  pull: ['pull'],
  create: ['create', 'pull'],
  overwrite: ['overwrite', 'create', 'pull'],
  delete: ['delete', 'pull'],
  admin: ['admin', 'delete', 'overwrite', 'create', 'pull'],
}

interface CompiledRight {
  readonly patterns: readonly Pattern[]
  readonly actions: ReadonlySet<Action>
  readonly right: HeldRight
}

/** What grants and namespaces give somebody, ready to be asked. */
export class Rights {
  readonly #rights: readonly CompiledRight[]

  constructor(rights: readonly HeldRight[]) {
    this.#rights = rights.map((right) => ({
      right,
      patterns: patternsOf(right).map(parsePattern),
      actions: included(right.kind === 'namespace' ? ['admin'] : right.actions),
    }))
  }

  may(repository: string, action: Action): boolean {
    return this.#rights.some(
      ({ patterns, actions }) => actions.has(action) && patterns.some((p) => p.matches(repository)),
    )
  }

  /** Everything that gives the action on the repository. */
  holdersOf(repository: string, action: Action): HeldRight[] {
    return this.#rights
      .filter(
        ({ patterns, actions }) =>
          actions.has(action) && patterns.some((p) => p.matches(repository)),
      )
      .map(({ right }) => right)
  }

  /** The patterns whose repositories have the action. */
  patternsWith(action: Action): string[] {
    return this.#rights
      .filter(({ actions }) => actions.has(action))
      .flatMap(({ patterns }) => patterns.map(({ text }) => text))
  }
}

/** The repositories that a right is about. */
function patternsOf(right: HeldRight): readonly string[] {
  return right.kind === 'namespace' ? [right.name, `${right.name}/**`] : [right.pattern]
}

function included(actions: readonly Action[]): ReadonlySet<Action> {
  return new Set(actions.flatMap((action) => INCLUDED[action]))
}

/** Of tokens that are remembered; what is remembered no more takes them along. */
const rightsOfLimits = new WeakMap<readonly TokenScope[], Rights>()

/** The part of its account's rights that a personal token has, as if they were rights of its own. */
export function rightsWithin(limits: readonly TokenScope[]): Rights {
  const known = rightsOfLimits.get(limits)
  if (known) return known
  const rights = new Rights(
    limits.map((limit) => ({ kind: 'grant', id: 0, subject: { kind: 'signed-in' }, ...limit })),
  )
  rightsOfLimits.set(limits, rights)
  return rights
}

/**
 * Whether every repository that `inner` can have is one that `outer` has. Of two patterns that both have stars
 * in the middle it may say no where it is so.
 */
export function covers(outer: string, inner: string): boolean {
  return covering(outer)(inner)
}

/** {@link covers} for whoever asks it of many patterns: `outer` is understood once. */
export function covering(outer: string): (inner: string) => boolean {
  if (outer === '**') return () => true
  const pattern = parsePattern(outer)
  const isTree = outer.endsWith('/**') && !outer.slice(0, -3).includes('*')
  const trunk = outer.slice(0, -2)
  return (inner) => {
    if (outer === inner) return true
    if (!inner.includes('*')) return pattern.matches(inner)
    return isTree && inner.startsWith(trunk)
  }
}
