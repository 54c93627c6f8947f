import { parseArgs } from 'node:util'
import { wholeTagEvery } from './stores/docker-registry-store.mjs'

/** What a run measures, usually and when it has to be quick, and what its help says of it. */
const sizes = {
  rounds: { usual: 3, quick: 1, help: 'times each row is measured; the median counts' },
  seconds: { usual: 1.5, quick: 1, help: 'how long each round of small requests lasts' },
  gib: { usual: 4, quick: 1, help: 'GiB that a row of large blobs moves, all rounds together' },
  blob: { usual: 1024, quick: 256, help: 'MiB of the largest blob' },
  repositories: { usual: 1_000_000, quick: 100_000, help: 'repositories in the large store' },
  tags: { usual: 500_000, quick: 100_000, help: 'tags of one repository in the large store' },
  referrers: { usual: 10_000, quick: 1000, help: 'referrers of one manifest in it' },
  collected: {
    usual: 100_000,
    quick: 5000,
    help: 'images that garbage collection is measured with',
  },
  middle: { usual: 100_000, quick: 10_000, help: 'repositories and tags in the middle store' },
  small: { usual: 1000, quick: 1000, help: 'repositories and tags in the small store' },
  images: { usual: 10_000, quick: 1000, help: 'tiny images whose disk space is measured' },
  uploads: { usual: 64, quick: 64, help: 'parallel uploads whose memory is measured' },
  upload: { usual: 256, quick: 64, help: 'MiB of each' },
  readers: { usual: 500, quick: 500, help: 'slow readers whose memory is measured' },
  minutes: { usual: 60, quick: 20, help: 'a run that takes longer is given up' },
}

const fractional = ['seconds', 'gib', 'minutes']

/**
 * @typedef {Readonly<Record<keyof typeof sizes, number>> & Others} Options
 *
 * @typedef {object} Others
 * @property {readonly string[]} only - names of workloads; all when empty
 * @property {readonly string[]} target - registries that run already: `NAME=URL,PID`
 * @property {boolean} peer - whether docker-registry and nginx are measured too
 * @property {string} [stores] - a folder that keeps the stores
 * @property {string} [profile] - a folder for profiles of Berth
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
      only: { type: 'string', multiple: true, default: [] },
      target: { type: 'string', multiple: true, default: [] },
      stores: { type: 'string' },
      profile: { type: 'string' },
      'no-peer': { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { only, target, stores, profile, json, help } = values
  const unknown = only.find((name) => !workloads.includes(name))
  if (unknown !== undefined) {
    throw new Error(`there is no workload ${unknown}; there are ${workloads.join(', ')}`)
  }
  const numbers = Object.entries(sizes).map(([name, { usual, quick }]) => [
    name,
    values[name] === undefined ? (values.quick ? quick : usual) : positive(name, values[name]),
  ])
  const options = Object.fromEntries(numbers)
  if (options.middle < options.rounds * wholeTagEvery) {
    throw new Error(`--middle must be at least ${wholeTagEvery} for each round`)
  }
  return { ...options, only, target, stores, profile, peer: !values['no-peer'], json, help }
}

/** @param {readonly { name: string, title: string }[]} workloads */
export function helpText(workloads) {
  const number = (value) => value.toLocaleString('en')
  const sizeLines = Object.entries(sizes).map(([name, { usual, quick, help }]) => [
    `--${name} N`,
    `${help} (${number(usual)}; quick: ${number(quick)})`,
  ])
  const lines = [
    ['--quick', 'smaller sizes, one round: a few minutes instead of half an hour'],
    ['--only NAME', 'this workload alone; may be given again'],
    ['--no-peer', 'without docker-registry and nginx, which are measured too where installed'],
    ['--target NAME=URL,PID', 'one registry more, which runs already; may be given again;'],
    ['', 'what is pushed to it stays there'],
    ['--stores FOLDER', 'keeps the large stores there, and finds them there the next time'],
    [
      '--profile FOLDER',
      'a file for each workload, of where the time of Berth goes; figures suffer',
    ],
    ['--json', 'all figures as JSON on standard output, the table on standard error'],
  ]
  return `Usage: npm run bench -- [options]

Measures Berth on this machine, in a temporary folder, over loopback, and Debian's docker-registry
beside it: the same work on each in turn, round after round.

${columns(lines)}

Sizes:

${columns(sizeLines)}

Workloads:

${columns(workloads.map(({ name, title }) => [name, title.split(/[,:]/)[0]]))}
`
}

function columns(lines) {
  const width = Math.max(...lines.map(([first]) => first.length))
  return lines.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`).join('\n')
}

function positive(name, text) {
  const number = Number(text)
  const isPossible = number > 0 && (fractional.includes(name) || Number.isInteger(number))
  if (isPossible && Number.isFinite(number)) return number
  throw new Error(`--${name} must be a number above 0`)
}
