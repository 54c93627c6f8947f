import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePattern } from '../../src/oci/patterns.js'
import { isRepositoryName } from '../../src/oci/reference.js'
import {
  matchesEveryRepository,
  parseRepositoryPattern,
} from '../../src/oci/repository-patterns.js'

const canMatch = (text: string) => {
  try {
    return parseRepositoryPattern(text) === text
  } catch {
    return false
  }
}

describe('a pattern of repositories', () => {
  it.each([
    ...['a', 'team/app', 'team/**', 'team/*', '*', '**', '***', '**/x', '*-x', 'a__b', 'a---b'],
    ...['a_*', 'a_*_b', '*.*', 'team/**/x', 'a*__*b', 'x'.repeat(255), `${'*'.repeat(200)}a`],
  ])('%s can match some', (text) => {
    expect(canMatch(text)).toBe(true)
  })

  it.each([
    ...['', 'Team/**', 'team/', '/team', '/**', '**/', 'a//b', 'a/*/', 'a..b', 'a.-b', '.*', '*-'],
    ...['a___*', '-**', '*_', 'a._*', 'ä', 'a b', 'x'.repeat(256), `a/${'x'.repeat(254)}*`],
  ])('%s can match none', (text) => {
    expect(canMatch(text)).toBe(false)
  })

  it('is refused only if no name has it, and never if some name has', () => {
    const letter = fc.constantFrom('a', '.', '_', '-', '/', '*', '**', 'B')
    const pattern = fc.array(letter, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
    const characters = ['a', '.', '_', '-', '/']
    let names = ['']
    const some: string[] = []
    for (let length = 0; length < 6; length++) {
      names = names.flatMap((start) => characters.map((one) => start + one))
      some.push(...names.filter(isRepositoryName))
    }

    fc.assert(
      fc.property(pattern, (text) => {
        // Four parts need no more than six characters: each star may have to stand for one or two.
        const pattern = parsePattern(text)
        const isThere = some.some((name) => pattern.matches(name))
        if (isThere || text.length <= 3) expect([text, canMatch(text)]).toEqual([text, isThere])
      }),
      { numRuns: 300 },
    )
  })

  it('is every repository only if it is nothing but two stars or more', () => {
    expect(['**', '***', '*', '**/*', '', 'a**'].map(matchesEveryRepository)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ])
  })
})
