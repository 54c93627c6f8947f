import { afterEach, describe, expect, it } from 'vitest'
import { firstMomentOf, isWholeTime, lastMomentOf } from '../src/times.js'

const zone = process.env['TZ']
afterEach(() => {
  if (zone === undefined) delete process.env['TZ']
  else process.env['TZ'] = zone
})

describe('the last moment', () => {
  it.each([
    ['2026-11-21T18:30:05.1Z', '2026-11-21T18:30:05.100Z'],
    ['2026-11-21T18:30:05.123456Z', '2026-11-21T18:30:05.123Z'],
    ['2026-11-21T18:30:05.000+01:00', '2026-11-21T17:30:05.000Z'],
    ['2026-11-21T18:30:05Z', '2026-11-21T18:30:05.999Z'],
    ['2026-11-21T18:30-05:30', '2026-11-22T00:00:59.999Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59.999Z'],
    // In Berlin, an hour before Greenwich, and two in summer.
    ['2026-11-21T18:30:05', '2026-11-21T17:30:05.999Z'],
    ['2026-11-21T18:30', '2026-11-21T17:30:59.999Z'],
    ['2026-11-21', '2026-11-21T22:59:59.999Z'],
    ['2026-07-21', '2026-07-21T21:59:59.999Z'],
  ])('of %s is %s', (text, time) => {
    process.env['TZ'] = 'Europe/Berlin'

    expect(new Date(lastMomentOf(text) ?? NaN).toISOString()).toBe(time)
  })

  it.each([
    ['2026-11-21T18:30:05.1Z', '2026-11-21T18:30:05.100Z'],
    ['2026-11-21T18:30:05Z', '2026-11-21T18:30:05.000Z'],
    ['2026-11-21T18:30-05:30', '2026-11-22T00:00:00.000Z'],
    ['2026-11-21T18:30:05', '2026-11-21T17:30:05.000Z'],
    ['2026-11-21', '2026-11-20T23:00:00.000Z'],
    ['2026-07-21', '2026-07-20T22:00:00.000Z'],
    ['2026-02-30', undefined],
  ])('of %s comes after the first, %s', (text, time) => {
    process.env['TZ'] = 'Europe/Berlin'

    const first = firstMomentOf(text)

    expect(first && new Date(first).toISOString()).toBe(time)
  })

  it.each([
    ...['5', 'stable-2', 'yesterday', '2026', '2026-11', '20261121', '2026-1-2', ' 2026-11-21'],
    ...['2026-02-30', '2026-13-01', '2026-00-01', '2026-11-31', '2025-02-29T00:00:00Z'],
    ...['2026-11-21T24:00', '2026-11-21T18:60', '2026-11-21T18:30:60Z', '2026-11-21T18'],
    ...['2026-11-21T18:30:05+25:00', '2026-11-21T18:30:05+1', '2026-11-21 18:30', '2026-11-21Z'],
    ...['2026-11-21T18:30:05.Z', '2026-11-21T18:30.5', 'Sat Nov 21 2026', ''],
  ])('is none of %j', (text) => {
    expect(lastMomentOf(text)).toBeUndefined()
  })
})

it.each([
  ['2026-11-21T18:30:05Z', true],
  ['2026-11-21T18:30:05.123+01:00', true],
  ['2026-11-21T18:30:05', false],
  ['2026-11-21T18:30Z', false],
  ['2026-11-21', false],
  ['2026-02-30T00:00:00Z', false],
])('whether %s is a whole time: %s', (text, isWhole) => {
  expect(isWholeTime(text)).toBe(isWhole)
})
