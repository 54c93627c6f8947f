/** Rows of text for a person to read. */

/**
 * `2026-11-21T20:15:30+01:00`: an API's time as the clock on this machine's wall shows it.
 *
 * @param options - with `milliseconds` nothing of it is left out
 */
export function localTimeText(
  time: string,
  { milliseconds = false }: { readonly milliseconds?: boolean } = {},
): string {
  const date = new Date(time)
  const offsetMinutes = -date.getTimezoneOffset()
  const local = new Date(date.getTime() + offsetMinutes * 60_000)
    .toISOString()
    .slice(0, milliseconds ? 23 : 19)
  if (offsetMinutes === 0) return `${local}Z`
  const size = Math.abs(offsetMinutes)
  const hours = String(Math.floor(size / 60)).padStart(2, '0')
  const minutes = String(size % 60).padStart(2, '0')
  return `${local}${offsetMinutes < 0 ? '-' : '+'}${hours}:${minutes}`
}

/** What came from outside must not move a terminal's cursor, nor break a line. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

/** As much of a text as fits; an ellipsis tells that there is more. */
export function shortened(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`
}

/** Columns below their titles, two spaces apart; each as wide as what has been in it so far. */
export class Table {
  readonly #widths: number[]
  #titles: readonly string[] | undefined

  constructor(titles: readonly string[]) {
    this.#titles = titles
    this.#widths = titles.map(() => 0)
  }

  /** The lines of rows; the first time below the titles. */
  textOf(rows: readonly (readonly string[])[]): string {
    const printables = rows.map((row) => row.map(printable))
    const all = this.#titles ? [this.#titles, ...printables] : printables
    this.#titles = undefined
    for (const row of all) {
      for (const [column, cell] of row.entries()) {
        this.#widths[column] = Math.max(this.#widths[column] ?? 0, cell.length)
      }
    }
    return all.map((row) => `${this.#line(row)}\n`).join('')
  }

  #line(row: readonly string[]): string {
    const cells = row.map((cell, column) => cell.padEnd(this.#widths[column] ?? 0))
    return cells.join('  ').trimEnd()
  }
}

/** What has no row in a table: names with their values, below each other. */
export function listText(entries: readonly (readonly [string, string | undefined])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length))
  return entries
    .filter(([, value]) => value !== undefined)
    .map(([name, value = '']) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd() + '\n')
    .join('')
}

/** `1 tag`, `2 tags`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
