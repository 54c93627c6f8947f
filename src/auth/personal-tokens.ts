import { createHash, randomBytes, randomUUID } from 'node:crypto'

/** By which people, and programs that look for secrets in code, know one. */
export const PERSONAL_PREFIX = 'berth_'

/** Of what docker login keeps in place of a password: only good for asking for bearer tokens. */
const REFRESH_PREFIX = 'berth-refresh_'

const secretBytes = 32

export interface NewSecret {
  readonly id: string
  /** To be shown once. */
  readonly text: string
  /** What is stored of it: as random as it is, it needs no more than SHA-256, as hexadecimal digits. */
  readonly secretHash: string
}

/** A personal access token. */
export function createPersonalToken(): NewSecret {
  return createSecret(PERSONAL_PREFIX)
}

/** A refresh token. */
export function createRefreshToken(): NewSecret {
  return createSecret(REFRESH_PREFIX)
}

function createSecret(prefix: string): NewSecret {
  const text = prefix + randomBytes(secretBytes).toString('base64url')
  return { id: randomUUID(), text, secretHash: hashOfToken(text) }
}

export function hashOfToken(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
