import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config-schema.js'
import { loadConfig } from '../../src/config.js'
import { temporaryDirectory } from '../support/directories.js'
import { runBerth } from '../support/command.js'
import { runBerthProcess } from '../support/process.js'

const COMMANDS = [
  'serve',
  'repo list',
  'repo show',
  'repo describe',
  'repo visibility',
  'repo delete',
  'tag list',
  'tag delete',
  'manifest list',
  'manifest show',
  'manifest delete',
  'history',
  'audit',
  'restore',
  'user add',
  'user list',
  'user passwd',
  'user disable',
  'user enable',
  'user delete',
  'user import',
  'robot add',
  'robot list',
  'robot disable',
  'robot enable',
  'robot delete',
  'group add',
  'group list',
  'group members',
  'group join',
  'group leave',
  'group delete',
  'token create',
  'token list',
  'token revoke',
  'grant add',
  'grant list',
  'grant remove',
  'namespace set',
  'namespace list',
  'namespace delete',
  'access explain',
  'signing-key list',
  'signing-key rotate',
  'gc',
  'usage',
  'runs',
  'verify',
  'backup',
  'restore-backup',
  'config check',
  'tls init',
  'config show',
  'config schema',
  'version',
]

async function configFile(settings: object): Promise<string> {
  const file = path.join(await temporaryDirectory(), 'berth.json')
  await writeFile(file, JSON.stringify(settings))
  return file
}

describe('berth', () => {
  it.each([['--help'], ['-h'], ['help']])('names its commands for %s %s', async (...args) => {
    const { code, stdout, stderr } = await runBerth(args)

    expect(code).toBe(0)
    for (const command of COMMANDS) expect(stdout).toMatch(`  berth ${command} `)
    expect(stderr).toBe('')
  })

  it('says more of a command that help is asked for', async () => {
    const asked = await runBerth(['help', 'config', 'check'])
    const option = await runBerth(['config', 'check', '--help'])

    expect(asked).toEqual(option)
    expect(asked.stdout).toMatch(/^Usage: berth config check /)
  })

  it('names them as a complaint when it is called with nothing', async () => {
    const { code, stdout, stderr } = await runBerth([])

    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^Usage: berth COMMAND/)
  })

  it.each([
    [['nonsense'], 'there is no command nonsense'],
    [['serv'], 'there is no command serv'],
    [['--nonsense'], 'there is no command --nonsense'],
    [['config'], 'config needs one of: check, show, schema'],
    [['config', 'nonsense'], 'config needs one of: check, show, schema'],
    [['version', '--nonsense'], "Unknown option '--nonsense'"],
    [['version', 'nonsense'], "Unexpected argument 'nonsense'"],
    [['serve', '--prot', '1'], "Unknown option '--prot'"],
    [['serve', 'nonsense'], "Unexpected argument 'nonsense'"],
    [['serve', '--port'], "Option '--port <value>' argument missing"],
    [['config', 'check', '--nonsense'], "Unknown option '--nonsense'"],
    [['config', 'schema', '--config', 'x'], "Unknown option '--config'"],
  ])('refuses to be called as %j, in one sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await runBerth(args)

    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toBe(`berth: ${sentence}\nTry: berth --help\n`)
  })
})

describe('--help', () => {
  it.each(COMMANDS)('says what %s is for, and does nothing else', async (command) => {
    const { code, stdout, stderr } = await runBerth([...command.split(' '), '--help'])

    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`^Usage: berth ${command}\\b.*\n\n[A-Z].*\\.\n`))
    expect(stderr).toBe('')
  })

  it('wins over other options, right or wrong', async () => {
    const { code, stdout } = await runBerthProcess(['serve', '--nonsense', '--port', 'x', '-h'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^Usage: berth serve/)
  })

  it('names the commands of a group', async () => {
    const { code, stdout } = await runBerth(['config', '--help'])

    expect(code).toBe(0)
    expect(stdout).toMatch('berth config check')
    expect(stdout).not.toMatch('berth serve')
  })

  it('explains every option of serve', async () => {
    const { stdout } = await runBerthProcess(['serve', '--help'])

    for (const option of ['--config FILE', '--host HOST', '--port PORT', '--data DIRECTORY']) {
      expect(stdout).toMatch(new RegExp(`\n  ${option} +\\S`))
    }
  })
})

describe('berth version', () => {
  it.each(['version', '--version'])('is that of the package: %s', async (argument) => {
    const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(text) as { version: string }

    const { code, stdout } = await runBerth([argument])

    expect(code).toBe(0)
    expect(stdout).toBe(`berth ${version} (Node.js ${process.versions.node})\n`)
  })
})

describe('berth config check', () => {
  it('is content with no configuration', async () => {
    const { code, stdout, stderr } = await runBerth(['config', 'check'])

    expect(code).toBe(0)
    expect(stdout).toBe('The configuration is valid.\n')
    expect(stderr).toBe('')
  })

  it('tells all that is wrong, one sentence a line, and no stack', async () => {
    const file = await configFile({ prot: 1, http: { port: 'x' } })

    const { code, stdout, stderr } = await runBerth(['config', 'check', '--config', file], {
      environment: { BERTH_NONSENSE: '1' },
    })

    expect(code).toBe(1)
    expect(stdout).toBe('')
    expect(stderr.trimEnd().split('\n').toSorted()).toEqual([
      'berth: The environment variable BERTH_NONSENSE is not one that Berth knows.',
      'berth: http.port must be integer.',
      'berth: prot is not a setting that Berth knows.',
    ])
  })

  it('looks at the file that the environment names, unless an option names one', async () => {
    const wrong = await configFile({ prot: 1 })
    const right = await configFile({})
    const environment = { BERTH_CONFIG: wrong }

    const byEnvironment = await runBerth(['config', 'check'], { environment })
    const byOption = await runBerth(['config', 'check', '--config', right], { environment })

    expect(byEnvironment.code).toBe(1)
    expect(byOption.code).toBe(0)
  })

  it('tells when there is no such file', async () => {
    const { code, stderr } = await runBerth(['config', 'check', '--config', '/nowhere/berth.json'])

    expect(code).toBe(1)
    expect(stderr).toBe(
      'berth: The configuration file /nowhere/berth.json cannot be read: it cannot be opened.\n',
    )
  })
})

describe('berth config show', () => {
  it('prints what would hold', async () => {
    const file = await configFile({ http: { port: 1, host: 'file' } })

    const { code, stdout } = await runBerth(['config', 'show', '--config', file], {
      environment: { BERTH_HTTP_PORT: '2' },
    })

    const expected = loadConfig({ environment: { BERTH_HTTP_PORT: '2' }, file })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(expected)
  })

  it('prints a file that Berth takes, and that changes nothing', async () => {
    const { stdout } = await runBerth(['config', 'show'])
    const file = await configFile(JSON.parse(stdout) as object)

    const again = await runBerth(['config', 'show', '--config', file])

    expect(again).toEqual({ code: 0, stdout, stderr: '' })
  })
})

describe('berth config schema', () => {
  it('prints what is published', async () => {
    const { code, stdout } = await runBerth(['config', 'schema'])

    const published = await readFile(new URL('../../config.schema.json', import.meta.url), 'utf8')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(JSON.parse(published))
    expect(JSON.parse(stdout)).toEqual(configSchema)
  })
})
