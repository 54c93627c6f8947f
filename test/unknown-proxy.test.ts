import { pino } from 'pino'
import { expect, it } from 'vitest'
import { startTestServer } from './support/server.js'

it.each([
  ['once where nobody has told of any', [], 1],
  ['never where somebody has', ['10.0.0.1'], 0],
])('a proxy in front is warned of %s', async (_, trustedProxies, count) => {
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const { url } = await startTestServer({ log, config: { http: { trustedProxies } } })

  await fetch(`${url}/v2/`)
  expect(lines).toEqual([])
  for (const client of ['192.0.2.1', '192.0.2.2']) {
    await fetch(`${url}/v2/`, { headers: { 'X-Forwarded-For': client } })
  }

  expect(lines).toHaveLength(count)
  for (const line of lines) {
    expect(JSON.parse(line)).toMatchObject({
      remoteAddress: '127.0.0.1',
      msg: expect.stringContaining('http.trustedProxies is empty') as string,
    })
  }
})
