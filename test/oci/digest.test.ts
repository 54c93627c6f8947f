import { describe, expect, it } from 'vitest'
import {
  algorithmOf,
  digestOf,
  hexOf,
  isDigest,
  parseAlgorithm,
  parseDigest,
  RunningDigest,
  type Digest,
} from '../../src/oci/digest.js'
import { bytesOf, sha256, sha512 } from '../support/images.js'

const HEX_64 = '0123456789abcdef'.repeat(4)
const HEX_128 = HEX_64.repeat(2)

const MALFORMED = {
  'nothing at all': '',
  'no algorithm': HEX_64,
  'an empty algorithm': `:${HEX_64}`,
  'an empty value': 'sha256:',
  'one digit too few': `sha256:${HEX_64.slice(1)}`,
  'one digit too many': `sha256:${HEX_64}0`,
  'the length of the other algorithm': `sha512:${HEX_64}`,
  'upper-case digits': `sha256:${HEX_64.toUpperCase()}`,
  'an upper-case algorithm': `SHA256:${HEX_64}`,
  'a letter that is no digit': `sha256:${'g'.repeat(64)}`,
  'two colons': `sha256:${HEX_64}:`,
  'a space in front': ` sha256:${HEX_64}`,
  'a newline at the end': `sha256:${HEX_64}\n`,
  'a way out of a folder': `sha256:../../${HEX_64}`.slice(0, 71),
  'a slash under an unknown algorithm': 'unknown:a/b',
  'two separators in the algorithm': 'a..b:c',
  'a separator at the end of the algorithm': 'a-:c',
  'more characters than any digest has': `unknown:${'a'.repeat(600)}`,
  'the name of a member of every object': `constructor:${'/'.repeat(4)}`,
}

describe('parseDigest', () => {
  it.each([
    ['sha256', `sha256:${HEX_64}`],
    ['sha512', `sha512:${HEX_128}`],
    ['an algorithm that Berth does not know', `blake3:${HEX_64}`],
    [
      'an algorithm of several parts',
      'multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8',
    ],
    ['a value with every character that may be in one', 'sha256+b64u:LCa0a2j_xo=-'],
  ])('takes %s', (_, text) => {
    const digest = parseDigest(text)

    expect(digest).toBe(text)
  })

  it.each(Object.entries(MALFORMED))('refuses %s', (_, text) => {
    expect(isDigest(text)).toBe(false)
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }))
  })

  it('repeats no more than the beginning of a long text in its refusal', () => {
    const text = 'x'.repeat(10_000)

    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ details: ['x'.repeat(200)] }))
  })
})

describe('the parts of a digest', () => {
  it('are its algorithm and its digits', () => {
    const digest = parseDigest(`sha512:${HEX_128}`)

    expect(algorithmOf(digest)).toBe('sha512')
    expect(hexOf(digest)).toBe(HEX_128)
  })

  it.each(['blake3', 'sha1', 'SHA256', '', 'constructor', 'toString'])(
    'have no algorithm that Berth could compute when it is %j',
    (algorithm) => {
      const refusal = expect.objectContaining({ code: 'DIGEST_INVALID' }) as Error

      expect(() => parseAlgorithm(algorithm)).toThrow(refusal)
      expect(() => algorithmOf(`${algorithm}:${HEX_64}` as Digest)).toThrow(refusal)
    },
  )
})

describe('digestOf', () => {
  it('is that of the published test vectors', () => {
    const bytes = Buffer.from('abc')

    expect(digestOf(bytes)).toBe(
      'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(digestOf(bytes, 'sha512')).toBe(
      'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
        '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    )
  })

  it('hashes a part of a larger buffer alone', () => {
    const whole = Buffer.from('xxabcxx')

    const digest = digestOf(whole.subarray(2, 5))

    expect(digest).toBe(sha256('abc'))
  })
})

describe('RunningDigest', () => {
  it.each(['sha256', 'sha512'] as const)('of no bytes is the %s of nothing', (algorithm) => {
    const running = new RunningDigest(algorithm)

    expect(running.current()).toBe(digestOf(Buffer.alloc(0), algorithm))
  })

  it('says what it has so far, and goes on', () => {
    const bytes = bytesOf(10_000)
    const running = new RunningDigest('sha512')

    running.update(bytes.subarray(0, 3))
    const early = running.current()
    running.update(bytes.subarray(3))
    const late = running.current()

    expect(early).toBe(sha512(bytes.subarray(0, 3)))
    expect(late).toBe(sha512(bytes))
    expect(running.current()).toBe(late)
  })

  it('has copies that go on alone', () => {
    const running = new RunningDigest('sha256')
    running.update(Buffer.from('one'))

    const copy = running.copy()
    running.update(Buffer.from('two'))
    copy.update(Buffer.from('three'))

    expect(running.current()).toBe(sha256('onetwo'))
    expect(copy.current()).toBe(sha256('onethree'))
    expect(copy.algorithm).toBe('sha256')
  })
})
