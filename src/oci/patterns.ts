/**
 * Patterns for names: `*` stands for any part of one path component, `**` for anything at all, and
 * every other character for itself. `team/*` is every repository right below `team`, `team/**` every
 * one below it at any depth, `**` every one there is.
 */
export interface Pattern {
  readonly text: string
  /** What every name that matches begins with. */
  readonly prefix: string
  matches(name: string): boolean
}

/** What patterns of repositories and tags may have in them. */
export const PATTERN_EXPRESSION = '^[A-Za-z0-9._/*-]{1,300}$'

/** The same of tags alone, which have no slash: `*` and `**` mean the same there. */
export const TAG_PATTERN_EXPRESSION = '^[A-Za-z0-9._*-]{1,128}$'

/** Understands a pattern; its time is linear in the name, whatever it has in it. */
export function parsePattern(text: string): Pattern {
  const star = text.indexOf('*')
  if (star === -1) return { text, prefix: text, matches: (name) => name === text }
  const prefix = text.slice(0, star)
  // Most patterns say no more than this, and are asked of every request.
  if (text.slice(star) === '**') return { text, prefix, matches: (name) => name.startsWith(prefix) }
  const pieces = text.match(/\*{2,}|\*|[^*]+/g) ?? []
  return { text, prefix, matches: (name) => name.startsWith(prefix) && isMatch(pieces, name) }
}

/** The first of a list whose pattern of repositories has the name in it. */
export function firstMatch<T extends { readonly repositories: Pattern }>(
  list: readonly T[],
  name: string,
): T | undefined {
  return list.find(({ repositories }) => repositories.matches(name))
}

/**
 * The places in the name that the pieces so far can have reached, piece by piece: no way back, so no
 * pattern takes long.
 */
function isMatch(pieces: readonly string[], name: string): boolean {
  let reached = new Set([0])
  for (const piece of pieces) {
    const next = new Set<number>()
    if (piece.startsWith('*')) {
      for (const place of reached) {
        for (let end = place; end <= name.length; end++) {
          if (next.has(end)) break
          next.add(end)
          if (piece === '*' && name[end] === '/') break
        }
      }
    } else {
      for (const place of reached) {
        if (name.startsWith(piece, place)) next.add(place + piece.length)
      }
    }
    reached = next
  }
  return reached.has(name.length)
}
