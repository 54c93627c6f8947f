import { expect, it } from 'vitest'
import { runBench, smallest, unmeasured } from '../support/bench.js'

/** What docker-registry 2.8 cannot do, or not within any time that one would wait. */
const gaps = [
  /^start-up: 300 repositories, 300 tags: /,
  /^pages: (first|middle|last) of 300 /,
  /^pages: .* referrers: /,
  /^deletes: tag of /,
  /^deletes: digest of all /,
  // Nobody compares accounts that are kept elsewhere.
  /^accounts/,
  // It collects nothing while it runs.
  /^collect-/,
]

it('measures every row of docker-registry and of Berth beside it, and leaves nothing behind', async () => {
  const { sections, left } = await runBench(smallest)

  expect(unmeasured(sections, 'berth')).toEqual([])
  expect(
    unmeasured(sections, 'docker-registry').filter((cell) => !gaps.some((gap) => gap.test(cell))),
  ).toEqual([])
  const compared = sections.flatMap(({ rows }) =>
    rows.map(({ ratios }) => ratios['docker-registry']),
  )
  expect(compared.filter((ratios) => ratios !== undefined).length).toBeGreaterThan(50)
  const pulls = sections.filter(({ name }) => name === 'pulls')
  expect(pulls).toHaveLength(1)
  for (const name of ['berth, no sendfile', 'nginx']) expect(unmeasured(pulls, name)).toEqual([])
  expect(left).toEqual([])
})

it('measures every row where neither docker-registry nor strace is, and leaves nothing behind', async () => {
  const { sections, stderr, left } = await runBench(smallest, { PATH: '' })

  expect(sections.map(({ name, rows }) => `${name}: ${rows.length}`)).toEqual([
    'manifests: 8',
    'pulls: 8',
    'tls: 2',
    'accounts: 4',
    'accounts-logins: 1',
    'pushes: 18',
    'tiny: 2',
    'mixed: 2',
    'memory: 2',
    'disk: 2',
    'start-up: 3',
    'pages: 20',
    'deletes: 4',
    'collect-runs: 4',
    'collect-pushes: 2',
    'collect-deletes: 3',
  ])
  expect(stderr).toContain('docker-registry is not installed')
  // Without strace there is nobody who could count.
  expect(stderr).toContain('the syncs of berth are not counted')
  expect(unmeasured(sections, 'berth')).toEqual([
    'tiny: each into a new repository: syncs',
    'tiny: all into one repository: syncs',
  ])
  expect(left).toEqual([])
})
