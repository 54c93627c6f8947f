/** The schema of a path or a query. */
interface PartSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: string }>>
}

/** One way to write each number: no `1e0`, `0x1`, `1.0`, `+1`, `01` or blanks. */
const INTEGER = /^(0|-?[1-9]\d*)$/

/**
 * What stands in a URL is text. Puts numbers and booleans in the place of texts that are written as such
 * where the schema asks for them. Other texts stay as they are: the schema refuses them.
 */
export function readValues(part: unknown, { properties = {} }: PartSchema): void {
  const values = part as Record<string, unknown>
  for (const [name, { type }] of Object.entries(properties)) {
    const text = values[name]
    if (typeof text === 'string') values[name] = valueOf(text, type)
  }
}

function valueOf(text: string, type: string | undefined): unknown {
  if (type === 'integer' && INTEGER.test(text)) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
