import { RegistryError } from '../errors.js'

/** What a route needs. */
export type Access = 'pull' | 'push' | 'delete' | 'admin'

/** Who asks. Without accounts everybody is the same one. */
export type Identity = 'anonymous'

export interface AccessPolicy {
  /** open: everything is allowed to everybody. readOnly: nothing but pulling is. */
  readonly mode: 'open' | 'readOnly'
  readonly deletesEnabled: boolean
}

/**
 * Every decision whether somebody may do something.
 *
 * @throws {@link RegistryError} `UNSUPPORTED` for what is switched off for everybody
 */
export function requireAccess(policy: AccessPolicy, access: Access): void {
  if (access === 'pull') return
  if (policy.mode === 'readOnly') {
    throw new RegistryError('UNSUPPORTED', 'the registry is read-only')
  }
  if (access === 'delete' && !policy.deletesEnabled) {
    throw new RegistryError('UNSUPPORTED', 'deleting is switched off on this registry')
  }
}
