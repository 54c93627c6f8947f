const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** A number of bytes for people, in units of a thousand and rounded: `1.2 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // What would be rounded to 1000 is 1 of the next unit.
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '')
  return `${digits} ${UNITS[unit] ?? ''}`
}
