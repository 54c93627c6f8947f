import { describe, expect, it } from 'vitest'
import {
  descriptor,
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  putManifest,
} from '../support/images.js'
import { runBerth } from '../support/command.js'
import { sharedTestServer, startTestServer, type TestServer } from '../support/server.js'

/** For what is called wrongly. */
const registry = sharedTestServer()

const TIME = String.raw`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})`

/** As it must be for finding it again. */
const MOMENT = TIME.replace('(?:', String.raw`\.\d{3}(?:`)

/** Runs `berth …` on a registry; it must go well. */
async function berth(dataDirectory: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runBerth([...args, '--data', dataDirectory])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

/** The cells of a table, row by row, without the titles. */
function rowsOf(table: string): string[][] {
  return table
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/))
}

async function pushSome({ app }: TestServer) {
  const image = await pushImage(app, 'team/app', 'v1', { layers: ['x'.repeat(1_400_000)] })
  await putManifest(app, 'team/app', 'v2', image.manifest)
  const index = indexOf([descriptor(image.manifest, OCI_MANIFEST)])
  await putManifest(app, 'team/app', 'all', index, { contentType: OCI_INDEX })
  await pushImage(app, 'other', 'v1')
  return image
}

async function openSome({ isServed }: { readonly isServed: boolean }) {
  const started = await startTestServer()
  const image = await pushSome(started)
  if (!isServed) await started.server.close()
  return { ...image, dataDirectory: started.dataDirectory }
}

// Both are the same code from the routes on; so are the texts.
describe.each(['with', 'without'])('%s a server', (server) => {
  const open = () => openSome({ isServed: server === 'with' })

  it('repositories are listed, shown and described', async () => {
    const { dataDirectory } = await open()

    const created = await berth(
      dataDirectory,
      'repo',
      'describe',
      'team/new',
      'Two\nlines.\u001b[2J',
    )
    const all = await berth(dataDirectory, 'repo', 'list')
    const team = await berth(dataDirectory, 'repo', 'list', 'team/')
    const shown = await berth(dataDirectory, 'repo', 'show', 'team/app')

    expect(created).toMatch(/^repository {6}team\/new\ndescription {5}Two lines\. \[2J\n/)
    expect(all).toMatch(/^REPOSITORY +SIZE +CREATED +DESCRIPTION\n/)
    expect(rowsOf(all)).toEqual([
      ['other', expect.stringMatching(/^\d+ B$/), expect.stringMatching(TIME)],
      ['team/app', '1.4 MB', expect.stringMatching(TIME)],
      ['team/new', '0 B', expect.stringMatching(TIME), 'Two lines. [2J'],
    ])
    expect(rowsOf(team).map(([name]) => name)).toEqual(['team/app', 'team/new'])
    expect(shown).toMatch(/\nsize +1\.4 MB\n/)
    expect(shown).toMatch(/\nin the catalog +yes\n/)
  })

  it('tags are listed, and deleted one by one', async () => {
    const { dataDirectory, digest } = await open()

    const before = await berth(dataDirectory, 'tag', 'list', 'team/app')
    const deleted = await berth(dataDirectory, 'tag', 'delete', 'team/app:v1')
    const after = await berth(dataDirectory, 'tag', 'list', 'team/app', '--json')

    expect(before).toMatch(/^TAG +DIGEST +UPDATED +BY +PULLED\n/)
    expect(rowsOf(before)).toEqual([
      ['all', expect.stringMatching(/^sha256:/), expect.stringMatching(TIME), 'anonymous'],
      ['v1', digest, expect.stringMatching(TIME), 'anonymous'],
      ['v2', digest, expect.stringMatching(TIME), 'anonymous'],
    ])
    expect(deleted).toMatch(
      new RegExp(`^Deleted team/app:v1\\.\nIt can be brought back until ${TIME}\\.\n$`),
    )
    expect(JSON.parse(after)).toMatchObject({ items: [{ name: 'all' }, { name: 'v2', digest }] })
  })

  it('manifests are listed, shown and deleted, and tell what goes along', async () => {
    const { dataDirectory, digest } = await open()

    const listed = await berth(dataDirectory, 'manifest', 'list', 'team/app')
    const shown = await berth(dataDirectory, 'manifest', 'show', `team/app@${digest}`)
    const deleted = await berth(dataDirectory, 'manifest', 'delete', `team/app@${digest}`)
    const gone = await berth(dataDirectory, 'manifest', 'list', 'team/app', '--deleted')

    expect(rowsOf(listed)).toContainEqual([
      digest,
      OCI_MANIFEST,
      'yes',
      expect.stringMatching(TIME),
      'anonymous',
    ])
    expect(shown).toMatch(/\ntags +v1, v2\n/)
    expect(shown).toMatch(/\nin indexes +sha256:\w+\n/)
    expect(shown).toMatch(/\nlayer +1\.4 MB +sha256:\w+\n/)
    expect(deleted).toMatch(/^Deleted .*\nIts tags went along: v1, v2\.\nIt can be brought back/)
    expect(rowsOf(gone)).toEqual([
      [digest, OCI_MANIFEST, expect.stringMatching(TIME), 'operator', expect.stringMatching(TIME)],
    ])
  })
})

describe('what is asked for', () => {
  const open = () => openSome({ isServed: true })

  it('history tells who did what, of a repository and of a tag', async () => {
    const { dataDirectory, digest } = await open()
    await berth(dataDirectory, 'tag', 'delete', 'team/app:v2')

    const all = await berth(dataDirectory, 'history', 'team/app')
    const ofTag = await berth(dataDirectory, 'history', 'team/app:v2')
    const newest = await berth(dataDirectory, 'history', 'team/app', '--limit', '1')

    expect(all).toMatch(/^TIME +BY +WHAT +TAG +FROM +TO\n/)
    expect(rowsOf(all)).toHaveLength(4)
    expect(rowsOf(ofTag)).toEqual([
      [expect.stringMatching(MOMENT), 'operator', 'deleted', 'v2', digest],
      [expect.stringMatching(MOMENT), 'anonymous', 'moved', 'v2', digest],
    ])
    expect(rowsOf(newest)).toEqual(rowsOf(ofTag).slice(0, 1))
  })

  it('a time of the history brings back what its line tells', async () => {
    const { dataDirectory, digest } = await open()
    await berth(dataDirectory, 'tag', 'delete', 'team/app:v2')
    const [deleted, moved] = rowsOf(await berth(dataDirectory, 'history', 'team/app:v2'))
    const restore = (at = '') => runBerth(['restore', `team/app:v2@${at}`, '--data', dataDirectory])

    const toDeleted = await restore(deleted?.[0])
    const toMoved = await restore(moved?.[0])

    expect(toDeleted.stderr).toBe('berth: the tag was not there at that time\n')
    expect(toMoved.stdout).toBe(`team/app:v2@${moved?.[0]} points to ${digest}.\n`)
  })

  it('tags of a time that cannot be brought back are told, and are a failure', async () => {
    const { dataDirectory } = await open()
    const history = await berth(dataDirectory, 'history', 'other', '--json')
    const { items } = JSON.parse(history) as { items: { at: string }[] }
    const at = items[0]?.at ?? ''
    await berth(dataDirectory, 'tag', 'delete', 'other:v1')
    expect(await berth(dataDirectory, 'restore', `other@${at}`)).toBe(`other@${at}: back are v1.\n`)
    await berth(dataDirectory, 'tag', 'delete', 'other:v1')
    await berth(dataDirectory, 'gc', '--purge', '--confirm')

    const { code, stdout } = await runBerth(['restore', `other@${at}`, '--data', dataDirectory])

    expect(code).toBe(1)
    expect(stdout).toBe('1 tag cannot be brought back: what was there then is gone for good.\n')
  })

  it('what is refused is said in one sentence', async () => {
    const { dataDirectory } = await open()
    const said = async (...args: string[]) => {
      const { code, stdout, stderr } = await runBerth([...args, '--data', dataDirectory])
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      return stderr
    }

    expect(await said('tag', 'delete', 'team/app:none')).toBe(
      'berth: the repository has no such tag\n',
    )
    expect(await said('repo', 'show', 'none')).toBe('berth: there is no repository of this name\n')
    expect(await said('manifest', 'show', 'team/app@v1')).toMatch(/^berth: .*digest.*\n$/)
  })
})

describe('a list', () => {
  it('of many pages is printed whole, as one JSON document a page', async () => {
    const { app, dataDirectory } = await startTestServer()
    const { digest, manifest } = await pushImage(app, 'team/app')
    const tags = Array.from({ length: 1100 }, (_, index) => `t${String(index).padStart(4, '0')}`)
    for (let at = 0; at < tags.length; at += 100) {
      const some = tags.slice(at, at + 100)
      const query = `?${some.map((tag) => `tag=${tag}`).join('&')}`
      await putManifest(app, 'team/app', digest, manifest, { query })
    }

    const table = await berth(dataDirectory, 'tag', 'list', 'team/app')
    const some = await berth(dataDirectory, 'tag', 'list', 'team/app', '--limit', '1001')
    const json = await berth(dataDirectory, 'tag', 'list', 'team/app', '--json')

    const names = (text: string) => [...text.matchAll(/^t\d{4}/gm)].map(([name]) => name)
    expect(names(table)).toEqual(tags)
    expect(table.match(/^TAG/gm)).toHaveLength(1)
    expect(names(some)).toEqual(tags.slice(0, 1001))
    const pages = json
      .split(/^(?=\{$)/m)
      .map((text) => JSON.parse(text) as { items: { name: string }[] })
    expect(pages.map(({ items }) => items.length)).toEqual([1000, 100])
    expect(pages.flatMap(({ items }) => items.map(({ name }) => name))).toEqual(tags)
  })

  it('of nothing has its titles', async () => {
    const { dataDirectory } = await startTestServer()

    expect(await berth(dataDirectory, 'repo', 'list')).toBe(
      'REPOSITORY  SIZE  CREATED  DESCRIPTION\n',
    )
  })

  it.each(['0', '-1', 'x', '1.5', ''])('has no limit of "%s"', async (limit) => {
    const { dataDirectory } = registry

    const { code } = await runBerth(['repo', 'list', `--limit=${limit}`, '--data', dataDirectory])

    expect(code).toBe(2)
  })
})

describe('what was deleted and stopped', () => {
  it('is found again: repositories that can be brought back', async () => {
    const { app, dataDirectory } = await startTestServer()
    await pushImage(app, 'team/app', 'v1')
    await berth(dataDirectory, 'repo', 'delete', 'team/app', '--confirm', 'team/app')

    const deleted = rowsOf(await berth(dataDirectory, 'repo', 'list', '--deleted'))

    const time = expect.stringMatching(new RegExp(`^${TIME}$`)) as string
    const size = expect.stringMatching(/^\d+ B$/) as string
    expect(deleted).toEqual([['team/app', size, time, 'operator', time]])
  })

  it('is said with the run that was stopped by the brake', async () => {
    const { app, dataDirectory } = await startTestServer({ config: { undo: { days: 0 } } })
    const { digest } = await pushImage(app, 'team/app', 'v1')
    await app.inject({ method: 'DELETE', url: `/v2/team/app/manifests/${digest}` })
    await runBerth(['gc', '--now', '--data', dataDirectory])

    const [run] = rowsOf(await berth(dataDirectory, 'runs', '--kind', 'gc', '--limit', '1'))

    expect(run?.slice(1, 3)).toEqual(['gc', 'braked'])
    expect(run?.at(-1)).toMatch(/more than gc\.brakePercent/)
  })
})

describe('a command that is called wrongly', () => {
  it.each([
    [['tag', 'delete', 'app'], 'app names no tag: write REPOSITORY:TAG'],
    [['tag', 'delete', 'app:'], 'app: names no tag: write REPOSITORY:TAG'],
    [['tag', 'delete'], 'REPOSITORY:TAG is missing'],
    [['tag', 'list', ''], 'the name of a repository is missing'],
    [['manifest', 'show', 'app:v1'], 'app:v1 names no digest: write REPOSITORY@DIGEST'],
    [['repo', 'show', 'a', 'b'], "Unexpected argument 'b'"],
    [['repo', 'show', 'app', '--deleted'], "Unknown option '--deleted'"],
    [['repo', 'list', 'team/', '--deleted'], 'a PREFIX is not for --deleted'],
    [['history'], 'REPOSITORY[:TAG] is missing'],
    [['restore', 'team/app@5'], '5 is not a time: write 2026-11-21T18:30'],
    [['restore', 'a:v1@2026-02-30'], '2026-02-30 is not a time: write 2026-11-21T18:30'],
  ])('says so: %j', async (args, sentence) => {
    const { dataDirectory } = registry

    const { code, stdout, stderr } = await runBerth([...args, '--data', dataDirectory])

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe(`berth: ${sentence}\nTry: berth --help\n`)
  })

  it('may well be about a repository called help', async () => {
    const { app, dataDirectory } = await startTestServer()
    await pushImage(app, 'help', 'v1')

    expect(rowsOf(await berth(dataDirectory, 'tag', 'list', 'help'))).toHaveLength(1)
  })
})
