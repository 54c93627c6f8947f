import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.js'

const text = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8')

const management = await text('docs/management.md')
const { paths } = JSON.parse(await text('docs/openapi.json')) as { paths: object }

describe('docs/management.md', () => {
  it.each(COMMANDS.map(({ name }) => name))('names the command %s', (name) => {
    expect(management).toMatch(new RegExp(`berth ${name}\\b`))
  })

  it.each(Object.keys(paths))('names the path %s', (path) => {
    expect(management).toContain(path.replace('/api/v1', ''))
  })
})
