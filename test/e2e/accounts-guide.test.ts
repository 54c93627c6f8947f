import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { commandBerth, startBerth } from './support/berth.js'
import { writeLayout } from './support/images.js'
import { attemptCopy, copy } from './support/skopeo.js'

const guide = new URL('../../docs/accounts.md', import.meta.url)

interface Step {
  readonly line: string
  /** What the guide says that it prints, a line each. */
  readonly printed: readonly string[]
}

/** Every `$ berth …` of the guide, in order, but for those that are about something else. */
async function readSteps(): Promise<Step[]> {
  const blocks = (await readFile(guide, 'utf8')).match(/^```\n\$ berth [^]*?\n```$/gm) ?? []
  const steps = blocks.flatMap((block) =>
    block
      .slice(block.indexOf('$ ') + 2, -'\n```'.length)
      .split('\n$ ')
      .map((text) => {
        const [line = '', ...printed] = text.split('\n')
        return { line, printed }
      }),
  )
  // One is about a file of another registry; the other would take away what is tried at the end.
  return steps.filter(({ line }) => !/^berth (user import|token revoke) /.test(line))
}

function argumentsOf(line: string): string[] {
  const words = line.replace(/ > \S+$/, '').match(/'[^']*'|\S+/g) ?? []
  return words.slice(1).map((word) => word.replaceAll("'", ''))
}

it('is true in each of its commands, and two teams, a robot and a mirror come of them', async () => {
  const { host, dataDirectory } = await startBerth({ settings: { BERTH_ACCESS_MODE: 'accounts' } })
  const steps = await readSteps()
  const { source } = await writeLayout()
  const { source: other } = await writeLayout()

  let token = ''
  for (const { line, printed } of steps) {
    const asksPassword = line.startsWith('berth user add ')
    const args = [...argumentsOf(line), ...(asksPassword ? ['--password-stdin'] : [])]
    const input = asksPassword ? { input: 'a password' } : {}
    const { succeeded, stdout, stderr, report } = await commandBerth(args, {
      dataDirectory,
      ...input,
    })
    expect(succeeded, report).toBe(true)
    if (line.startsWith('berth token create ')) token = stdout
    for (const expected of asksPassword ? printed.slice(2) : printed) {
      for (const part of expected.split(/[0-9a-f]+…/))
        expect(`${stdout}\n${stderr}`).toContain(part)
    }
  }
  const ci = ['--dest-creds', `ci:${token}`]
  await copy(source, `docker://${host}/red/app:1.4.2`, ...ci)
  await copy(source, `docker://${host}/mirror/alpine:3`, ...ci)
  await copy(other, `docker://${host}/mirror/alpine:3`, ...ci)
  const moved = copy(other, `docker://${host}/red/app:1.4.2`, ...ci)
  await expect(moved).rejects.toThrow(
    'the tag 1.4.2 of red/app is there already, and ci may not overwrite it',
  )
  const { source: target } = await writeLayout()
  await copy(`docker://${host}/red/app:1.4.2`, target, '--src-creds', 'rob:a password')
  const mirrored = await attemptCopy(`docker://${host}/mirror/alpine:3`, target)
  const hidden = await attemptCopy(`docker://${host}/red/app:1.4.2`, target)

  expect(steps.length).toBeGreaterThan(15)
  expect([mirrored.succeeded, hidden.succeeded]).toEqual([true, false])
})
