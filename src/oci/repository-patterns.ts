import { RegistryError } from '../errors.js'
import { PATTERN_EXPRESSION } from './patterns.js'
import { nameLengthMax } from './reference.js'

/**
 * The grammar of repository names, as what may come next: `start` of a part, within one (where it may end),
 * and behind each of the characters that join.
 *
 * @see distribution-spec, "Pulling manifests" (the grammar of `<name>`)
 */
type Place = 'start' | 'within' | 'dot' | 'underscore' | 'underscores' | 'dash'

/** Stands for every letter and digit where the pattern leaves the choice. */
const CHOICES = ['a', '.', '_', '-', '/']

const EXPRESSION = new RegExp(PATTERN_EXPRESSION)

/**
 * Parses a pattern of repositories in which somebody is to have rights.
 *
 * @throws {@link RegistryError} `REQUEST_INVALID` when it is malformed, or no repository can have such a name
 */
export function parseRepositoryPattern(text: string): string {
  if (!EXPRESSION.test(text)) {
    throw invalid(text, 'a pattern is 1 to 300 letters, digits and . _ / - *')
  }
  if (!canMatchRepository(text)) {
    throw invalid(
      text,
      `${text} can match no repository: their names are lower-case letters and digits, joined by one of . _ __ or dashes, in parts separated by single slashes`,
    )
  }
  return text
}

/** Whether a pattern has every repository that there can be. */
export function matchesEveryRepository(pattern: string): boolean {
  return /^\*{2,}$/.test(pattern)
}

/** Whether there can be a repository that a pattern has: both are walked together, to the shortest name. */
function canMatchRepository(pattern: string): boolean {
  const pieces = pattern.match(/\*{2,}|[^]/g) ?? []
  const seen = new Set<string>()
  let reached: readonly (readonly [index: number, place: Place])[] = [[0, 'start']]
  for (let length = 0; length <= nameLengthMax && reached.length > 0; length++) {
    const next: [number, Place][] = []
    // Grows while it is walked: a star that stands for nothing more is passed without a character.
    const here = [...reached]
    for (const [index, place] of here) {
      const key = `${index} ${place}`
      if (seen.has(key)) continue
      seen.add(key)
      const piece = pieces[index]
      if (piece === undefined) {
        if (place === 'within') return true
        continue
      }
      const isStar = piece.startsWith('*')
      if (isStar) here.push([index + 1, place])
      const characters = isStar ? CHOICES.filter((one) => piece !== '*' || one !== '/') : [piece]
      for (const character of characters) {
        const then = placeBehind(place, character)
        if (then !== undefined) next.push([isStar ? index : index + 1, then])
      }
    }
    reached = next
  }
  return false
}

function placeBehind(place: Place, character: string): Place | undefined {
  if (/[a-z0-9]/.test(character)) return 'within'
  switch (place) {
    case 'within':
      return { '.': 'dot', _: 'underscore', '-': 'dash', '/': 'start' }[character] as
        Place | undefined
    case 'underscore':
      return character === '_' ? 'underscores' : undefined
    case 'dash':
      return character === '-' ? 'dash' : undefined
    case 'start':
    case 'dot':
    case 'underscores':
      return undefined
  }
}

function invalid(text: string, message: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', message, {
    details: [{ pattern: text.slice(0, 300) }],
  })
}
