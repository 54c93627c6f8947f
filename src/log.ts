import { pino, type Logger } from 'pino'
import { PinoPretty } from 'pino-pretty'
import type { Config } from './config.js'

/**
 * Logs go to standard error, so that standard output holds only what a person asked for.
 *
 * Nothing that could be a secret is ever put into a line; the redaction is for what a library
 * might add.
 */
export function createLog({ level, format }: Config['log']): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  const options = { level, redact: ['*.headers.authorization', '*.headers.cookie'] }
  return isPretty
    ? pino(options, PinoPretty({ destination: 2, ignore: 'pid,hostname' }))
    : pino(options, pino.destination({ dest: 2, sync: true }))
}
