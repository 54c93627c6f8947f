import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { covers, Rights, rightsWithin } from '../../src/auth/rights.js'
import type { Action, HeldRight } from '../../src/metadata/accounts.js'
import { parsePattern } from '../../src/oci/patterns.js'

const ACTIONS = ['pull', 'create', 'overwrite', 'delete', 'admin'] as const

let ids = 0

function grant(pattern: string, ...actions: readonly Action[]): HeldRight {
  return { kind: 'grant', id: ids++, subject: { kind: 'signed-in' }, pattern, actions }
}

function owned(name: string): HeldRight {
  return { kind: 'namespace', name, owner: { kind: 'user', name: 'alice' } }
}

const allowedBy = (rights: Rights, repository: string) =>
  ACTIONS.filter((action) => rights.may(repository, action))

describe('rights', () => {
  it.each([
    ['pull', ['pull']],
    ['create', ['pull', 'create']],
    ['overwrite', ['pull', 'create', 'overwrite']],
    ['delete', ['pull', 'delete']],
    ['admin', ['pull', 'create', 'overwrite', 'delete', 'admin']],
  ] as const)('with %s include %j', (action, included) => {
    expect(allowedBy(new Rights([grant('team/**', action)]), 'team/app')).toEqual(included)
    for (const asked of ACTIONS) {
      const limits = [{ pattern: 'team/**', actions: [action] }]
      expect(rightsWithin(limits).may('team/app', asked)).toBe(
        (included as readonly Action[]).includes(asked),
      )
    }
  })

  it('are none where nothing gives any', () => {
    expect(allowedBy(new Rights([]), 'team/app')).toEqual([])
    expect(allowedBy(new Rights([grant('team/**')]), 'team/app')).toEqual([])
    expect(rightsWithin([]).may('team/app', 'pull')).toBe(false)
  })

  it('are those of all grants together, none of which takes anything away', () => {
    const rights = new Rights([
      grant('team/**', 'pull'),
      grant('team/app', 'delete'),
      grant('*/app', 'create'),
    ])

    expect(allowedBy(rights, 'team/app')).toEqual(['pull', 'create', 'delete'])
    expect(allowedBy(rights, 'team/other')).toEqual(['pull'])
    expect(allowedBy(rights, 'other/app')).toEqual(['pull', 'create'])
    expect(allowedBy(rights, 'other')).toEqual([])
  })

  it.each([
    ['team', true],
    ['team/app', true],
    ['team/a/b/c', true],
    ['teams', false],
    ['teams/app', false],
    ['tea', false],
    ['other/team', false],
    ['other/team/app', false],
  ])('of who owns the namespace team hold for %s: %s', (repository, holds) => {
    expect(new Rights([owned('team')]).may(repository, 'admin')).toBe(holds)
  })

  it('take nothing in the name of a namespace for a pattern', () => {
    expect(new Rights([owned('a.b')]).may('axb/app', 'pull')).toBe(false)
  })

  it('name everything that gives them, and nothing else', () => {
    const [all, some, none, mine] = [
      grant('**', 'pull'),
      grant('team/*', 'overwrite'),
      grant('team/*', 'delete'),
      owned('team'),
    ]
    const rights = new Rights([all, some, none, mine])

    expect(rights.holdersOf('team/app', 'pull')).toEqual([all, some, none, mine])
    expect(rights.holdersOf('team/app', 'create')).toEqual([some, mine])
    expect(rights.holdersOf('team/app/more', 'create')).toEqual([mine])
    expect(rights.holdersOf('other', 'admin')).toEqual([])
  })

  it('name the patterns of what may be seen, whichever action gives it', () => {
    const rights = new Rights([grant('a/*', 'delete'), grant('b', 'admin'), owned('c'), grant('d')])

    expect(rights.patternsWith('pull')).toEqual(['a/*', 'b', 'c', 'c/**'])
    expect(rights.patternsWith('admin')).toEqual(['b', 'c', 'c/**'])
  })

  it('give the same answer whether one name is asked for, or all are listed', () => {
    fc.assert(
      fc.property(fc.array(pattern), fc.constantFrom(...ACTIONS), (patterns, action) => {
        const rights = new Rights(patterns.map((text) => grant(text, 'overwrite')))
        const listed = rights.patternsWith(action).map(parsePattern)
        for (const name of NAMES) {
          expect(rights.may(name, action)).toBe(listed.some((one) => one.matches(name)))
        }
      }),
      { numRuns: 30 },
    )
  })
})

/** Every text of up to five of these letters. */
const NAMES = [...Array(5).keys()].reduce(
  (all) => [...new Set([...all, ...all.flatMap((text) => [`${text}a`, `${text}b`, `${text}/`])])],
  [''],
)

/** Short, so that many have to do with each other. */
const pattern = fc
  .array(fc.constantFrom('a', 'b', '/', '*', '**', '/**', 'a/'), { minLength: 1, maxLength: 5 })
  .map((pieces) => pieces.join(''))

/** Two patterns of which one begins as the other does. */
const related = fc.tuple(
  fc.constantFrom('', 'a', 'a/b', '*', 'a*', '**/a', 'b/'),
  fc.constantFrom('', '/', '/*', '/**', '**', '*', '***'),
  pattern,
)

describe('a pattern that covers another one', () => {
  it('has every repository that the other one has', () => {
    let covered = 0
    const check = (outer: string, inner: string) => {
      if (!covers(outer, inner)) return
      covered++
      const [wide, narrow] = [parsePattern(outer), parsePattern(inner)]
      for (const name of NAMES) {
        if (narrow.matches(name)) expect([outer, inner, name, wide.matches(name)]).toContain(true)
      }
    }
    fc.assert(fc.property(pattern, pattern, check), { numRuns: 300 })
    fc.assert(
      fc.property(related, ([start, end, rest]) => check(start + end, start + rest)),
      { numRuns: 300 },
    )
    expect(covered).toBeGreaterThan(10)
  })

  it.each([
    ['**', 'anything/**'],
    ['team/**', 'team/**'],
    ['team/**', 'team/app'],
    ['team/**', 'team/a/b'],
    ['team/**', 'team/*'],
    ['team/**', 'team/*/x'],
    ['team/*', 'team/*'],
    ['team/*', 'team/app'],
    ['*/app', 'team/app'],
  ])('%s covers %s', (outer, inner) => {
    expect(covers(outer, inner)).toBe(true)
  })

  it.each([
    ['team/**', 'team'],
    ['team/**', 'teams/app'],
    ['team/**', '**'],
    ['team/**', '*/app'],
    ['team/**', 'team*/app'],
    ['team/*', 'team/**'],
    ['team/*', 'team/a/b'],
    ['team/app', 'team/*'],
    ['*', '**'],
    ['*/**', 'team'],
  ])('%s does not cover %s', (outer, inner) => {
    expect(covers(outer, inner)).toBe(false)
  })
})
