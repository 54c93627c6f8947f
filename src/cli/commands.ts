import { ConfigError } from '../config.js'
import { accessExplain } from './access.js'
import { backup } from './backup.js'
import { configCheck, configSchemaCommand, configShow } from './config-commands.js'
import type { CommandIo } from './command-io.js'
import { gc } from './gc.js'
import { audit } from './audit.js'
import { grantAdd, grantList, grantRemove } from './grants.js'
import { groupAdd, groupDelete, groupJoin, groupLeave, groupList, groupMembers } from './groups.js'
import { history } from './history.js'
import { manifestDelete, manifestList, manifestShow } from './manifests.js'
import { namespaceDelete, namespaceList, namespaceSet } from './namespaces.js'
import { repoDescribe, repoList, repoShow, repoVisibility } from './repositories.js'
import { restoreBackup } from './restore-backup.js'
import { retentionPreview, retentionRun } from './retention.js'
import { robotAdd, robotDelete, robotDisable, robotEnable, robotList } from './robots.js'
import { runs } from './runs.js'
import { serve } from './serve.js'
import { signingKeyList, signingKeyRotate } from './signing-keys.js'
import { storageUsage } from './storage-usage.js'
import { tagDelete, tagList } from './tags.js'
import { tokenCreate, tokenList, tokenRevoke } from './tokens.js'
import { repoDelete, restore } from './undo.js'
import { tlsInit } from './tls-init.js'
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, UsageError } from './usage.js'
import {
  userAdd,
  userDelete,
  userDisable,
  userEnable,
  userImport,
  userList,
  userPasswd,
} from './users.js'
import { verify } from './verify.js'
import { version } from './version.js'

/** One thing that `berth` does. */
export interface Command {
  /** The words that call it: `config check`. */
  readonly name: string
  /** What stands behind its name in the help. */
  readonly usage: string
  readonly summary: string
  /** Its own help, below the usage line. */
  readonly help: string
  /** @returns the exit code */
  readonly run: (args: readonly string[], io: CommandIo) => number | Promise<number>
}

export const COMMANDS: readonly Command[] = [
  serve,
  repoList,
  repoShow,
  repoDescribe,
  repoVisibility,
  repoDelete,
  tagList,
  tagDelete,
  manifestList,
  manifestShow,
  manifestDelete,
  history,
  audit,
  restore,
  userAdd,
  userList,
  userPasswd,
  userDisable,
  userEnable,
  userDelete,
  userImport,
  robotAdd,
  robotList,
  robotDisable,
  robotEnable,
  robotDelete,
  groupAdd,
  groupList,
  groupMembers,
  groupJoin,
  groupLeave,
  groupDelete,
  tokenCreate,
  tokenList,
  tokenRevoke,
  grantAdd,
  grantList,
  grantRemove,
  namespaceSet,
  namespaceList,
  namespaceDelete,
  accessExplain,
  signingKeyList,
  signingKeyRotate,
  gc,
  retentionPreview,
  retentionRun,
  storageUsage,
  runs,
  verify,
  backup,
  restoreBackup,
  tlsInit,
  configCheck,
  configShow,
  configSchemaCommand,
  version,
]

const HELP_OPTIONS: ReadonlySet<string> = new Set(['--help', '-h'])
const WANTS_HELP: ReadonlySet<string> = new Set([...HELP_OPTIONS, 'help'])

/**
 * Runs what the arguments say.
 *
 * @returns the exit code: 0, 1 when it failed, 2 when it was called wrongly
 */
export async function runCommand(args: readonly string[], io: CommandIo): Promise<number> {
  try {
    return await dispatch(args, io)
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr.write(`berth: ${error.message}\nTry: berth --help\n`)
      return EXIT_USAGE
    }
    const problems = error instanceof ConfigError ? error.problems : [messageOf(error)]
    for (const problem of problems) io.stderr.write(`berth: ${problem}\n`)
    return EXIT_FAILED
  }
}

async function dispatch(args: readonly string[], io: CommandIo): Promise<number> {
  const [first] = args
  if (first === undefined) {
    io.stderr.write(overview(COMMANDS))
    return EXIT_USAGE
  }
  if (first === 'help' && args.length > 1) return dispatch([...args.slice(1), '--help'], io)
  if (WANTS_HELP.has(first)) {
    io.stdout.write(overview(COMMANDS))
    return EXIT_OK
  }
  if (first === '--version') return version.run([], io)
  const command = COMMANDS.find(({ name }) => isCalled(name, args))
  if (command !== undefined) {
    const rest = args.slice(command.name.split(' ').length)
    // Not the word alone: a repository may be called so.
    if (!rest.some((argument) => HELP_OPTIONS.has(argument))) return command.run(rest, io)
    io.stdout.write(helpOf(command))
    return EXIT_OK
  }
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `))
  if (group.length > 0 && args.slice(1).some((argument) => WANTS_HELP.has(argument))) {
    io.stdout.write(overview(group))
    return EXIT_OK
  }
  throw new UsageError(
    group.length > 0
      ? `${first} needs one of: ${group.map(({ name }) => name.slice(first.length + 1)).join(', ')}`
      : `there is no command ${first}`,
  )
}

function isCalled(name: string, args: readonly string[]): boolean {
  return name.split(' ').every((word, index) => word === args[index])
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const lines = commands.map(({ name, summary }) => `  berth ${name.padEnd(width)}  ${summary}`)
  return `Usage: berth COMMAND [options]\n\n${lines.join('\n')}\n\nberth COMMAND --help says more.\n`
}

function helpOf({ name, usage, summary, help }: Command): string {
  const call = `Usage: berth ${name}${usage && ` ${usage}`}`
  return `${[call, summary, help].filter((text) => text !== '').join('\n\n')}\n`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
