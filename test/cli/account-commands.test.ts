import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { answerOf } from '../support/management.js'
import { runBerth, type Ended } from '../support/command.js'
import { startTestServer } from '../support/server.js'

const HASH = '$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC'

/** Runs `berth …` on a registry, whatever comes of it. */
function run(dataDirectory: string, line: string, input?: string): Promise<Ended> {
  return runBerth([...line.split(' '), '--data', dataDirectory], {
    ...(input !== undefined && { input }),
  })
}

/** The same; it must go well. */
async function berth(dataDirectory: string, line: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(dataDirectory, line, input)
  expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: '' })
  return stdout
}

function rowsOf(table: string): string[][] {
  const lines = table.trimEnd().split('\n').slice(1)
  return lines.map((line) => line.split(/ {2,}/))
}

describe('berth user', () => {
  it('adds, lists, disables, enables and deletes users', async () => {
    const { dataDirectory } = await startTestServer()
    const it = (line: string, input?: string) => berth(dataDirectory, line, input)

    expect(await it('user add ada --admin --password-stdin', 'correct horse\n')).toBe(
      'Added the admin ada.\n',
    )
    expect(await it('user add bob --no-password')).toBe('Added the user bob.\n')
    expect(await it('user disable bob')).toBe('bob is disabled.\n')
    expect(rowsOf(await it('user list')).map(([name, state]) => [name, state])).toEqual([
      ['ada', 'admin'],
      ['bob', 'disabled, no password'],
    ])
    expect(await it('user passwd bob --password-stdin', 'battery staple')).toBe(
      'bob has a new password. They are disabled still: see berth user enable.\n',
    )
    expect(await it('user enable bob')).toBe('bob is enabled.\n')
    expect(await it('user delete ada')).toBe('Deleted the user ada.\n')
    expect(rowsOf(await it('user list')).map(([name, state]) => [name, state])).toEqual([
      ['bob', 'user'],
    ])
  })

  it('does the same where no server runs: so a locked-out admin gets in again', async () => {
    const { dataDirectory, server } = await startTestServer()
    await server.close()

    await berth(dataDirectory, 'user add ada --admin --no-password')
    await berth(dataDirectory, 'user passwd ada --password-stdin', 'correct horse')

    const shown = JSON.parse(await berth(dataDirectory, 'user list --json')) as object
    expect(shown).toMatchObject({ items: [{ name: 'ada', hasPassword: true, isAdmin: true }] })
  })

  it('takes passwords from nowhere but a terminal or standard input', async () => {
    const { app, dataDirectory } = await startTestServer()

    const unasked = await run(dataDirectory, 'user add ada')
    const asArgument = await run(dataDirectory, 'user add ada secretsecret')
    const both = await run(dataDirectory, 'user add ada --no-password --password-stdin', 'x')
    const empty = await run(dataDirectory, 'user add ada --password-stdin', '')
    const bad = await run(dataDirectory, 'user add ada --password-stdin', 'secret\u0007secret')

    expect([unasked, asArgument, both, empty, bad].map(({ code }) => code)).toEqual([2, 2, 2, 1, 1])
    expect(unasked.stderr).toMatch(/^berth: there is no terminal to ask for the password at/)
    expect(empty.stderr).toBe('berth: standard input has no password\n')
    expect(bad.stderr).toMatch(/^berth: a password has no control characters/)
    expect(bad.stderr + bad.stdout).not.toContain('secret')
    expect(await answerOf(app, 'GET', '/users')).toEqual({ items: [] })
  })

  it('tells before it reads a password that there is nobody to have it', async () => {
    const { dataDirectory } = await startTestServer()

    const { code, stderr } = await run(dataDirectory, 'user passwd nobody')

    expect([code, stderr]).toEqual([1, 'berth: there is no user of this name\n'])
  })

  it('imports an htpasswd file: all of it, or what can be used', async () => {
    const { app, dataDirectory } = await startTestServer()
    const file = path.join(await temporaryDirectory(), 'htpasswd')
    await writeFile(file, `ada:${HASH}\nbob:$apr1$secret$secret\nmia:${HASH}\n`)

    const refused = await run(dataDirectory, `user import ${file}`)
    const before = await answerOf(app, 'GET', '/users')
    const skipped = await run(dataDirectory, `user import ${file} --skip-unusable`)
    const again = await run(dataDirectory, `user import ${file} --skip-unusable`)

    const line = `berth: ${file}, line 2: the password of bob is hashed with MD5: only bcrypt (htpasswd -B) and argon2id can be used\n`
    expect(refused).toEqual({
      code: 1,
      stdout: '',
      stderr: `${line}berth: nobody was added; --skip-unusable adds the others, and leaves these out\n`,
    })
    expect(before).toEqual({ items: [] })
    expect(skipped).toEqual({ code: 0, stdout: 'Added 2 users.\n', stderr: line })
    expect(again.stderr).toBe(`${line}berth: there are users or robots called ada, mia already\n`)
    expect(again.code).toBe(1)
  })
})

describe('berth token', () => {
  it('prints the token alone, and tells of it where people read', async () => {
    const { dataDirectory } = await startTestServer()
    await berth(dataDirectory, 'robot add ci')

    const made = await run(
      dataDirectory,
      'token create ci --description builds --days 30 --scope team/**=create,pull --scope a=pull',
    )
    const list = rowsOf(await berth(dataDirectory, 'token list ci'))

    expect(made.code).toBe(0)
    expect(made.stdout).toMatch(/^berth_[A-Za-z0-9]{43}\n$/)
    const [, id = ''] =
      /^Token ([0-9a-f]{20}) of ci, good until \S+\. It is shown this once:\n$/.exec(made.stderr) ??
      []
    expect(list).toEqual([
      [id, 'ci', expect.stringMatching(/^\d{4}-/), 'never', 'team/**=pull,create a=pull', 'builds'],
    ])
    expect(await berth(dataDirectory, `token revoke ${id}`)).toBe(`Revoked the token ${id}.\n`)
    expect(rowsOf(await berth(dataDirectory, 'token list'))).toEqual([])
  })

  it.each([
    ['token create ci', 2, '--description TEXT is missing'],
    ['token create ci --description x --days soon', 2, '--days must be a number'],
    ['token create ci --description x --scope team', 2, 'team is not PATTERN=ACTIONS'],
    ['token create ci --description x --scope Team=pull', 1, 'Team can match no repository'],
    ['token create nobody --description x', 1, 'there is no user and no robot of this name'],
  ])('refuses %s', async (line, code, sentence) => {
    const { dataDirectory } = await startTestServer()
    await berth(dataDirectory, 'robot add ci')

    const refused = await run(dataDirectory, line)

    expect(refused).toMatchObject({ code, stdout: '' })
    expect(refused.stderr).toContain(sentence)
  })
})

describe('what a registry of two teams needs', () => {
  it('is said with groups, grants and namespaces, and explained', async () => {
    const { app, dataDirectory } = await startTestServer()
    await answerOf(app, 'PUT', '/repositories/red%2Fapp', { description: 'x' })
    const it = (line: string) => berth(dataDirectory, line)

    await it('user add ada --no-password')
    expect(await it('robot add ci')).toMatch(/^Added the robot ci\. A token lets it in:\n/)
    expect(await it('group add red')).toBe('Added the group red.\n')
    expect(await it('group join red ada')).toBe('ada is in red.\n')
    expect(await it('group join red ada')).toBe('ada was in red already.\n')
    expect(await it('group members red')).toBe('MEMBER\nada\n')
    expect(rowsOf(await it('group list'))).toEqual([['red', '1', expect.any(String)]])
    expect(await it('namespace set red --owner group:red')).toBe(
      'red is owned by group:red; new repositories in it are private.\n',
    )
    expect(await it('namespace set red --visibility public')).toBe(
      'red is owned by group:red; new repositories in it are public.\n' +
        'Mind: those that are there stay as they are; red/app is private: berth repo visibility changes that.\n',
    )
    expect(await it('namespace set red --no-owner')).toMatch(/^red is owned by nobody; .* public/)
    expect(rowsOf(await it('namespace list'))).toEqual([
      ['red', 'nobody', 'public', expect.any(String)],
    ])
    expect(await it('grant add robot:ci red/* create')).toBe(
      'Grant 1: robot:ci has create on red/*.\n',
    )
    expect(await it('grant add group:red ** pull,delete')).toBe(
      'Grant 2: group:red has pull, delete on **.\nMind: ** is every repository there is, and every one that will be.\n',
    )
    const given: unknown[] = [expect.any(String), 'operator']
    expect(rowsOf(await it('grant list'))).toEqual([
      ['1', 'robot:ci', 'red/*', 'create', ...given],
      ['2', 'group:red', '**', 'pull,delete', ...given],
    ])
    expect(rowsOf(await it('grant list robot:ci'))).toHaveLength(1)
    expect(await it('access explain ci red/app create')).toBe(
      'Allowed: grant 1: robot:ci has create on red/*.\n',
    )
    expect(await it('access explain ci red/app overwrite')).toBe(
      'Not allowed: nothing gives ci overwrite on red/app.\n',
    )
    expect(await it('repo visibility red/app public')).toBe('red/app is public.\n')
    expect(await it('namespace set red --visibility public')).toBe(
      'red is owned by nobody; new repositories in it are public.\n',
    )
    expect(await it('access explain anonymous red/app pull')).toMatch(
      /^Allowed: red\/app is public/,
    )
    expect(await it('repo show red/app')).toMatch(/\nvisibility +public\n/)
    expect(await it('group leave red ada')).toBe('ada has left red.\n')
    expect(await it('grant remove 1')).toBe('Grant 1 is gone.\n')
    expect(await it('robot disable ci')).toBe('ci is disabled.\n')
    expect(rowsOf(await it('robot list')).map((row) => row[1])).toEqual(['disabled'])
    expect(await it('robot enable ci')).toBe('ci is enabled.\n')
    expect(await it('robot delete ci')).toBe('Deleted the robot ci.\n')
    expect(await it('group delete red')).toBe('Deleted the group red.\n')
    expect(await it('namespace delete red')).toMatch(/^The namespace red is nobody's/)
    expect(JSON.parse(await it('grant list --json'))).toEqual({ items: [] })
  })
})

describe('berth grant remove', () => {
  it('takes no more for the number of a grant than one', async () => {
    const { app, dataDirectory } = await startTestServer()
    await berth(dataDirectory, 'grant add signed-in team/** pull')

    for (const id of ['1e0', '0x1', '01', '1.0', '0', '+1', 'team/**', '']) {
      const { code, stdout, stderr } = await runBerth([
        ...['grant', 'remove', id, '--data', dataDirectory],
      ])

      expect({ id, code, stdout }).toEqual({ id, code: 2, stdout: '' })
      expect(stderr).toMatch(/^berth: ID must be the number of a grant: see berth grant list\n/)
    }
    expect(await answerOf(app, 'GET', '/grants')).toMatchObject({ items: [{ id: 1 }] })
  })
})
