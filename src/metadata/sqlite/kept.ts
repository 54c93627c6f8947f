const kept: object[] = []

/**
 * From Node.js 24.19 on, an object of better-sqlite3 12 that is garbage-collected at the wrong moment
 * ends the process (13 has the cure, and needs Node.js 22). So none of ours ever is: connections last
 * as long as the process and statements are prepared once, so there are few. What would make more of
 * them, `pragma()` and `iterate()`, is not used.
 */
export function keep<T extends object>(object: T): T {
  kept.push(object)
  return object
}
