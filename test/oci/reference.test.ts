import { describe, expect, it } from 'vitest'
import { parseDigest } from '../../src/oci/digest.js'
import {
  fallbackTagOf,
  isRepositoryName,
  isTag,
  parseReference,
  parseRepositoryName,
  parseTag,
} from '../../src/oci/reference.js'
import { sha256, sha512 } from '../support/images.js'

describe('parseRepositoryName', () => {
  it.each([
    'a',
    '0',
    'library/alpine',
    'a/b/c/d/e/f/g',
    'a.b_c__d-e---f',
    'team/app/blobs/uploads',
    'tags/list/manifests/blobs/referrers',
    'a'.repeat(255),
  ])('takes %s', (text) => {
    const name = parseRepositoryName(text)

    expect(name).toBe(text)
    expect(isRepositoryName(text)).toBe(true)
  })

  it.each([
    '',
    'A',
    'team/App',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a.',
    'a..b',
    'a___b',
    'a._b',
    'a-_b',
    '-a',
    'a-',
    '_catalog',
    'a/_b',
    'a b',
    'a%2fb',
    'a:b',
    'a\n',
    'ä',
    '../a',
    'a/../b',
    'a'.repeat(256),
  ])('refuses %j', (text) => {
    expect(() => parseRepositoryName(text)).toThrow(
      expect.objectContaining({ code: 'NAME_INVALID' }),
    )
    expect(isRepositoryName(text)).toBe(false)
  })

  it('decides at once about a name that was made to be slow', () => {
    const text = `${'a-'.repeat(127)}!`
    const startedAt = performance.now()

    const isName = isRepositoryName(text)

    expect(isName).toBe(false)
    expect(performance.now() - startedAt).toBeLessThan(100)
  })
})

describe('parseTag', () => {
  it.each(['a', 'A', '0', '_', 'latest', 'v1.2.3-rc.1_build', 'a..b--c', 'x'.repeat(128)])(
    'takes %s',
    (text) => {
      const tag = parseTag(text)

      expect(tag).toBe(text)
      expect(isTag(text)).toBe(true)
    },
  )

  it.each(['', '.a', '-a', 'a b', 'a/b', '1.0+build', 'a\n', 'ä', 'a:b', 'x'.repeat(129)])(
    'refuses %j',
    (text) => {
      expect(() => parseTag(text)).toThrow(expect.objectContaining({ code: 'TAG_INVALID' }))
      expect(isTag(text)).toBe(false)
    },
  )
})

describe('parseReference', () => {
  it('takes text with a colon for a digest', () => {
    const reference = parseReference(sha256('x'))

    expect(reference).toEqual({ digest: sha256('x') })
  })

  it('takes text without a colon for a tag, also when it looks like a digest', () => {
    const text = 'a'.repeat(64)

    const reference = parseReference(text)

    expect(reference).toEqual({ tag: text })
  })

  it('says that a malformed digest is one, rather than a malformed tag', () => {
    expect(() => parseReference('sha256:baddigeststring')).toThrow(
      expect.objectContaining({ code: 'DIGEST_INVALID' }),
    )
    expect(() => parseReference('-x')).toThrow(expect.objectContaining({ code: 'TAG_INVALID' }))
  })
})

describe('fallbackTagOf', () => {
  it('joins algorithm and digits with a dash', () => {
    const tag = fallbackTagOf(sha256('x'))

    expect(tag).toBe(sha256('x').replace(':', '-'))
  })

  it('cuts the digits to 64', () => {
    const tag = fallbackTagOf(sha512('x'))

    expect(tag).toBe(`sha512-${sha512('x').slice('sha512:'.length, 'sha512:'.length + 64)}`)
  })

  it('cuts the algorithm to 32 characters', () => {
    const tag = fallbackTagOf(parseDigest(`${'a'.repeat(40)}:xyz`))

    expect(tag).toBe(`${'a'.repeat(32)}-xyz`)
  })

  it('is a tag for every digest: a dash stands where a tag cannot have the character', () => {
    const tag = fallbackTagOf(parseDigest('sha256+b64u:LCa0a2j_xo='))

    expect(tag).toBe('sha256-b64u-LCa0a2j_xo-')
    expect(isTag(tag)).toBe(true)
  })
})
