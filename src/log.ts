import { writeSync } from 'node:fs'
import { pino, type Logger } from 'pino'
import type { Config } from './config.js'

/** Lines are written together: one by one they cost a tenth of a small request. */
const batchLength = 4096

/** How late a line may come. */
const flushMs = 100

/** What waits for a standard error that takes nothing now; beyond it lines are lost. */
const waitingLengthMax = 1024 * 1024

const standardError = 2

/**
 * Logs go to standard error, so that standard output holds only what a person asked for.
 *
 * Nothing that could be a secret is ever put into a line; the redaction is for what the framework
 * might add. (With wildcards it would cost 5 µs a line, a twentieth of a small request.)
 */
export async function createLog({ level, format }: Config['log']): Promise<Logger> {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  const options = { level, redact: ['req.headers.authorization', 'req.headers.cookie'] }
  if (isPretty) {
    // Only where a person reads along: it is large.
    const { PinoPretty } = await import('pino-pretty')
    return pino(options, PinoPretty({ destination: 2, ignore: 'pid,hostname' }))
  }
  return pino(options, (lines ??= openLines()))
}

/** As there is one standard error. */
let lines: WaitingLines | undefined

function openLines(): WaitingLines {
  const opened = new WaitingLines()
  setInterval(() => opened.flushSync(), flushMs).unref()
  process.once('exit', () => opened.flushSync())
  return opened
}

/**
 * Where pino writes to. Its own destination tries for ever, and holds the process up, when the
 * disk behind standard error is full; a log that cannot be written must not stop a registry.
 */
class WaitingLines {
  #waiting = ''

  write(line: string): void {
    this.#waiting += line
    if (this.#waiting.length >= batchLength) this.flushSync()
  }

  /** Writes what waits, as far as it is taken. pino calls this after a fatal line too. */
  flushSync(): void {
    const bytes = Buffer.from(this.#waiting)
    let at = 0
    try {
      while (at < bytes.byteLength) at += writeSync(standardError, bytes, at)
      this.#waiting = ''
    } catch {
      const rest = bytes.subarray(at)
      this.#waiting = rest.byteLength > waitingLengthMax ? '' : rest.toString()
    }
  }
}
