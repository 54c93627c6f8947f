import { units } from './figures.mjs'

const nameWidth = 36
const figureWidth = 14
const ratioWidth = 9

/**
 * @typedef {object} Section
 * @property {string} name
 * @property {string} title
 * @property {Readonly<Record<string, { heading: string, unit?: 'rate' | 'per' }>>} columns
 * @property {Readonly<Record<string, string>>} ratios - the columns that are compared, and how
 *   the comparison is headed
 * @property {string} [comparedTo] - the target whose figures those of each other line are divided by;
 *   when absent, Berth's are divided by those of each line
 * @property {readonly string[]} [alsoMeasures] - lines that are no registries of the whole run
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {keyof typeof units} [unit]
 * @property {number} rounds
 * @property {Readonly<Record<string, Readonly<Record<string, number>>>>} targets
 * @property {Readonly<Record<string, Readonly<Record<string, number>>>>} ratios
 */

/**
 * A table for people, line by line, as its rows become known.
 */
export class Table {
  #section
  #targets

  /**
   * @param {Section} section
   * @param {readonly string[]} targets - their names
   */
  constructor(section, targets) {
    this.#section = section
    this.#targets = targets
  }

  head() {
    const { title, columns, ratios } = this.#section
    const headings = Object.values(columns).map(({ heading }) => heading.padStart(figureWidth))
    const compared = this.#hasOthers ? Object.values(ratios) : []
    return `${title}\n\n${this.#line('', 'target', [
      ...headings,
      ...compared.map((heading) => heading.padStart(ratioWidth)),
    ])}`
  }

  /** @param {Row} row */
  row(row) {
    const { columns, ratios } = this.#section
    return this.#targets
      .filter((target) => row.targets[target] !== undefined)
      .map((target, index) => {
        const cells = Object.entries(columns).map(([key, { unit }]) => {
          const figure = readable(row.targets[target]?.[key])
          const suffix = unit === undefined || figure === none ? '' : ` ${units[row.unit][unit]}`
          return `${figure}${suffix}`.padStart(figureWidth)
        })
        const compared = Object.keys(ratios).map((key) => {
          const ratio = row.ratios[target]?.[key]
          return (ratio === undefined ? '' : `${readable(ratio)} ×`).padStart(ratioWidth)
        })
        return this.#line(index === 0 ? row.name : '', target, [...cells, ...compared])
      })
      .join('')
  }

  get #hasOthers() {
    return this.#targets.length > 1
  }

  #line(name, target, cells) {
    const targetWidth = Math.max(...this.#targets.map(({ length }) => length))
    const shown = this.#hasOthers ? [target.padEnd(targetWidth)] : []
    return `${[name.padEnd(nameWidth), ...shown, ...cells].join(' ').trimEnd()}\n`
  }
}

const none = '–'

/** Three digits say all that a noisy machine can tell. */
function readable(number) {
  if (number === undefined) return none
  if (number >= 100) return Math.round(number).toLocaleString('en')
  return number === 0 ? '0' : number.toPrecision(3)
}
