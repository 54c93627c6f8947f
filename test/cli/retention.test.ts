import { describe, expect, it } from 'vitest'
import { pushImage } from '../support/images.js'
import { runBerth } from '../support/command.js'
import { startTestServer } from '../support/server.js'

const name = 'team/app'

const BERTH_RETENTION_RULES = JSON.stringify([{ repositories: 'team/*', keepNewest: 2 }])

/** A registry with three tags, and one rule that keeps two of them. */
async function startWithTags() {
  const rule = { repositories: 'team/*', tags: ['**'], keepNewest: 2, keepTags: [] }
  let at = 1_700_000_000_000
  const store = await startTestServer({
    now: () => (at += 1000),
    config: { retention: { everyHours: 0, rules: [rule] } },
  })
  const digests: string[] = []
  for (const tag of ['a', 'b', 'c']) {
    digests.push((await pushImage(store.app, name, tag, { config: `"${tag}"` })).digest)
  }
  const tags = async () =>
    (await store.app.inject(`/v2/${name}/tags/list`)).json<{ tags: string[] }>().tags
  return { ...store, digests, tags }
}

describe('berth retention', () => {
  it('previews what would go and what that frees, and says where the brake is', async () => {
    const { dataDirectory, digests, tags } = await startWithTags()

    const { code, stdout, stderr } = await runBerth([
      ...['retention', 'preview', '--data', dataDirectory],
    ])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [titles, row, , summary, brake] = stdout.split('\n')
    expect(titles).toMatch(/^REPOSITORY +TAG +MOVED +PULLED +DIGEST$/)
    expect(row).toMatch(new RegExp(`^team/app +a +2023-11-1\\S+ +never +${digests[0]}$`))
    expect(summary).toMatch(
      /^1 tag would be deleted\. 1 manifest would have no tag; \d+ B are freed when /,
    )
    expect(brake).toMatch(/^A run stops here unless it has --confirm: .* 1 of 3 tags of team\/app/)
    expect(await tags()).toEqual(['a', 'b', 'c'])
  })

  it('runs only with --confirm where the brake stops it', async () => {
    const { dataDirectory, tags } = await startWithTags()
    const run = ['retention', 'run', '--data', dataDirectory]

    const braked = await runBerth(run)
    const afterBrake = await tags()
    const confirmed = await runBerth([...run, '--confirm'])

    expect(braked.code).toBe(1)
    expect(braked.stderr).toMatch(
      /^berth: this would delete 1 of 3 tags of team\/app, .* --confirm\n/,
    )
    expect(afterBrake).toEqual(['a', 'b', 'c'])
    expect(confirmed).toEqual({ code: 0, stdout: 'Deleted 1 tag.\n', stderr: '' })
    expect(await tags()).toEqual(['b', 'c'])
  })

  it('works on a directory that no server has', async () => {
    const { dataDirectory, server } = await startWithTags()
    await server.close()
    const call = (...args: string[]) =>
      runBerth(['retention', ...args, '--data', dataDirectory], {
        environment: { BERTH_RETENTION_RULES },
      })

    const { stdout: before } = await call('preview', '--json')
    const { code } = await call('run', '--confirm')
    const { stdout: after } = await call('preview')

    expect(JSON.parse(before)).toMatchObject({
      items: [{ repository: name, tag: 'a' }],
      outlook: { tags: 1, manifests: 1 },
    })
    expect(code).toBe(0)
    expect(after).toBe('Nothing would be deleted.\n')
  })
})
