import { randomBytes } from 'node:crypto'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Passwords } from './passwords.js'

/** A user who may do everything, and how they come in; to be told once, to whoever has started the server. */
export interface FirstAdmin {
  readonly name: string
  readonly password: string
}

/** And admin-2, … where a robot is called so already. */
const usualName = 'admin'

const passwordBytes = 15

/**
 * Makes a user when there is none: without one nobody could come in to make others.
 *
 * @returns undefined when there are users
 */
export async function ensureAdmin(
  { accounts }: MetadataStore,
  passwords: Passwords,
  now: () => number,
): Promise<FirstAdmin | undefined> {
  if (await accounts.hasUsers()) return undefined
  const password = randomBytes(passwordBytes).toString('base64url')
  const passwordHash = await passwords.hash(password)
  let name = usualName
  for (let count = 2; await accounts.findAccount(name); count++) name = `${usualName}-${count}`
  const added = { kind: 'user', name, passwordHash, isAdmin: true } as const
  await accounts.addAccount({ ...added, identity: 'berth', at: now() })
  return { name, password }
}
