import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { runBerth } from '../support/command.js'
import { serveBerth } from '../support/process.js'
import { startTestServer } from '../support/server.js'

/** A registry that nothing serves any more. */
async function stoppedRegistry(): Promise<string> {
  const { dataDirectory, server } = await startTestServer()
  await server.close()
  return dataDirectory
}

const fileIn = (directory: string) => path.join(directory, 'berth.operator.json')

describe('a command that manages a registry', () => {
  it('asks the server that has the data directory', async () => {
    const { dataDirectory } = await startTestServer()

    const { code, stdout, stderr } = await runBerth(['runs', '--data', dataDirectory, '--json'])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ items: [] })
  })

  it('takes the directory itself when no server has it', async () => {
    const dataDirectory = await stoppedRegistry()

    const { code, stdout, stderr } = await runBerth(['runs', '--data', dataDirectory, '--json'])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ items: [] })
  })

  it('leaves the directory free, and takes no notice of a server that was killed', async () => {
    const dataDirectory = await temporaryDirectory()
    const { berth } = await serveBerth(dataDirectory)
    berth.signal('SIGKILL')
    await berth.exit()
    expect(existsSync(fileIn(dataDirectory))).toBe(true)

    const { code } = await runBerth(['runs', '--data', dataDirectory])

    expect(code).toBe(0)
    expect(existsSync(fileIn(dataDirectory))).toBe(false)
    await serveBerth(dataDirectory)
  })

  it('finds the directory as serve does: in the configuration, in the environment', async () => {
    const { dataDirectory } = await startTestServer()
    const config = path.join(await temporaryDirectory(), 'berth.json')
    await writeFile(config, JSON.stringify({ dataDirectory }))

    const byConfig = await runBerth(['runs', '--config', config])
    const byEnvironment = await runBerth(['runs'], {
      environment: { BERTH_DATA_DIRECTORY: dataDirectory },
    })

    expect(byConfig.code).toBe(0)
    expect(byEnvironment).toEqual(byConfig)
  })

  it('makes no registry where there is none', async () => {
    const directory = path.join(await temporaryDirectory(), 'none')

    const { code, stdout, stderr } = await runBerth(['runs', '--data', directory])

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe(
      `berth: there is no registry in ${directory}; --data or --config says where it is\n`,
    )
    expect(existsSync(directory)).toBe(false)
  })

  it('says so when what has the directory cannot be asked', async () => {
    const { dataDirectory } = await startTestServer()
    const text = await readFile(fileIn(dataDirectory), 'utf8')

    await writeFile(fileIn(dataDirectory), text.replace(/"pid":\d+/, '"pid":1'))
    const stale = await runBerth(['runs', '--data', dataDirectory])
    await writeFile(fileIn(dataDirectory), 'no JSON')
    const garbled = await runBerth(['runs', '--data', dataDirectory])
    await writeFile(fileIn(dataDirectory), text.replace(/"url":"[^"]*"/, '"url":"http://[::1]:1"'))
    const elsewhere = await runBerth(['runs', '--data', dataDirectory])

    for (const { code, stderr } of [stale, garbled]) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^berth: .* is in use by another Berth \(process \d+\), which cannot/)
    }
    expect(elsewhere.code).toBe(1)
    expect(elsewhere.stderr).toMatch(/^berth: .* cannot be reached at http:\/\/\[::1\]:1: E\w+\n$/)
  })

  it('says what the API said was wrong, and nothing else', async () => {
    const { dataDirectory } = await startTestServer()

    for (const directory of [dataDirectory, await stoppedRegistry()]) {
      const { code, stdout, stderr } = await runBerth([
        'runs',
        '--kind',
        'nonsense',
        '--data',
        directory,
      ])

      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toBe('berth: kind of the query must be one of gc, retention, verify, backup\n')
    }
  })
})
