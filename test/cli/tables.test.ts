import { afterEach, describe, expect, it } from 'vitest'
import { localTimeText, shortened, Table } from '../../src/cli/tables.js'

describe('a time', () => {
  const zone = process.env['TZ']
  afterEach(() => {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  })

  it.each([
    ['UTC', '2026-01-02T03:04:05Z'],
    ['Asia/Kolkata', '2026-01-02T08:34:05+05:30'],
    ['America/St_Johns', '2026-01-01T23:34:05-03:30'],
  ])('is that of the clock on the wall in %s', (name, text) => {
    process.env['TZ'] = name

    expect(localTimeText('2026-01-02T03:04:05.678Z')).toBe(text)
  })

  it('is to the millisecond where it has to be found again', () => {
    process.env['TZ'] = 'Asia/Kolkata'

    const text = localTimeText('2026-01-02T03:04:05.678Z', { milliseconds: true })

    expect(text).toBe('2026-01-02T08:34:05.678+05:30')
  })
})

describe('a table', () => {
  it('has its titles once, and columns as wide as what has been in them', () => {
    const table = new Table(['A', 'B'])

    expect(table.textOf([['long', 'x']])).toBe('A     B\nlong  x\n')
    expect(
      table.textOf([
        ['y', ''],
        ['z', 'z'],
      ]),
    ).toBe('y\nz     z\n')
  })

  it('lets nothing in it move the cursor or begin a line', () => {
    expect(new Table(['A']).textOf([['x\n\u001b[2J\u009b1my']])).toBe('A\nx [2J 1my\n')
  })

  it('shows the beginning of what is too long', () => {
    expect([shortened('abcd', 4), shortened('abcde', 4)]).toEqual(['abcd', 'abc…'])
  })
})
