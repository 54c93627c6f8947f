import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { grantScopes, isFor, isForCatalog, parseScopes, scopeOf } from '../../src/auth/scopes.js'
import type { Action } from '../../src/metadata/accounts.js'
import type { RepositoryName } from '../../src/oci/reference.js'

const app = 'team/app' as RepositoryName
const repository = (name: string, ...actions: readonly string[]) => ({
  ...{ type: 'repository', name, actions },
})

describe('scopes of a request', () => {
  it.each([
    ['repository:team/app:pull', [repository('team/app', 'pull')]],
    ['repository:team/app:pull,push', [repository('team/app', 'pull', 'push')]],
    ['repository:team/app:*', [repository('team/app', '*')]],
    ['repository:host:5000/team/app:pull', [repository('host:5000/team/app', 'pull')]],
    ['repository(plugin):team/app:pull', [repository('team/app', 'pull')]],
    ['repository:team/app:pull,pull,push', [repository('team/app', 'pull', 'push')]],
    ['repository:team/app:pull,,PUSH,x1,*', [repository('team/app', 'pull', '*')]],
    [
      '  repository:a:pull   repository:b:push ',
      [repository('a', 'pull'), repository('b', 'push')],
    ],
    ['registry:catalog:*', [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
    ['repository::pull', [repository('', 'pull')]],
  ])('%s', (text, scopes) => {
    expect(parseScopes(text)).toEqual(scopes)
  })

  it.each([
    '',
    ' ',
    'pull',
    ':',
    '::',
    ':a:pull',
    'repository:a',
    'repository:a:',
    'a:b:?',
    'a:b:,',
  ])('that say nothing are left out: %j', (text) => {
    expect(parseScopes(text)).toEqual([])
  })

  it('come in one parameter, in many, or in none', () => {
    expect(parseScopes(undefined)).toEqual([])
    expect(parseScopes([])).toEqual([])
    expect(parseScopes(['repository:a:pull repository:b:pull', 'repository:c:pull'])).toEqual(
      ['a', 'b', 'c'].map((name) => repository(name, 'pull')),
    )
  })

  it.each([
    ['too many', Array(101).fill('repository:a:pull')],
    ['too many in one', [Array(101).fill('a:b:c').join(' ')]],
    ['too long together', Array(2).fill('x'.repeat(8193))],
  ])('are refused when they are %s', (_what, texts) => {
    expect(() => parseScopes(texts as string[])).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    )
  })

  it('are understood or left out, whatever is sent', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 200 })
    const likely = fc
      .array(fc.constantFrom('repository', 'a/b', ':', ',', ' ', '(', ')', 'pull', '*', 'é', '\0'))
      .map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(fc.array(fc.oneof(text, likely), { maxLength: 5 }), (texts) => {
        for (const { actions, type } of parseScopes(texts)) {
          expect(actions.length).toBeGreaterThan(0)
          expect(type).not.toContain(':')
          for (const action of actions) expect(action).toMatch(/^([a-z]+|\*)$/)
        }
      }),
    )
  })
})

describe('the scope that a challenge asks for', () => {
  it.each([
    ['pull', 'repository:team/app:pull'],
    ['create', 'repository:team/app:pull,push'],
    ['overwrite', 'repository:team/app:pull,push'],
    ['delete', 'repository:team/app:delete'],
    ['admin', 'repository:team/app:*'],
  ] as const)('for %s is one that a token is then good for', (action, text) => {
    expect(scopeOf(app, action)).toBe(text)
    expect(isFor(parseScopes(text), app, action)).toBe(true)
  })
})

describe('a token', () => {
  it.each([
    ['pull', ['pull']],
    ['push', ['create', 'overwrite']],
    ['delete', ['delete']],
    ['*', ['pull', 'create', 'overwrite', 'delete', 'admin']],
    ['admin', []],
  ] as const)('with %s is for %j, and for nothing else', (word, actions) => {
    for (const action of ['pull', 'create', 'overwrite', 'delete', 'admin'] as const) {
      const access = [repository('team/app', word)]
      expect(isFor(access, app, action)).toBe((actions as readonly Action[]).includes(action))
      expect(isFor(access, 'team/app2' as RepositoryName, action)).toBe(false)
    }
    expect(isFor([{ type: 'registry', name: 'team/app', actions: [word] }], app, 'pull')).toBe(
      false,
    )
  })

  it.each([
    ['registry:catalog:*', true],
    ['registry:catalog:search', true],
    ['registry:catalog:pull', false],
    ['registry:other:*', false],
    ['repository:catalog:*', false],
  ])('for %s is one for lists: %s', (text, isOne) => {
    expect(isForCatalog(parseScopes(text))).toBe(isOne)
  })
})

describe('what is given', () => {
  const give = (text: string, ...allowed: readonly Action[]) =>
    grantScopes(parseScopes(text), async (_name, action) => allowed.includes(action))

  it('is what was asked for and is allowed', async () => {
    expect(await give('repository:a:pull,push', 'pull')).toEqual([repository('a', 'pull')])
    expect(await give('repository:a:push', 'pull', 'create')).toEqual([repository('a', 'push')])
    expect(await give('repository:a:delete,pull', 'pull', 'delete')).toEqual([
      repository('a', 'pull', 'delete'),
    ])
    expect(await give('repository:a:pull')).toEqual([])
    expect(await give('repository:a:admin,overwrite,create', 'admin', 'overwrite')).toEqual([])
  })

  it('is everything only for who may do everything', async () => {
    expect(await give('repository:a:*', 'pull', 'create', 'overwrite', 'delete')).toEqual([
      repository('a', 'pull', 'push', 'delete'),
    ])
    expect(await give('repository:a:pull,*', 'pull', 'admin')).toEqual([repository('a', '*')])
  })

  it('is never anything beyond what was asked for or allowed', async () => {
    const words = ['pull', 'push', 'delete', '*', 'other'] as const
    const may: readonly Action[] = ['pull', 'create', 'overwrite', 'delete', 'admin']
    const good = { pull: 'pull', push: 'create', delete: 'delete', '*': 'admin' } as const
    await fc.assert(
      fc.asyncProperty(
        fc.subarray([...words], { minLength: 1 }),
        fc.subarray([...may]),
        async (asked, allowed) => {
          const [given] = await give(`repository:a:${asked.join(',')}`, ...allowed)
          for (const word of given?.actions ?? []) {
            expect(asked.includes(word as 'pull') || asked.includes('*')).toBe(true)
            expect(allowed).toContain(good[word as keyof typeof good])
          }
        },
      ),
    )
  })

  it('asks nobody about names that no repository can have', async () => {
    const asked = parseScopes('repository:A/b:pull repository:a//b:pull repository:../a:pull')
    const may = () => Promise.reject(new Error('asked'))

    expect(await grantScopes(asked, may)).toEqual([])
  })
})
