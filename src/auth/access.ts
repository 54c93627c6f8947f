/** What a route needs. */
export type Access = 'pull' | 'push' | 'delete' | 'admin'

/**
 * Who asks. Without accounts everybody is the same one, but for whoever can read the data directory of
 * a running server.
 */
export type Identity = 'anonymous' | 'operator'

export interface AccessPolicy {
  /**
   * What everybody may do. open: pull, push and delete. readOnly: nothing but pull. What concerns the
   * whole registry, or files of the server, is the operator's in either.
   */
  readonly mode: 'open' | 'readOnly'
  readonly deletesEnabled: boolean
}

/**
 * Every decision whether somebody may do something.
 *
 * @returns why not, in a sentence for the one who asks; undefined when they may
 */
export function refusalOfAccess(
  policy: AccessPolicy,
  identity: Identity,
  access: Access,
): string | undefined {
  if (access === 'pull' || identity === 'operator') return undefined
  if (access === 'admin') {
    return 'only the operator may do this: whoever sends the token in berth.operator.json'
  }
  if (policy.mode === 'readOnly') return 'the registry is read-only'
  if (access === 'delete' && !policy.deletesEnabled) {
    return 'deleting is switched off on this registry'
  }
  return undefined
}
