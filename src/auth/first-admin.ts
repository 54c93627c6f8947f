import { randomBytes } from 'node:crypto'
import type { AuditLog } from '../events/audit.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Passwords } from './passwords.js'

/** A user who may do everything, and how they come in; to be told once, to whoever has started the server. */
export interface FirstAdmin {
  readonly name: string
  readonly password: string
}

export interface FirstAdminOptions {
  readonly metadata: MetadataStore
  readonly passwords: Passwords
  readonly audit: AuditLog
  readonly now: () => number
  /** Tells somebody; settles when that has arrived. */
  readonly tell: (admin: FirstAdmin) => Promise<void>
}

/** And admin-2, … where a robot is called so already. */
const usualName = 'admin'

const passwordBytes = 15

/**
 * Makes a user when there is none: without one nobody could come in to make others. They are told of
 * first: who is killed in between makes another one the next time, where it would have been a user whose
 * password nobody knows.
 *
 * @returns undefined when there are users
 * @throws what `tell` throws; then there is no user still
 */
export async function ensureAdmin(options: FirstAdminOptions): Promise<FirstAdmin | undefined> {
  const { metadata, passwords, audit, now, tell } = options
  const { accounts } = metadata
  if (await accounts.hasUsers()) return undefined
  const password = randomBytes(passwordBytes).toString('base64url')
  const passwordHash = await passwords.hash(password)
  let name = usualName
  for (let count = 2; await accounts.findAccount(name); count++) name = `${usualName}-${count}`
  await tell({ name, password })
  const added = { kind: 'user', name, passwordHash, isAdmin: true } as const
  await accounts.addAccount({ ...added, identity: 'berth', at: now() })
  audit.note({ action: 'user.add', target: name, details: { isAdmin: true } })
  return { name, password }
}
