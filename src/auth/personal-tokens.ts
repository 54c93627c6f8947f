import { createHash, randomBytes } from 'node:crypto'

/** What every personal access token begins with, so that whoever finds one knows what it is. */
export const PERSONAL_PREFIX = 'berth_'

/** Of what docker login keeps in place of a password: only good for asking for bearer tokens. */
const REFRESH_PREFIX = 'berth-refresh_'

const secretBytes = 32
const idBytes = 10

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** As many as the largest number of {@link secretBytes} has in base 62. */
const secretDigits = 43

export interface NewSecret {
  /** What it is called where it is listed and revoked; no secret. */
  readonly id: string
  /** What stands in place of a password; nobody but who it is for may see it. */
  readonly text: string
  /** What is kept of it. */
  readonly secretHash: string
}

/** Makes a token: `berth_` and 43 letters and digits, which a double click selects as one word. */
export function createPersonalToken(): NewSecret {
  return createSecret(PERSONAL_PREFIX)
}

/** Makes a refresh token. */
export function createRefreshToken(): NewSecret {
  return createSecret(REFRESH_PREFIX)
}

function createSecret(prefix: string): NewSecret {
  const text = prefix + base62(randomBytes(secretBytes))
  return { id: randomBytes(idBytes).toString('hex'), text, secretHash: hashOfToken(text) }
}

/** Whether a text can be what a token is called, and so is none itself. */
export function isTokenId(text: string): boolean {
  return /^[0-9a-f]{20}$/.test(text)
}

/** SHA-256 of a token, as hexadecimal digits; it is random enough to need no salt and no slow hash. */
export function hashOfToken(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function base62(bytes: Buffer): string {
  let rest = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (let digit = 0; digit < secretDigits; digit++) {
    text = DIGITS.charAt(Number(rest % 62n)) + text
    rest /= 62n
  }
  return text
}
