import { RegistryError } from '../errors.js'
import type { Action } from '../metadata/accounts.js'
import { isRepositoryName, type RepositoryName } from '../oci/reference.js'

/** What a client asks a token for, or a token is for; `actions` in the words of the protocol. */
export interface BearerAccess {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

/** Asks for what a list of repositories needs. */
export const CATALOG_SCOPE = 'registry:catalog:*'

/** A push names its own repository, and those it mounts blobs from. */
const scopesMax = 100

const scopesLengthMax = 16 * 1024

/**
 * Scopes as token requests have them: several parameters, or one with spaces between them. What has no
 * meaning here is left out, as it grants nothing.
 *
 * @throws {@link RegistryError} `REQUEST_INVALID` for more than anybody needs
 * @see distribution, "Token Scope Documentation"
 */
export function parseScopes(parameter: string | readonly string[] | undefined): BearerAccess[] {
  const texts = [parameter ?? []].flat()
  if (texts.reduce((sum, text) => sum + text.length, 0) > scopesLengthMax) throw tooMany()
  const scopes = texts.flatMap((text) => text.split(' ')).filter((text) => text !== '')
  if (scopes.length > scopesMax) throw tooMany()
  return scopes.map(parseScope).filter((scope) => scope !== undefined)
}

function tooMany(): RegistryError {
  return new RegistryError('REQUEST_INVALID', `a token is for at most ${scopesMax} scopes`)
}

/** `repository:host:5000/team/app:pull,push`: a name may have a colon, so both ends count. */
function parseScope(text: string): BearerAccess | undefined {
  const first = text.indexOf(':')
  const last = text.lastIndexOf(':')
  if (first <= 0 || last === first) return undefined
  // A class in parentheses has no meaning any more.
  const [type = ''] = text.slice(0, first).split('(', 1)
  const name = text.slice(first + 1, last)
  const actions = text
    .slice(last + 1)
    .split(',')
    .filter((action) => /^([a-z]+|\*)$/.test(action))
  return actions.length > 0 ? { type, name, actions: [...new Set(actions)] } : undefined
}

/** The scope of a repository that a request needs, as a challenge says it. */
export function scopeOf(repository: RepositoryName, action: Action): string {
  return `repository:${repository}:${WANTED[action]}`
}

/** Whoever pushes also looks. */
const WANTED: Readonly<Record<Action, string>> = {
  pull: 'pull',
  create: 'pull,push',
  overwrite: 'pull,push',
  delete: 'delete',
  admin: '*',
}

/** The word of the protocol that an action needs. */
const WORD: Readonly<Record<Action, string>> = {
  pull: 'pull',
  create: 'push',
  overwrite: 'push',
  delete: 'delete',
  admin: '*',
}

/** Whether a token that was made for this is for that action on that repository. */
export function isFor(
  access: readonly BearerAccess[],
  repository: RepositoryName,
  action: Action,
): boolean {
  return access.some(
    ({ type, name, actions }) =>
      type === 'repository' &&
      name === repository &&
      (actions.includes(WORD[action]) || actions.includes('*')),
  )
}

/** Whether it is for lists of repositories; docker search has its own word for that. */
export function isForCatalog(access: readonly BearerAccess[]): boolean {
  return access.some(
    ({ type, name, actions }) =>
      type === 'registry' &&
      name === 'catalog' &&
      (actions.includes('*') || actions.includes('search')),
  )
}

/**
 * Of what a client asks for, that which may be given.
 *
 * @param may - whether who asks has the right
 */
export async function grantScopes(
  asked: readonly BearerAccess[],
  may: (repository: RepositoryName, action: Action) => Promise<boolean>,
): Promise<BearerAccess[]> {
  const given: BearerAccess[] = []
  for (const { type, name, actions } of asked) {
    const granted =
      type === 'repository' && isRepositoryName(name)
        ? await repositoryActions(name, actions, may)
        : type === 'registry' && name === 'catalog'
          ? actions.filter((action) => action === '*' || action === 'search')
          : []
    if (granted.length > 0) given.push({ type, name, actions: granted })
  }
  return given
}

async function repositoryActions(
  name: RepositoryName,
  actions: readonly string[],
  may: (repository: RepositoryName, action: Action) => Promise<boolean>,
): Promise<string[]> {
  const wantsAll = actions.includes('*')
  if (wantsAll && (await may(name, 'admin'))) return ['*']
  const granted: string[] = []
  for (const action of ['pull', 'create', 'delete'] as const) {
    const word = WORD[action]
    if ((wantsAll || actions.includes(word)) && (await may(name, action))) granted.push(word)
  }
  return granted
}
