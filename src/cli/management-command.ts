import { configFor, type CommandIo } from './command-io.js'
import type { Command } from './commands.js'
import { openManagement, type Management } from './management-client.js'
import { EXIT_OK, parseArguments, type Options } from './usage.js'

/** What every command that manages a registry can be told. */
const commonOptions = {
  config: { type: 'string' },
  data: { type: 'string' },
  json: { type: 'boolean' },
} as const satisfies Options

const commonHelp = `  --data DIRECTORY  where the registry keeps everything (dataDirectory)
  --config FILE     its configuration
  --json            prints the answers as they are`

/** A command on the registry in a data directory, whether a server has it or not. */
export interface ManagementCommand<T extends Options> {
  readonly name: string
  readonly summary: string
  /** What it is given, in order; in brackets where it may be left out. */
  readonly operands: readonly string[]
  readonly options: T
  /** The lines of its own options, as they stand in the help; and how they stand in the usage. */
  readonly optionsHelp?: string
  readonly optionsUsage?: string
  /** What is to be said besides. */
  readonly help?: string
  /** @returns the exit code; 0 when nothing */
  readonly run: (call: ManagementCall<T>) => Promise<number | void>
}

export interface ManagementCall<T extends Options> {
  readonly management: Management
  readonly operands: readonly string[]
  readonly options: ReturnType<typeof parseArguments<T>>['options']
  readonly io: CommandIo
  /** Writes an answer: as it is with `--json`, else as the text for people. */
  readonly print: (answer: unknown, textOf: () => string) => void
  /** False once whoever read the output has gone: `… | head`. */
  readonly isHeard: () => boolean
}

/** The command itself: parses, opens the registry, runs, and closes it whatever happened. */
export function managementCommand<T extends Options>(command: ManagementCommand<T>): Command {
  const { name, summary, operands, options, optionsHelp, optionsUsage, help, run } = command
  return {
    name,
    summary,
    usage: [...operands, optionsUsage, '[--data DIRECTORY] [--config FILE] [--json]']
      .filter((part) => part !== undefined)
      .join(' '),
    help: [[optionsHelp, commonHelp].filter((part) => part !== undefined).join('\n'), help]
      .filter((part) => part !== undefined)
      .join('\n\n'),
    async run(args, io) {
      const parsed = parseArguments(args, { ...options, ...commonOptions }, operands)
      const common = parsed.options as { config?: string; data?: string; json?: boolean }
      const { config: file, data, json = false } = common
      const config = configFor(io, { config: file, data })
      const isHeard = listenForReader(io)
      const management = await openManagement(config)
      try {
        const code = await run({
          management,
          operands: parsed.operands,
          options: parsed.options,
          io,
          isHeard,
          print: (answer, textOf) => {
            io.stdout.write(json ? `${JSON.stringify(answer, null, 2)}\n` : textOf())
          },
        })
        return code ?? EXIT_OK
      } finally {
        await management.close()
      }
    },
  }
}

/**
 * What goes wrong with the output is told by the program; nothing that is being done ends for it.
 *
 * @returns what tells whether there is still somebody who reads
 */
function listenForReader({ stdout }: CommandIo): () => boolean {
  let isHeard = true
  stdout.on('error', () => {
    isHeard = false
  })
  return () => isHeard
}
