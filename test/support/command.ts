import { PassThrough, Readable, Writable } from 'node:stream'
import { runCommand } from '../../src/cli/commands.js'
import type { CommandIo } from '../../src/cli/command-io.js'

export interface CommandOptions {
  /** All variables that are set for it. */
  readonly environment?: Readonly<Record<string, string>>
  /** What stands on its standard input; nothing by default. */
  readonly input?: string
}

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, in this process. `berth serve` wants one of its own. */
export async function runBerth(
  args: readonly string[],
  { environment = {}, input = '' }: CommandOptions = {},
): Promise<Ended> {
  const stdout = new Text()
  const stderr = new Text()
  const stdin = Readable.from([Buffer.from(input)]).pipe(new PassThrough())
  const io: CommandIo = { stdin, stdout, stderr, environment }
  const code = await runCommand(args, io)
  return { code, stdout: stdout.text, stderr: stderr.text }
}

/** Keeps what is written to it. */
class Text extends Writable {
  readonly #pieces: Buffer[] = []

  get text(): string {
    return Buffer.concat(this.#pieces).toString('utf8')
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.#pieces.push(piece)
    done()
  }
}
