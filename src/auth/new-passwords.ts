import { RegistryError } from '../errors.js'
import { passwordBytesMax } from './passwords.js'
import { PERSONAL_PREFIX } from './personal-tokens.js'

const passwordBytesMin = 8

/** A lone half of a character of two: in UTF-8 all of them are the same replacement. */
const LONE_HALF = /\p{Surrogate}/u

/**
 * What a password must be that somebody chooses now. Those that were imported may be anything. A refusal never
 * has anything of the password in it.
 *
 * @throws {@link RegistryError} `REQUEST_INVALID`, in a sentence that says why
 */
export function requireGoodPassword(password: string): void {
  const reason = reasonAgainst(password)
  if (reason !== undefined) throw new RegistryError('REQUEST_INVALID', reason)
}

function reasonAgainst(password: string): string | undefined {
  const sizeBytes = Buffer.byteLength(password)
  if (sizeBytes < passwordBytesMin) {
    return `a password has at least ${passwordBytesMin} bytes: shorter ones are guessed`
  }
  if (sizeBytes > passwordBytesMax) {
    return `a password has at most ${passwordBytesMax} bytes: longer ones would keep the registry busy`
  }
  if (/\p{Cc}/u.test(password)) {
    return 'a password has no control characters, such as line breaks: they cannot be typed, and clients do not send them'
  }
  if (LONE_HALF.test(password)) {
    return 'a password is Unicode text; this one has half of a character in it'
  }
  if (password.startsWith(PERSONAL_PREFIX)) {
    return `a password does not begin with ${PERSONAL_PREFIX}: a login would take it for a token`
  }
  return undefined
}
