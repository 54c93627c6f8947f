import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { runBench, smallest, unmeasured } from '../support/bench.js'
import { serveBerth } from '../support/process.js'

/** It starts many processes, on a machine that does other things too. */
const timeoutMs = 60_000

describe('npm run bench', () => {
  it('prints a table of the workloads asked for, with a registry that runs already', async () => {
    const { berth, url } = await serveBerth(await temporaryDirectory())

    const { stdout } = await promisify(execFile)(process.execPath, [
      'bench/main.mjs',
      '--no-peer',
      '--only=manifests',
      `--target=other=${url},${berth.pid}`,
      ...smallest,
    ])

    const rate = String.raw`[\d,.]+ \/s .*`
    expect(stdout).toMatch(new RegExp(`GET manifest by tag +berth +${rate}\\n +other +${rate}×`))
    expect(stdout).not.toContain('Pulls')
    expect(berth.hasExited).toBe(false)
  })

  it('compares pulls with accounts to anonymous ones, and those beside logins to those without', async () => {
    const { sections, left } = await runBench(['--no-peer', '--only=accounts', ...smallest])

    const [requests, logins] = sections
    const clients = ['berth, anonymous', 'berth, Bearer', 'berth, token', 'berth, password']
    for (const client of clients) expect(unmeasured([requests!], client)).toEqual([])
    for (const { targets, ratios } of requests!.rows) {
      const cost = targets['berth, Bearer']!['cpuSeconds']! / targets[clients[0]!]!['cpuSeconds']!
      expect(ratios['berth, Bearer']!['cpuSeconds']).toBeCloseTo(cost)
      expect(Object.keys(ratios).sort()).toEqual(['berth', ...clients.slice(1)].sort())
    }
    expect(unmeasured([logins!], 'berth, logins')).toEqual([])
    expect(Object.keys(logins!.rows[0]!.ratios)).toEqual(['berth, logins'])
    expect(left).toEqual([])
  })

  it('says where the time goes', async () => {
    const folder = path.join(await temporaryDirectory(), 'profiles')

    await runBench(['--no-peer', '--only=manifests', `--profile=${folder}`, ...smallest])

    const text = await readFile(path.join(folder, 'manifests.txt'), 'utf8')
    expect(text).toMatch(/^Event loop: busy for [\d.]+ % of [\d.]+ s$/m)
    expect(text).toMatch(/^Writer of the database: busy for /m)
    expect(text).toMatch(/^ +[\d.]+ % {2}Node\.js$/m)
    expect(text).toMatch(/^ +[\d.]+ % {2}\S+ {2}dist\//m)
  })

  it('removes its files when it is interrupted', async () => {
    const temporary = await temporaryDirectory()
    const bench = spawn(
      process.execPath,
      ['bench/main.mjs', '--no-peer', '--only=manifests', '--seconds=20'],
      { env: { ...process.env, TMPDIR: temporary }, stdio: 'ignore' },
    )
    const exited = once(bench, 'exit')

    // Its server runs, and has what it needs.
    await vi.waitFor(
      async () =>
        expect(await readdir(temporary, { recursive: true })).toContainEqual(
          expect.stringContaining('berth.db'),
        ),
      timeoutMs,
    )
    bench.kill('SIGINT')

    expect(await exited).toEqual([130, null])
    expect(await readdir(temporary)).toEqual([])
  })

  it.each([
    ['--seconds=0'],
    ['--repositories=many'],
    ['--only=nothing'],
    ['--faster'],
    ['--rounds=2', '--middle=30'],
    ['--target=somewhere'],
    ['--target=other=http://127.0.0.1:1,0'],
  ])('refuses %s', async (...args) => {
    await expect(runBench(['--no-peer', ...args])).rejects.toMatchObject({ code: 1, stdout: '' })
  })
})
