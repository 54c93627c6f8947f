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
 * Splits the arguments of a command into its options and what else it is given.
 *
 * @param operands - what it is to be given, in order; in brackets where it may be left out; with dots
 *   behind the last where there may be more of it
 * @throws {@link UsageError} for options it does not have, and for too many or too few operands
 */
export function parseArguments<T extends Options>(
  args: readonly string[],
  options: T,
  operands: readonly string[],
) {
  try {
    const parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
    requireOperands(parsed.positionals, operands)
    return { options: parsed.values, operands: parsed.positionals }
  } catch (error) {
    throw usageError(error)
  }
}

function requireOperands(given: readonly string[], operands: readonly string[]): void {
  const missing = operands.slice(given.length).find((operand) => !operand.startsWith('['))
  if (missing !== undefined) throw new UsageError(`${missing.replace(/\.+$/, '')} is missing`)
  if (operands.at(-1)?.endsWith('...')) return
  const extra = given[operands.length]
  if (extra !== undefined) throw new UsageError(`Unexpected argument '${extra}'`)
}

/**
 * Splits the arguments of a command into its options.
 *
 * @throws {@link UsageError} for options it does not have, and for anything that is not an option
 */
export function parseOptions<T extends Options>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    throw usageError(error)
  }
}

function usageError(error: unknown): UsageError {
  if (error instanceof UsageError) return error
  // Node's text goes on with advice about positional arguments; its first sentence is enough.
  const message = error instanceof Error ? error.message : String(error)
  return new UsageError(message.split('. ', 1)[0] ?? message)
}
