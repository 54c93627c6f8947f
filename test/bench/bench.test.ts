import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'

interface Section {
  readonly name: string
  readonly rows: readonly Record<string, string | number>[]
}

/** As small as it can be: that there are figures is tested, never what they are. */
const small = {
  repositories: 200,
  tags: 200,
  referrers: 20,
  layer: 8,
  seconds: 0.05,
}

/** It starts thirty processes, on a machine that does other things too. */
const timeoutMs = 60_000

const smallest = Object.entries(small).map(([name, number]) => `--${name}=${number}`)

interface Run {
  readonly stdout: string
  /** What it has left in the folder for temporary files. */
  readonly left: readonly string[]
}

async function runBench(...args: string[]): Promise<Run> {
  const temporary = await temporaryDirectory()
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/main.mjs', ...args], {
    env: { ...process.env, TMPDIR: temporary },
  })
  return { stdout, left: await readdir(temporary) }
}

describe('npm run bench', () => {
  it(
    'measures every row and leaves nothing behind',
    async () => {
      const { stdout, left } = await runBench('--json', ...smallest)

      const { sections } = JSON.parse(stdout) as { sections: Section[] }
      expect(sections.flatMap(({ name, rows }) => rows.map((row) => `${name}: ${row['name']}`)))
        .toMatchInlineSnapshot(`
        [
          "start-up: empty store",
          "start-up: large store",
          "manifests: by tag",
          "pages: catalog, first 100",
          "pages: catalog, middle 100",
          "pages: catalog, last 100",
          "pages: catalog, usual page",
          "pages: tags, first 100",
          "pages: tags, middle 100",
          "pages: tags, last 100",
          "pages: tags, usual page",
          "pages: referrers, all of one",
          "pages: referrers, none",
          "pages: search, one found",
          "pages: search, many found",
          "pages: search, none found",
          "pages: search, two characters",
          "pushes: 3 layers of 4 KiB",
          "layer: PATCH of 8 MiB in chunks",
          "layer: PUT of 8 MiB",
          "layer: GET of 8 MiB",
        ]
      `)
      for (const row of sections.flatMap(({ rows }) => rows)) {
        expect(Object.entries(row).filter(([key]) => key !== 'name')).toSatisfy(
          (figures: [string, unknown][]) => figures.every(([, figure]) => Number.isFinite(figure)),
        )
      }
      expect(left).toEqual([])
    },
    timeoutMs,
  )

  it('prints a table of the workloads that were asked for', async () => {
    const { stdout: table } = await runBench('--only=manifests', ...smallest)

    expect(table).toMatch(/GET of manifests by tag[\s\S]*p50 ms[\s\S]*by tag +\d/)
    expect(table).not.toContain('large layer')
  })

  it('removes its files when it is interrupted', async () => {
    const temporary = await temporaryDirectory()
    const bench = spawn(process.execPath, ['bench/main.mjs', '--only=pushes', '--seconds=20'], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const exited = once(bench, 'exit')

    // It is in the middle of building its store.
    await once(bench.stderr, 'data')
    await vi.waitFor(async () => expect(await readdir(temporary)).not.toEqual([]))
    bench.kill('SIGINT')

    expect(await exited).toEqual([130, null])
    expect(await readdir(temporary)).toEqual([])
  })

  it.each([['--seconds=0'], ['--repositories=many'], ['--only=nothing'], ['--faster']])(
    'refuses %s',
    async (argument) => {
      await expect(runBench(argument)).rejects.toMatchObject({ code: 1, stdout: '' })
    },
  )
})
