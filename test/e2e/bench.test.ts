import { expect, it } from 'vitest'
import { runBench, smallest, unmeasured } from '../support/bench.js'

/** What docker-registry 2.8 cannot do, or not within any time that one would wait. */
const gaps = [
  /^start-up: 300 repositories, 300 tags: /,
  /^pages: (first|middle|last) of 300 /,
  /^pages: .* referrers: /,
  /^deletes: tag of /,
  /^deletes: digest of all /,
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
