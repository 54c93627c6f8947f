import { expect, it } from 'vitest'
import { RefusalBudget } from '../../src/events/refusal-budget.js'
import { AT } from '../support/records.js'

const ADDRESS = '192.0.2.1'
const MINUTE = 60_000

/** How many of so many refusals are events. */
function admitted(budget: RefusalBudget, count: number, address = ADDRESS): number {
  return Array.from({ length: count }, () => budget.admits(address)).filter(Boolean).length
}

function begin(): RefusalBudget {
  const budget = new RefusalBudget()
  expect(budget.takeSkipped(AT)).toEqual([])
  return budget
}

it('takes two a second of an address, and counts the others for when the minute is over', () => {
  const budget = begin()

  expect(admitted(budget, 200)).toBe(120)
  expect(admitted(budget, 10, '192.0.2.2')).toBe(10)
  expect(budget.takeSkipped(AT + MINUTE - 1)).toEqual([])
  expect(budget.takeSkipped(AT + MINUTE)).toEqual([{ address: ADDRESS, count: 80 }])
  expect(budget.takeSkipped(AT + 3 * MINUTE)).toEqual([])
  expect(admitted(budget, 200)).toBe(120)
})

it('has no longer minute because the clock was set back', () => {
  const budget = begin()
  admitted(budget, 121)

  expect(budget.takeSkipped(AT - MINUTE)).toEqual([{ address: ADDRESS, count: 1 }])
})

it('tells no more than some thousand addresses apart', () => {
  const budget = begin()
  for (let index = 0; index < 10_000; index++) budget.admits(`10.0.${index >> 8}.${index & 255}`)

  expect(admitted(budget, 100, 'a') + admitted(budget, 100, 'b')).toBe(120)
  expect(budget.takeAll(AT)).toEqual([{ address: '', count: 80 }])
})
