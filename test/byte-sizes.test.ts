import { expect, it } from 'vitest'
import { formatBytes } from '../src/byte-sizes.js'

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1 kB'],
  [1049, '1 kB'],
  [1050, '1.1 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1 MB'],
  [1_400_000_000, '1.4 GB'],
  [10_000_000_000, '10 GB'],
  [Number.MAX_SAFE_INTEGER, '9 PB'],
])('tells people that %i bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})
