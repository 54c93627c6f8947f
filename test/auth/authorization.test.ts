import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAuthorization } from '../../src/auth/authorization.js'

const encoded = (text: string | Buffer) => Buffer.from(text).toString('base64')
const password = (name: string, text: string) => ({ kind: 'password', name, password: text })

describe('an Authorization header', () => {
  it.each([
    ['nothing', undefined],
    ['an empty one', ''],
    ['an empty name and password', 'Basic Og=='],
    ['the same without its equals signs', 'Basic Og'],
  ])('is nobody in particular: %s', (_what, header) => {
    expect(parseAuthorization(header)).toEqual({ kind: 'none' })
  })

  it.each([
    [`Basic ${encoded('alice:secret')}`, password('alice', 'secret')],
    [`basic ${encoded('alice:secret')}`, password('alice', 'secret')],
    [`BASIC    ${encoded('alice:secret')}  `, password('alice', 'secret')],
    [`Basic ${encoded('alice:with:colons:')}`, password('alice', 'with:colons:')],
    [`Basic ${encoded(':secret')}`, password('', 'secret')],
    [`Basic ${encoded('alice:')}`, password('alice', '')],
    [`Basic ${encoded('Zoë:pä\u{1f511}')}`, password('Zoë', 'pä\u{1f511}')],
    [`Basic ${encoded('\ufeffalice:x')}`, password('\ufeffalice', 'x')],
    [`Basic ${encoded('a\0b:c\0d')}`, password('a\0b', 'c\0d')],
  ])('shows a name and a password: %s', (header, credentials) => {
    expect(parseAuthorization(header)).toEqual(credentials)
  })

  it.each(['Bearer a.b.c', 'bearer a.b.c', 'BEARER   a.b.c '])('shows a token: %s', (header) => {
    expect(parseAuthorization(header)).toEqual({ kind: 'bearer', token: 'a.b.c' })
  })

  it.each([
    ' ',
    'Basic',
    'Basic ',
    'Bearer',
    'Bearer ',
    ' Bearer a',
    'Bearer a b',
    'Bearer\ta',
    'Basic\u00a0Og==',
    'Digest a',
    'Basic-x Og==',
    `Basic ${encoded('no colon')}`,
    'Basic Og==Og==',
    'Basic Og=:',
    'Basic T_-:',
    `Basic ${encoded(Buffer.from([0x61, 0x3a, 0xff]))}`,
    `Basic ${encoded(Buffer.from([0x61, 0x3a, 0xc0, 0x80]))}`,
    `Basic ${encoded(Buffer.from([0x61, 0x3a, 0xed, 0xa0, 0x80]))}`,
  ])('is malformed: %j', (header) => {
    expect(parseAuthorization(header)).toEqual({ kind: 'malformed' })
  })

  it('gives back any name without a colon, and any password', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, (name, secret) => {
        fc.pre(!name.includes(':') && name + secret !== '')
        const header = `Basic ${encoded(`${name}:${secret}`)}`
        expect(parseAuthorization(header)).toEqual(password(name, secret))
      }),
    )
  })

  it('is malformed however long it is', () => {
    const long = 60_000
    for (const header of [
      `Basic ${'A'.repeat(long)}`,
      `Basic ${'='.repeat(long)}`,
      `${'B'.repeat(long)}`,
      `Bearer${' '.repeat(long)}`,
      `Bearer ${'x '.repeat(long / 2)}`,
      `Bearer ${' '.repeat(long)}x${' '.repeat(long)}x`,
    ]) {
      expect(parseAuthorization(header).kind).toBe('malformed')
    }
  })
})
