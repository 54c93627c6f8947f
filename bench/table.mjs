/**
 * @typedef {object} Section
 * @property {string} name
 * @property {string} title
 * @property {string} promise
 * @property {Readonly<Record<string, string>>} columns - the heading of each figure
 * @property {readonly Record<string, string | number>[]} rows - a name, and a number for each column
 */

/**
 * The figures of one workload, for people.
 *
 * @param {Section} section
 */
export function tableOf({ title, promise, columns, rows }) {
  const lines = [
    ['', ...Object.values(columns)],
    ...rows.map((row) => [row.name, ...Object.keys(columns).map((key) => readable(row[key]))]),
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  )
  return `${title}\n(promised: ${promise})\n\n${text.join('\n')}\n`
}

/** Three digits say all that a noisy machine can tell. */
function readable(number) {
  if (number >= 100) return Math.round(number).toLocaleString('en')
  return number.toPrecision(3)
}
