import { RegistryError } from '../errors.js'
import type { GrantSubject } from '../metadata/accounts.js'
import { parseAccountName, parseGroupName } from './account-names.js'

const PREFIXED = /^(user|robot|group):(.*)$/s

/**
 * Parses whom a grant is for: `user:NAME`, `robot:NAME`, `group:NAME`, `signed-in` or `anonymous`.
 * Whether there is one of this name is for whoever looks it up.
 *
 * @throws {@link RegistryError} `REQUEST_INVALID`
 */
export function parseSubject(text: string): GrantSubject {
  if (text === 'signed-in' || text === 'anonymous') return { kind: text }
  const [, kind, name = ''] = PREFIXED.exec(text) ?? []
  if (kind === 'group') return { kind, name: parseGroupName(name) }
  if (kind === 'user' || kind === 'robot') return { kind, name: parseAccountName(name) }
  throw new RegistryError(
    'REQUEST_INVALID',
    'a subject is user:NAME, robot:NAME, group:NAME, signed-in or anonymous',
    { details: [{ subject: text.slice(0, 200) }] },
  )
}

/** As {@link parseSubject} reads it. */
export function subjectText(subject: GrantSubject): string {
  return 'name' in subject ? `${subject.kind}:${subject.name}` : subject.kind
}
