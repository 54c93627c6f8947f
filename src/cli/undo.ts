import { createInterface } from 'node:readline/promises'
import { lastMomentOf } from '../times.js'
import type { CommandIo } from './command-io.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { repositoryPath } from './references.js'
import { countText, localTimeText } from './tables.js'
import { EXIT_FAILED, EXIT_OK, UsageError } from './usage.js'

export const repoDelete: Command = managementCommand({
  name: 'repo delete',
  summary: 'Deletes a repository with everything in it; berth restore brings it back.',
  operands: ['REPO'],
  options: { confirm: { type: 'string' } },
  optionsUsage: '[--confirm REPO]',
  optionsHelp: '  --confirm REPO    the name once more, for scripts; else it is asked for',
  async run({ management, operands: [name = ''], options, print, io }) {
    const path = repositoryPath(name)
    if (options.confirm === undefined) await management.request('GET', path)
    const confirm = options.confirm ?? (await ask(`Type ${name} once more to delete it: `, io))
    if (confirm !== name) throw new Error(`${name} is not deleted: that was not its name`)
    const answer = await management.request<{ restorableUntil: string }>(
      'DELETE',
      `${path}?confirm=${encodeURIComponent(confirm)}`,
    )
    print(
      answer,
      () =>
        `${name} is deleted. Until ${localTimeText(answer.restorableUntil)} it comes back with:\n` +
        `  berth restore ${name}\n`,
    )
  },
})

interface Restored {
  readonly digest?: string
  readonly changed?: boolean
  readonly tags?: readonly string[]
  readonly tagCount?: number
  readonly lostCount?: number
  readonly keptCount?: number
}

export const restore: Command = managementCommand({
  name: 'restore',
  summary: 'Brings back what was deleted or overwritten.',
  operands: ['REPO[:TAG][@TIME]'],
  options: { as: { type: 'string' } },
  optionsUsage: '[--as NAME]',
  optionsHelp:
    '  --as NAME         the name that a deleted repository shall have, where its own is taken',
  help: `  REPO              a deleted repository, whole
  REPO@TIME         every tag as it was at that time; tags that are newer stay
  REPO:TAG          the tag as it was before its last change; with @TIME, as it was then
  REPO@DIGEST       a deleted manifest, and the tags that went with it

TIME is as berth history prints it; what that line tells has happened then. Less of it is the end of what it
names: 2026-11-21T18:30 the end of that minute, 2026-11-21 the end of that day.`,
  async run({ management, operands: [what = ''], options, print }) {
    const { name, ...wanted } = parseWanted(what)
    const body = { ...wanted, ...(options.as !== undefined && { as: options.as }) }
    const path = `${repositoryPath(name)}/restore`
    const restored = await management.request<Restored>('POST', path, body)
    print(restored, () => `${restoredText(what, restored)}\n`)
    const { lostCount = 0, keptCount = 0 } = restored
    return lostCount + keptCount === 0 ? EXIT_OK : EXIT_FAILED
  },
})

/** `team/app:v1@2026-11-21T18:30` in its parts. */
function parseWanted(text: string): { name: string; tag?: string; digest?: string; at?: string } {
  const [, name = '', tag, behind] = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(text) ?? []
  if (name === '') throw new UsageError(`${text} is not REPO, REPO:TAG, REPO@TIME or REPO@DIGEST`)
  if (behind?.startsWith('sha')) {
    if (tag !== undefined) throw new UsageError('a digest says it all: leave the tag out')
    return { name, digest: behind }
  }
  return {
    name,
    ...(tag !== undefined && { tag }),
    ...(behind !== undefined && { at: parseTime(behind) }),
  }
}

function parseTime(text: string): string {
  const time = lastMomentOf(text)
  if (time === undefined) throw new UsageError(`${text} is not a time: write 2026-11-21T18:30`)
  return new Date(time).toISOString()
}

function restoredText(what: string, restored: Restored): string {
  const { digest, changed, tags, tagCount, lostCount = 0, keptCount = 0 } = restored
  if (digest !== undefined) {
    return changed ? `${what} points to ${digest}.` : `${what} pointed to ${digest} already.`
  }
  if (tags === undefined || tagCount === undefined) return `${what} is back.`
  const more = tagCount > tags.length ? ` and ${tagCount - tags.length} more` : ''
  const lines = [
    tagCount > 0 && `${what}: back are ${tags.join(', ')}${more}.`,
    lostCount > 0 && `${cannotBeBack(lostCount)}: what was there then is gone for good.`,
    keptCount > 0 && `${cannotBeBack(keptCount)}: immutable, and pointing elsewhere by now.`,
  ].filter((line) => line !== false)
  return lines.length > 0 ? lines.join('\n') : `${what}: no tag had to be brought back.`
}

/** `1 tag cannot be brought back` */
function cannotBeBack(count: number): string {
  return `${countText(count, 'tag')} cannot be brought back`
}

async function ask(question: string, { stdin, stderr }: CommandIo): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr })
  try {
    // Where nobody types, the end of the input is an answer, too.
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
    return (await Promise.race([lines.question(question), ended])).trim()
  } finally {
    lines.close()
  }
}
