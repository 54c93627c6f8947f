import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { CommandIo } from './command-io.js'
import { UsageError, type Options } from './usage.js'

/** For commands that are given a password: never as an argument, which every process on the machine can read. */
export const passwordOption = { 'password-stdin': { type: 'boolean' } } as const satisfies Options
export const passwordUsage = '[--password-stdin]'
export const passwordHelp =
  '  --password-stdin  reads the password from standard input, one line; else it is asked for'

/** Far more than any password has; what is longer is another file. */
const inputBytesMax = 64 * 1024

/** Where a password is asked for, or read from; what is typed is shown nowhere. */
export type PasswordSource = Pick<CommandIo, 'stdin' | 'stderr'>

/**
 * A new password, asked for twice on a terminal without showing it, or read from standard input. No error has
 * anything of it.
 *
 * @throws {@link UsageError} where there is nobody to ask
 */
export async function readNewPassword(
  isFromInput: boolean,
  source: PasswordSource,
): Promise<string> {
  if (isFromInput) return readLine(source.stdin)
  if (!source.stdin.isTTY) {
    throw new UsageError(
      'there is no terminal to ask for the password at; --password-stdin reads it from standard input',
    )
  }
  const [password, again] = await askHidden(['Password: ', 'The same again: '], source)
  if (password === undefined) throw new Error('there was no password: nothing has changed')
  if (password !== again) throw new Error('these were two different passwords: nothing has changed')
  return password
}

/** What stands in the input up to its end; a line break at the end is not part of it. */
async function readLine(input: PasswordSource['stdin']): Promise<string> {
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of input) {
    const bytes = Buffer.from(piece as Buffer)
    sizeBytes += bytes.byteLength
    if (sizeBytes > inputBytesMax) throw new Error('standard input has more than one line')
    pieces.push(bytes)
  }
  const text = textOf(Buffer.concat(pieces)).replace(/\r?\n$/, '')
  if (text === '') throw new Error('standard input has no password')
  if (/[\r\n]/.test(text)) throw new Error('standard input has more than one line')
  return text
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    // Its own message is none, but others could quote what they were given.
    throw new Error('standard input is no UTF-8 text')
  }
}

/**
 * Asks one question after another.
 *
 * @returns as many answers as were given; fewer when the input has ended, and none after Ctrl-C
 */
function askHidden(
  questions: readonly string[],
  { stdin, stderr }: PasswordSource,
): Promise<string[]> {
  return new Promise((resolve) => {
    // The terminal is in raw mode while this is open: nothing is shown but by us, and closing puts it back.
    const lines = createInterface({
      input: stdin,
      output: nowhere(),
      terminal: true,
      historySize: 0,
    })
    const answers: string[] = []
    let isCancelled = false
    const ask = () => stderr.write(questions[answers.length] ?? '')
    lines.on('line', (line) => {
      // What was typed ahead has answered the last one already.
      if (answers.length === questions.length) return
      answers.push(line)
      stderr.write('\n')
      if (answers.length === questions.length) lines.close()
      else ask()
    })
    lines.once('SIGINT', () => {
      isCancelled = true
      lines.close()
    })
    lines.once('close', () => {
      if (answers.length < questions.length) stderr.write('\n')
      resolve(isCancelled ? [] : answers)
    })
    ask()
  })
}

function nowhere(): Writable {
  return new Writable({ write: (_bytes, _encoding, done) => done() })
}
