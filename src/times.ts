/** Of a day, as settings count them: in milliseconds. */
export const dayMs = 24 * 60 * 60 * 1000

/**
 * Whether what was found at `since` is younger than `forMs`. Not where the clock was set back meanwhile: it
 * would be for as long as that.
 */
export function isFresh(since: number, at: number, forMs: number): boolean {
  return at >= since && at - since < forMs
}

/** A date with a time of the day, as far as it is written: to the minute, the second, or finer; with a zone. */
const WRITTEN = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2})(?::(\d{2})(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/

/**
 * The last millisecond of what a text names, which is a date or a time in the form of ISO 8601: of the day,
 * the minute, the second. Without a zone it is that of the clock on this machine's wall.
 *
 * @returns undefined for what no calendar or clock shows
 */
export function lastMomentOf(text: string): number | undefined {
  const [, date, minute = '23:59', second = '59', fraction = '.999', zone = ''] =
    WRITTEN.exec(text) ?? []
  if (date === undefined) return undefined
  const clock = `${date}T${minute}:${second}`
  // There is a parser that takes the 30th of February for the 2nd of March.
  const understood = Date.parse(`${clock}Z`)
  if (Number.isNaN(understood)) return undefined
  if (!new Date(understood).toISOString().startsWith(clock)) return undefined
  const moment = Date.parse(`${clock}${fraction}${zone}`)
  return Number.isNaN(moment) ? undefined : moment
}

/** The first millisecond of what a text names, as {@link lastMomentOf} has its last. */
export function firstMomentOf(text: string): number | undefined {
  if (lastMomentOf(text) === undefined) return undefined
  const [, date = '', minute = '00:00', second = '00', fraction = '', zone = ''] =
    WRITTEN.exec(text) ?? []
  return Date.parse(`${date}T${minute}:${second}${fraction}${zone}`)
}

/** Whether a text is a time as RFC 3339 has it: with its seconds and its zone. */
export function isWholeTime(text: string): boolean {
  const [, , , second, , zone] = WRITTEN.exec(text) ?? []
  return second !== undefined && zone !== undefined && lastMomentOf(text) !== undefined
}
