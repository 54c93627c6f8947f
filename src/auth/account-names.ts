import { RegistryError } from '../errors.js'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/

/** What stands in the history for those who have no account; in no way of writing them, lest people be misled. */
const RESERVED: ReadonlySet<string> = new Set(['anonymous', 'berth', 'operator'])

const GRAMMAR =
  'is 1 to 128 letters, digits and . _ @ + -, of ASCII, and begins with a letter or a digit'

/**
 * Parses the name of a user or a robot. Names compare by their bytes: `Ada` is not `ada`.
 *
 * @throws {@link RegistryError} `REQUEST_INVALID`, also for `anonymous`, `berth` and `operator`
 */
export function parseAccountName(text: string): string {
  if (!NAME.test(text)) throw invalid(text, `the name of an account ${GRAMMAR}`)
  if (RESERVED.has(text.toLowerCase())) {
    throw invalid(text, `no account can be called ${text}: it means what has none`)
  }
  return text
}

/** As {@link parseAccountName}, for groups: none of their names is reserved. */
export function parseGroupName(text: string): string {
  if (!NAME.test(text)) throw invalid(text, `the name of a group ${GRAMMAR}`)
  return text
}

/** Whether there can be an account of this name. */
export function isAccountName(text: string): boolean {
  return NAME.test(text) && !RESERVED.has(text.toLowerCase())
}

/** Whether there can be a group of this name. */
export function isGroupName(text: string): boolean {
  return NAME.test(text)
}

function invalid(text: string, message: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', message, { details: [{ name: text.slice(0, 200) }] })
}
