import { parseArgs } from 'node:util'

/** What a run measures when it is not told otherwise, and how its help calls it. */
const sizes = {
  repositories: { usual: 100_000, help: 'repositories in the large store' },
  tags: { usual: 100_000, help: 'tags of one repository in it' },
  referrers: { usual: 1000, help: 'referrers of one subject in it' },
  layer: { usual: 4096, help: 'MiB of the large layer' },
  seconds: { usual: 3, help: 'how long each row is measured' },
}

/**
 * @typedef {object} Options
 * @property {number} repositories
 * @property {number} tags
 * @property {number} referrers
 * @property {number} layer - MiB
 * @property {number} seconds
 * @property {readonly string[]} only - names of workloads; all when empty
 * @property {boolean} json
 * @property {boolean} help
 */

/**
 * Splits the command line.
 *
 * @param {readonly string[]} args
 * @param {readonly string[]} workloads - the names that `--only` may have
 * @returns {Options}
 * @throws {Error} with a sentence for the person who wrote it
 */
export function parseOptions(args, workloads) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(Object.keys(sizes).map((name) => [name, { type: 'string' }])),
      only: { type: 'string', multiple: true },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  const { only = [], json = false, help = false } = values
  const unknown = only.find((name) => !workloads.includes(name))
  if (unknown !== undefined) {
    throw new Error(`there is no workload ${unknown}; there are ${workloads.join(', ')}`)
  }
  const numbers = Object.entries(sizes).map(([name, { usual }]) => [
    name,
    values[name] === undefined ? usual : positive(name, values[name]),
  ])
  return { ...Object.fromEntries(numbers), only, json, help }
}

/** @param {readonly { name: string, title: string }[]} workloads */
export function helpText(workloads) {
  const lines = [
    ...Object.entries(sizes).map(([name, { usual, help }]) => [
      `--${name} N`,
      `${help} (${usual.toLocaleString('en')})`,
    ]),
    ['--only NAME', 'measure this alone; may be given again'],
    ['--json', 'print the figures as JSON'],
  ]
  return `Usage: npm run bench -- [options]

Measures what Berth promises, on this machine, in a temporary folder, over loopback.

${columns(lines)}

What NAME can be:

${columns(workloads.map(({ name, title }) => [name, title]))}
`
}

function columns(lines) {
  const width = Math.max(...lines.map(([first]) => first.length))
  return lines.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`).join('\n')
}

function positive(name, text) {
  const number = Number(text)
  const isPossible = number > 0 && (name === 'seconds' || Number.isInteger(number))
  if (isPossible && Number.isFinite(number)) return number
  throw new Error(`--${name} must be a number above 0`)
}
