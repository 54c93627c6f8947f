import { parseArgs, type ParseArgsConfig } from 'node:util'

export const EXIT_OK = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

/** The command line was written wrongly: one sentence, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export type Options = NonNullable<ParseArgsConfig['options']>

/**
 * Splits the arguments of a command into its options.
 *
 * @throws {@link UsageError} for options it does not have, and for anything that is not an option
 */
export function parseOptions<T extends Options>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    // Node's text goes on with advice about positional arguments; its first sentence is enough.
    const message = error instanceof Error ? error.message : String(error)
    throw new UsageError(message.split('. ', 1)[0] ?? message)
  }
}
