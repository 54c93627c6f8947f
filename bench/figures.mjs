/**
 * The figures of a row that puts load on a server: a number for each target and each of these.
 *
 * @typedef {object} LoadFigures
 * @property {number} rate - of {@link units}' `rate`
 * @property {number} p50Ms
 * @property {number} p99Ms
 * @property {number} longestMs
 * @property {number} cpuSeconds - of the server, for each of {@link units}' `per`
 * @property {number} peakMiB - the most memory the server held
 * @property {number} clientCpuSeconds - as `cpuSeconds`, of the clients
 */

/** What a load is counted in. */
export const units = {
  requests: { rate: '/s', per: '/1,000' },
  images: { rate: '/s', per: '/1,000' },
  bytes: { rate: 'MiB/s', per: '/GiB' },
}

/** The columns of a table of such rows. */
export const loadColumns = {
  rate: { heading: 'rate', unit: 'rate' },
  p50Ms: { heading: 'p50 ms' },
  p99Ms: { heading: 'p99 ms' },
  cpuSeconds: { heading: 'CPU s', unit: 'per' },
  peakMiB: { heading: 'peak RSS MiB' },
}

/** Which of them Berth is compared by. */
export const loadRatios = { rate: 'rate', cpuSeconds: 'CPU' }

/**
 * @param {keyof typeof units} unit
 * @param {object} summary - of a load
 * @param {{ cpuSeconds: number, peakMiB: number }} cost - of the server
 * @returns {LoadFigures}
 */
export function figuresOf(unit, summary, { cpuSeconds, peakMiB }) {
  const { count, bytes, seconds, p50Ms, p99Ms, longestMs, clientCpuSeconds } = summary
  const [moved, per] = unit === 'bytes' ? [bytes / 2 ** 20, 1024] : [count, 1000]
  return {
    rate: moved / seconds,
    p50Ms,
    p99Ms,
    longestMs,
    cpuSeconds: (cpuSeconds / moved) * per,
    peakMiB,
    clientCpuSeconds: (clientCpuSeconds / moved) * per,
  }
}

/** Of which the highest counts, not the median. */
const peaks = ['peakMiB', 'longestMs']

/** Of several rounds. */
export function medians(rounds) {
  return Object.fromEntries(
    Object.keys(rounds[0]).map((key) => {
      const sorted = rounds.map((figures) => figures[key]).sort((a, b) => a - b)
      return [key, peaks.includes(key) ? sorted.at(-1) : medianOf(sorted)]
    }),
  )
}

function medianOf(sorted) {
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * What Berth's figures are of each other target's.
 *
 * @param {readonly string[]} keys - of the figures that are compared
 */
export function ratiosOf({ berth, ...others }, keys) {
  return mapped(others, (figures) => quotients(berth, figures, keys))
}

/** What each other target's figures are of those of one of them, by its name. */
export function ratiosTo(base, { [base]: known, ...others }, keys) {
  return mapped(others, (figures) => quotients(figures, known, keys))
}

function mapped(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]))
}

function quotients(dividend, divisor, keys) {
  return Object.fromEntries(
    keys
      .filter((key) => dividend?.[key] !== undefined && divisor?.[key] !== undefined)
      .map((key) => [key, dividend[key] / divisor[key]]),
  )
}
