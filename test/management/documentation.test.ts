import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, RegistryError, type ErrorCode } from '../../src/errors.js'
import { COMMANDS } from '../../src/cli/commands.js'

const text = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8')

const management = await text('docs/management.md')
const { paths } = JSON.parse(await text('docs/openapi.json')) as { paths: object }

/** What only clients of the registry API are refused with. */
const BEYOND_MANAGEMENT: readonly ErrorCode[] = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_TOO_LARGE',
  'PAGINATION_NUMBER_INVALID',
  'RANGE_INVALID',
  'SIZE_INVALID',
  'TOO_MANY_TAGS',
  // Before it is known what is asked for.
  'HEADERS_TOO_LARGE',
]

describe('docs/management.md', () => {
  it.each(COMMANDS.map(({ name }) => name))('names the command %s', (name) => {
    expect(management).toMatch(new RegExp(`berth ${name}\\b`))
  })

  it.each(Object.keys(paths))('names the path %s', (path) => {
    expect(management).toContain(path.replace('/api/v1', ''))
  })

  it('has every code of an error, with its status', () => {
    const rows = management.matchAll(/^\| (\d{3}) +\|([^|]+)\|/gm)
    const told = [...rows].flatMap(([, status = '', codes = '']) =>
      [...codes.matchAll(/`([A-Z_]+)`/g)].map(([, code = '']) => `${code} ${status}`),
    )
    const codes = ERROR_CODES.filter((code) => !BEYOND_MANAGEMENT.includes(code))

    expect(told.toSorted()).toEqual(
      codes.map((code) => `${code} ${new RegistryError(code, '').statusCode}`).toSorted(),
    )
  })
})
