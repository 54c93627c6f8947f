import { CONFIG_FILE_VARIABLE, loadConfig, type Config, type ConfigFlags } from '../config.js'

/** What a command reads from and writes to, and the variables that are set for it. */
export interface CommandIo {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Those of this process. */
export const processIo: CommandIo = {
  get stdin() {
    // Looking at it opens it.
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
}

/** The file that `--config` names, or else the environment. */
export function configFileOf(
  { environment }: CommandIo,
  option: string | undefined,
): string | undefined {
  return option ?? environment[CONFIG_FILE_VARIABLE]
}

/**
 * The configuration that a command works with: its options beat environment variables, and those beat the
 * file.
 *
 * @throws {@link ConfigError}
 */
export function configFor(
  io: CommandIo,
  { config, ...flags }: ConfigFlags & { readonly config?: string | undefined },
): Config {
  const file = configFileOf(io, config)
  return loadConfig({ environment: io.environment, flags, ...(file !== undefined && { file }) })
}
