import { ratiosOf, ratiosTo } from './figures.mjs'
import { Table } from './table.mjs'

/** What has been measured so far: lines for people at once, JSON at the end. */
export class Report {
  #targets
  #print
  #sections = []
  #table

  /**
   * @param {readonly string[]} targets - their names
   * @param {(text: string) => void} print
   */
  constructor(targets, print) {
    this.#targets = targets
    this.#print = print
  }

  /** @param {import('./table.mjs').Section} section */
  begin({ name, title, columns, ratios, comparedTo, alsoMeasures = [] }) {
    this.#sections.push({ name, title, columns, ratios, comparedTo, rows: [] })
    this.#table = new Table({ name, title, columns, ratios }, [...this.#targets, ...alsoMeasures])
    this.#print(this.#table.head())
  }

  add(measured) {
    const { rows, ratios, comparedTo } = this.#sections.at(-1)
    const { targets } = measured
    const keys = Object.keys(ratios)
    const row = {
      ...measured,
      ratios:
        comparedTo === undefined ? ratiosOf(targets, keys) : ratiosTo(comparedTo, targets, keys),
    }
    rows.push(row)
    this.#print(this.#table.row(row))
  }

  end() {
    this.#print('\n')
  }

  get sections() {
    return this.#sections
  }
}
