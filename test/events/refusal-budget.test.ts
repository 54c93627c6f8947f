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

it('has no more than two thousand events in a minute, however many addresses there are', () => {
  const budget = begin()
  const addresses = Array.from({ length: 5000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)

  const events = addresses.filter((address) => budget.admits(address))

  // Those that share the count of the rest have as many as one address.
  expect(events.length).toBe(2000 + 120)
  expect(budget.takeAll(AT)).toEqual([{ address: '', count: 5000 - 2120 }])
})

it('counts an IPv6 network as one address', () => {
  const budget = begin()

  const events = Array.from({ length: 500 }, (_, index) =>
    budget.admits(`2001:db8::${index.toString(16)}`),
  ).filter((isEvent) => isEvent)

  expect(events.length).toBe(120)
})
