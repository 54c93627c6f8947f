import { describe, expect, it } from 'vitest'
import { firstMatch, parsePattern } from '../../src/oci/patterns.js'

describe('a pattern', () => {
  it.each([
    ['team/app', 'team/app', true],
    ['team/app', 'team/apple', false],
    ['team/*', 'team/app', true],
    ['team/*', 'team/app/web', false],
    ['team/*', 'team', false],
    ['team/*', 'other/app', false],
    ['team/**', 'team/app/web', true],
    ['team/**', 'teams/app', false],
    ['te**', 'team/app', true],
    ['te**', 'at/team', false],
    ['**', 'a/b/c', true],
    ['*', 'a/b', false],
    ['*', 'a', true],
    ['*/app', 'team/app', true],
    ['*/app', 'team/x/app', false],
    ['**/app', 'team/x/app', true],
    ['v*', 'v1.2', true],
    ['v*.0', 'v1.0', true],
    ['v*.0', 'v1.01', false],
    ['*-rc*', '1.0-rc1', true],
    ['*-rc*', '1.0', false],
    ['a.c', 'abc', false],
    ['**b', 'ab/ab', true],
    ['*a*a', 'aa', true],
    ['*a*a', 'a', false],
  ])('%s and %s: %s', (text, name, expected) => {
    expect(parsePattern(text).matches(name)).toBe(expected)
  })

  it('takes no longer for many stars than for one', () => {
    const pattern = parsePattern('*a'.repeat(100))

    expect(pattern.matches('a'.repeat(255) + 'b')).toBe(false)
  })

  it('tells what every name begins with', () => {
    expect(parsePattern('team/a*').prefix).toBe('team/a')
    expect(parsePattern('team/app').prefix).toBe('team/app')
    expect(parsePattern('**').prefix).toBe('')
  })

  it('is looked for in the order of its list', () => {
    const list = [
      { repositories: parsePattern('team/*'), days: 1 },
      { repositories: parsePattern('**'), days: 2 },
    ]

    expect(firstMatch(list, 'team/app')?.days).toBe(1)
    expect(firstMatch(list, 'other')?.days).toBe(2)
    expect(firstMatch(list.slice(0, 1), 'other')).toBeUndefined()
  })
})
