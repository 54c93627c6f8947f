/** Deeper than any manifest or configuration, shallower than any stack. */
const depthMax = 64

/** The text is not JSON that two readers would understand alike. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
}

/**
 * Parses JSON, and refuses what `JSON.parse` lets pass: invalid UTF-8, a byte order mark, a key
 * that stands twice in one object (another reader may take the other value), and nesting deeper
 * than {@link depthMax}.
 *
 * @throws {@link JsonError} with a sentence that says which
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new JsonError('it is not valid UTF-8', { cause: error })
  }
  refuseDeepNesting(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new JsonError('it is not valid JSON', { cause: error })
  }
  refuseDuplicateKeys(text)
  return value
}

/** Runs before the parser, so that a nesting bomb never reaches it. */
function refuseDeepNesting(text: string): void {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at)
        break
      case '{':
      case '[':
        depth++
        if (depth > depthMax) {
          throw new JsonError(`it is nested deeper than ${depthMax} levels`)
        }
        break
      case '}':
      case ']':
        depth--
        break
      default:
    }
  }
}

/** Expects valid JSON: then a string before a colon is a key of the innermost object. */
function refuseDuplicateKeys(text: string): void {
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push(new Set())
        break
      case '[':
        open.push(undefined)
        break
      case '}':
      case ']':
        open.pop()
        break
      case '"': {
        const end = endOfString(text, at)
        if (isFollowedByColon(text, end + 1)) {
          const key = JSON.parse(text.slice(at, end + 1)) as string
          const keys = open.at(-1)
          if (keys?.has(key)) {
            throw new JsonError(`the key ${JSON.stringify(key.slice(0, 100))} stands twice`)
          }
          keys?.add(key)
        }
        at = end
        break
      }
      default:
    }
  }
}

/** Where the string that opens at `start` closes; the end of the text when it never does. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return text[at] === ':'
}
