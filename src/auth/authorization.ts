/** What an `Authorization` header shows. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly name: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  /** Nothing that could let anybody in. */
  | { readonly kind: 'malformed' }

const NONE: Credentials = { kind: 'none' }
const MALFORMED: Credentials = { kind: 'malformed' }

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/**
 * Understands an `Authorization` header. Clients that hold no credentials but have been asked for some send an
 * empty name with an empty password: that is nobody in particular.
 *
 * @see RFC 7617, section 2; RFC 6750, section 2.1
 */
export function parseAuthorization(header: string | undefined): Credentials {
  if (header === undefined || header === '') return NONE
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +(\S+) *$/.exec(header) ?? []
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { kind: 'bearer', token: value }
    case 'basic':
      return parseBasic(value)
    default:
      return MALFORMED
  }
}

function parseBasic(value: string): Credentials {
  if (!BASE64.test(value)) return MALFORMED
  const bytes = Buffer.from(value, 'base64')
  const text = bytes.toString('utf8')
  const colon = text.indexOf(':')
  // What is not UTF-8 would come out as something else than was sent.
  if (colon === -1 || !Buffer.from(text, 'utf8').equals(bytes)) return MALFORMED
  const name = text.slice(0, colon)
  const password = text.slice(colon + 1)
  if (name === '' && password === '') return NONE
  return { kind: 'password', name, password }
}
