import { describe, expect, it } from 'vitest'
import { JsonError, parseJson } from '../../src/oci/json.js'

const BACKSLASH = '\\'

function parse(text: string): unknown {
  return parseJson(Buffer.from(text))
}

function nested(depth: number, open: string, close: string): string {
  return open.repeat(depth) + close.repeat(depth)
}

describe('parseJson', () => {
  it.each([
    '{}',
    '[]',
    'null',
    '-1.5e3',
    '"text"',
    ' {"a" : [1, {"b": null}] }\n',
    '{"a":{"x":1},"b":{"x":2}}',
    '[{"x":1},{"x":2}]',
    '{"":1}',
    '{"a":"a","b":"b"}',
    '["a","a"]',
    '{"tag":"ä€😀"}',
  ])('reads %s as every reader does', (text) => {
    expect(parse(text)).toEqual(JSON.parse(text))
  })

  it('is not misled by braces, colons and escaped quotes in strings', () => {
    const value = {
      text: '{"text": [1, {"text": 2}] }',
      quote: 'a " : { [ \\',
      '{': '}',
      '"text":': '\\"',
      end: '\\\\',
    }

    const parsed = parse(JSON.stringify(value))

    expect(parsed).toEqual(value)
  })

  it.each([
    ['in one object', '{"a":1,"a":2}'],
    ['with the same value', '{"a":1,"a":1}'],
    ['apart from one another', '{"a":1,"b":{"c":[]},"a":2}'],
    ['deep inside', '{"x":[{"y":{"a":1,"a":2}}]}'],
    ['with spaces before the colon', '{"a" :1,"a"\n\t\r :2}'],
    ['once by a code point', `{"a":1,"${BACKSLASH}u0061":2}`],
    ['by two spellings of a code point', `{"${BACKSLASH}u006B":1,"${BACKSLASH}u006b":2}`],
    ['by two spellings of a slash', `{"a/b":1,"a${BACKSLASH}/b":2}`],
    ['with a quote in it', `{"a${BACKSLASH}"b":1,"a${BACKSLASH}u0022b":2}`],
    ['by a surrogate pair', `{"😀":1,"${BACKSLASH}ud83d${BACKSLASH}ude00":2}`],
    ['when it is empty', '{"":1,"":2}'],
    ['when it is __proto__', '{"__proto__":1,"__proto__":2}'],
  ])('refuses a key that stands twice %s', (_, text) => {
    expect(() => JSON.parse(text) as unknown).not.toThrow()
    expect(() => parse(text)).toThrow(JsonError)
    expect(() => parse(text)).toThrow(/stands twice/)
  })

  it('takes keys that differ only in case or in their normal form for two', () => {
    const text = '{"a":1,"A":2,"\u00e4":3,"a\u0308":4}'

    expect(Object.keys(parse(text) as object)).toHaveLength(4)
  })

  it.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('follows %s for 64 levels, and no further', (_, open, close) => {
    const inner = open === '[' ? '' : '1'
    const deepest = open.repeat(64) + inner + close.repeat(64)
    const deeper = open.repeat(65) + inner + close.repeat(65)

    expect(() => parse(deepest)).not.toThrow()
    expect(() => parse(deeper)).toThrow(/nested deeper than 64/)
  })

  it('does not count brackets in strings, nor those that were closed', () => {
    const text = JSON.stringify([nested(500, '[', ']'), ...Array.from({ length: 500 }, () => [[]])])

    expect(() => parse(text)).not.toThrow()
  })

  it('refuses a nesting bomb of megabytes without reading it whole', () => {
    const bomb = '['.repeat(4 * 1024 * 1024)
    const startedAt = performance.now()

    expect(() => parse(bomb)).toThrow(JsonError)

    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  it.each([
    ['a byte that begins nothing', [0x22, 0xff, 0x22]],
    ['a sequence cut short', [0x22, 0xe2, 0x82, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['half of a surrogate pair', [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ])('refuses %s', (_, bytes) => {
    expect(() => parseJson(Uint8Array.from(bytes))).toThrow(/not valid UTF-8/)
  })

  it('refuses a byte order mark, which some readers skip and others do not', () => {
    expect(() => parse('\ufeff{}')).toThrow(JsonError)
  })

  it.each([
    '',
    ' ',
    '{',
    '}',
    '{"a":1',
    '{"a":1,}',
    '[1,]',
    "{'a':1}",
    '{a:1}',
    '{"a":01}',
    '"unfinished',
    '"\\',
    '{} {}',
    'NaN',
    '// x',
    '"\u0000"',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(/not valid JSON/)
  })
})
