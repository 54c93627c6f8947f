/** Rows of text for a person to read. */

const units = ['kB', 'MB', 'GB', 'TB', 'PB']

/** `999 B`, `1.4 GB`: decimal units, as disks are sold and as `df -H` counts. */
export function sizeText(sizeBytes: number): string {
  if (sizeBytes < 1000) return `${sizeBytes} B`
  let size = sizeBytes
  let unit = -1
  // What would be rounded to 1000 is one of the next.
  while (size >= 999.95 && unit < units.length - 1) {
    size /= 1000
    unit++
  }
  return `${size.toFixed(1)} ${units[unit]}`
}

/** `2026-11-21T20:15:30+01:00`: an API's time as the clock on this machine's wall shows it. */
export function localTimeText(time: string): string {
  const date = new Date(time)
  const offsetMinutes = -date.getTimezoneOffset()
  const local = new Date(date.getTime() + offsetMinutes * 60_000).toISOString().slice(0, 19)
  if (offsetMinutes === 0) return `${local}Z`
  const size = Math.abs(offsetMinutes)
  const hours = String(Math.floor(size / 60)).padStart(2, '0')
  const minutes = String(size % 60).padStart(2, '0')
  return `${local}${offsetMinutes < 0 ? '-' : '+'}${hours}:${minutes}`
}

/** Columns below their titles, two spaces apart; each as wide as what is in it. */
export function tableText(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const lines = [titles, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** What has no row in a table: names with their values, below each other. */
export function listText(entries: readonly (readonly [string, string | undefined])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length))
  return entries
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}\n`)
    .join('')
}
