import { parsePattern, type Pattern } from '../oci/patterns.js'

/**
 * Whose eyes a list of repositories is for: those that are public, and those that any of the patterns has.
 * Absent where everything may be seen.
 */
export interface Viewer {
  readonly patterns: readonly string[]
  /** Of those that `patterns` have, only what one of these has too. */
  readonly within?: readonly string[]
}

/** What they match is what their viewer was granted to see, whatever is public besides. */
export function patternsOf({ patterns, within }: Viewer): Pattern[] {
  const parsed = patterns.map(parsePattern)
  if (within === undefined) return parsed
  const others = within.map(parsePattern)
  return parsed.map((pattern) => ({
    ...pattern,
    matches: (name) => pattern.matches(name) && others.some((other) => other.matches(name)),
  }))
}

/** Which names a viewer was granted to see, whatever is public besides. */
export function sightOf(viewer: Viewer): (name: string) => boolean {
  const patterns = patternsOf(viewer)
  return (name) => patterns.some((pattern) => pattern.matches(name))
}
