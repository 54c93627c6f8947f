/** The settings of a configuration, each by its key: `['http.port', 5000]`. */
export function settingsIn(group: object, prefix = ''): [string, unknown][] {
  return Object.entries(group).flatMap(([key, value]: [string, unknown]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? settingsIn(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, value] as [string, unknown]],
  )
}
