import { readFile, rename } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { pushImage } from '../support/images.js'
import { ask } from '../support/management.js'
import { runBerth } from '../support/command.js'
import { serveBerth, runBerthProcess } from '../support/process.js'
import { startTestServer } from '../support/server.js'

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})$/

/** The cells of a table, row by row. */
function rowsOf(table: string): string[][] {
  const lines = table.trimEnd().split('\n')
  const starts = [...(lines[0] ?? '').matchAll(/\S+/g)].map(({ index }) => index)
  return lines.map((line) =>
    starts.map((start, column) => line.slice(start, starts[column + 1]).trim()),
  )
}

// Both are the same code from the routes on.
describe.each(['with', 'without'])('berth audit %s a server', (kind) => {
  async function open(): Promise<string> {
    const { app, server, dataDirectory } = await startTestServer()
    await pushImage(app, 'team/app', 'v1')
    await pushImage(app, 'other', 'v1')
    await ask(app, 'DELETE', '/repositories/team%2Fapp/tags/v2')
    if (kind === 'without') await server.close()
    return dataDirectory
  }

  it('lists what was done, the last first, and what else there is to say', async () => {
    const data = await open()

    const { code, stdout } = await runBerth(['audit', '--data', data, '--repository', 'team/app'])

    expect(code).toBe(0)
    const [titles, ...rows] = rowsOf(stdout)
    expect(titles).toEqual([
      ...['TIME', 'ACTOR', 'FROM', 'ACTION', 'RESULT', 'REPOSITORY', 'TARGET', 'DETAILS'],
    ])
    const time = expect.stringMatching(TIME) as unknown
    expect(rows).toEqual([
      [
        ...[time, 'anonymous', '127.0.0.1', 'tag.delete', 'refused', 'team/app', 'v2'],
        'status=404 code=MANIFEST_UNKNOWN',
      ],
      [
        ...[time, 'anonymous', '127.0.0.1', 'manifest.push', 'done', 'team/app', 'v1'],
        expect.stringMatching(/^digest=sha256:[0-9a-f]{64} tags=\["v1"\]$/),
      ],
    ])
  })

  it('takes filters and times, and prints the answers as they are', async () => {
    const data = await open()
    const list = async (...options: readonly string[]) => {
      const { code, stdout } = await runBerth(['audit', '--json', '--data', data, ...options])
      expect(code).toBe(0)
      const { items } = JSON.parse(stdout) as { items: { repository?: string }[] }
      return items.map(({ repository }) => repository)
    }
    const pushes = ['--action', 'manifest.push', '--actor', 'anonymous'] as const

    expect(await list(...pushes)).toEqual(['other', 'team/app'])
    expect(await list(...pushes, '--limit', '1')).toEqual(['other'])
    expect(await list('--result', 'refused')).toEqual(['team/app'])
    expect(await list('--since', '2020-01-01', '--until', '2020-12-31')).toEqual([])
    expect(await list(...pushes, '--since', '2020-01-01')).toHaveLength(2)
  })
})

it('wants times as berth restore does', async () => {
  const { dataDirectory } = await startTestServer()

  const { code, stderr } = await runBerth(['audit', '--data', dataDirectory, '--since', 'noon'])

  expect(code).toBe(2)
  expect(stderr).toContain('noon is not a time: write 2026-11-21T18:30')
})

describe('berth serve with audit.file', () => {
  it('opens the file again on SIGHUP, and goes on', async () => {
    const file = path.join(await temporaryDirectory(), 'audit.jsonl')
    const environment = { BERTH_AUDIT_FILE: file }
    const { berth } = await serveBerth(await temporaryDirectory(), [], { environment })
    await eventually(
      () => readFile(file, 'utf8'),
      (text) => text.includes('server.start'),
    )
    await rename(file, `${file}.1`)

    berth.signal('SIGHUP')
    await eventually(
      () => readFile(file, 'utf8').catch(() => undefined),
      (text) => text !== undefined,
    )
    berth.signal('SIGTERM')

    expect(await berth.exit()).toBe(0)
    expect(await readFile(file, 'utf8')).toMatch(/^[^\n]*"server\.stop"[^\n]*\n$/)
  })

  it('does not start without it, and says why', async () => {
    const environment = { BERTH_AUDIT_FILE: '/nowhere/audit.jsonl' }
    const data = await temporaryDirectory()

    const { code, stderr } = await runBerthProcess(['serve', '--port', '0', '--data', data], {
      environment,
    })

    expect(code).toBe(1)
    expect(stderr).toBe(
      'berth: audit.file, /nowhere/audit.jsonl, cannot be opened for writing: ENOENT\n',
    )
  })
})
