import { isAccountName } from '../auth/account-names.js'
import { isPasswordHash } from '../auth/passwords.js'

export interface HtpasswdUser {
  readonly name: string
  readonly passwordHash: string
}

/** A line that cannot be used. */
export interface UnusableLine {
  readonly line: number
  /** What is wrong with it, without anything that could be a password or its hash. */
  readonly reason: string
}

export interface Htpasswd {
  readonly users: readonly HtpasswdUser[]
  readonly unusable: readonly UnusableLine[]
}

/** Reads a file of `NAME:HASH` lines, as `htpasswd -B` writes them. */
export function parseHtpasswd(text: string): Htpasswd {
  const users: HtpasswdUser[] = []
  const unusable: UnusableLine[] = []
  const lineOf = new Map<string, number>()
  for (const [index, row] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    if (row.trim() === '' || row.startsWith('#')) continue
    const line = index + 1
    const colon = row.indexOf(':')
    const name = row.slice(0, colon)
    // What stands behind a second colon is a comment.
    const [passwordHash = ''] = row.slice(colon + 1).split(':', 1)
    const reason = reasonAgainst(colon, name, passwordHash.trim(), lineOf.get(name))
    if (reason !== undefined) {
      unusable.push({ line, reason })
      continue
    }
    lineOf.set(name, line)
    users.push({ name, passwordHash: passwordHash.trim() })
  }
  return { users, unusable }
}

function reasonAgainst(
  colon: number,
  name: string,
  passwordHash: string,
  lineBefore: number | undefined,
): string | undefined {
  if (colon === -1) return 'it has no colon between a name and a hash'
  if (!isAccountName(name)) return 'no user can have this name'
  if (lineBefore !== undefined) return `${name} stands in line ${lineBefore} already`
  if (isPasswordHash(passwordHash)) return undefined
  return `the password of ${name} is ${kindOf(passwordHash)}: only bcrypt (htpasswd -B) and argon2id can be used`
}

function kindOf(passwordHash: string): string {
  if (passwordHash.startsWith('$apr1$') || passwordHash.startsWith('$1$')) return 'hashed with MD5'
  if (passwordHash.startsWith('{SHA}')) return 'hashed with SHA-1'
  if (/^\$[56]\$/.test(passwordHash)) return 'hashed with SHA-2'
  if (/^\$(2[abxy]?|argon2)/.test(passwordHash)) return 'malformed, or too costly to check'
  return 'hashed with crypt, or not at all'
}
